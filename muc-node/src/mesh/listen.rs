//! Where other nodes of the site reach us, and what both sides must prove.

use std::net::{IpAddr, SocketAddr, TcpListener};
use std::str::FromStr;

use anyhow::{Context, bail};
use clap::Args;
use warren_tls::{ClientSide, ServerSide};

use crate::listener::TlsArgs;

/// Where and with whom nodes speak.
#[derive(Clone, Debug, Args)]
pub struct MeshArgs {
    /// Where other nodes that share our store reach us (gRPC): an address and port. Default: nowhere
    #[arg(long, env = "WARREN_MESH", value_name = "ADDR")]
    pub mesh: Option<SocketAddr>,
    /// What the others are told to connect to. Default: the address of --mesh, if it is a certain one
    #[arg(long, env = "WARREN_MESH_ADDRESS", value_name = "HOST:PORT", requires = "mesh")]
    pub mesh_address: Option<HostPort>,
    /// The name that the certificates of all nodes are for, whatever address they are reached at
    #[arg(long, env = "WARREN_MESH_NAME", value_name = "NAME", requires_all = ["mesh", "tls_cert"])]
    pub mesh_name: Option<String>,
    /// Talk to other nodes without TLS; for loopback addresses only
    #[arg(long, env = "WARREN_MESH_PLAINTEXT", requires = "mesh", conflicts_with_all = ["tls_cert", "tls_key", "tls_ca"])]
    pub mesh_plaintext: bool,
}

/// A host, by name or address, and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPort {
    host: String,
    port: u16,
}

impl FromStr for HostPort {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || "write a host and a port, such as rooms-0.rooms:9182, 10.0.0.7:9182 or [fd00::7]:9182".to_owned();
        let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
        let port = port.parse().ok().filter(|port| *port != 0).ok_or_else(wrong)?;
        let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
        let good = match bracketed {
            Some(inside) => inside.parse::<IpAddr>().is_ok_and(|ip| ip.is_ipv6()),
            None => !host.is_empty() && host.chars().all(plain),
        };
        if !good {
            return Err(wrong());
        }
        Ok(Self { host: host.to_owned(), port })
    }
}

impl std::fmt::Display for HostPort {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl HostPort {
    fn is_loopback(&self) -> bool {
        let host = self.host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }
}

/// What sessions with other nodes are made with.
#[derive(Debug)]
pub struct Bound {
    /// Where they call.
    pub listener: TcpListener,
    /// What they are told to call.
    pub address: String,
    /// What callers must prove.
    pub server: ServerSide,
    /// What we prove when we call.
    pub client: ClientSide,
}

impl MeshArgs {
    /// What both sides must prove, if there is a mesh. Reads the certificates, and checks all that can be checked without
    /// a socket.
    ///
    /// # Errors
    /// One sentence.
    pub fn security(&self, tls: &TlsArgs) -> anyhow::Result<Option<(ServerSide, ClientSide)>> {
        let Some(addr) = self.mesh else { return Ok(None) };
        if self.mesh_address.is_none() && addr.ip().is_unspecified() {
            bail!("--mesh {addr} is every address of this machine: say with --mesh-address which one others can reach");
        }
        if let Some(files) = tls.files() {
            let Some(name) = &self.mesh_name else {
                bail!("--mesh-name is missing: the name that the certificates of all nodes are for");
            };
            let advice = "the mesh cannot use its certificates";
            let server = ServerSide::mutual(files.clone()).context(advice)?;
            return Ok(Some((server, ClientSide::mutual(files, name).context(advice)?)));
        }
        if !self.mesh_plaintext {
            bail!("--mesh needs --tls-cert, --tls-key and --tls-ca; on a loopback address --mesh-plaintext will do");
        }
        let advice = "--mesh-plaintext is for loopback: whoever reaches the listener could speak for every room";
        if let Some(announced) = self.mesh_address.as_ref().filter(|announced| !announced.is_loopback()) {
            bail!("{advice}: {announced} is not a loopback address");
        }
        let server = ServerSide::plaintext(addr).context(advice)?;
        Ok(Some((server, ClientSide::plaintext(addr).context(advice)?)))
    }

    /// The same with a listener.
    ///
    /// # Errors
    /// One sentence.
    pub fn bind(&self, tls: &TlsArgs) -> anyhow::Result<Option<Bound>> {
        let (Some(addr), Some((server, client))) = (self.mesh, self.security(tls)?) else { return Ok(None) };
        let advice = || format!("the mesh cannot have {addr}: name another address with --mesh");
        let listener = TcpListener::bind(addr).with_context(advice)?;
        let bound = listener.local_addr().with_context(advice)?;
        let address = self.mesh_address.as_ref().map_or_else(|| bound.to_string(), ToString::to_string);
        Ok(Some(Bound { listener, address, server, client }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct All {
        #[command(flatten)]
        mesh: MeshArgs,
        #[command(flatten)]
        tls: TlsArgs,
    }

    fn bind(args: &str) -> Result<Option<Bound>, String> {
        let all = All::try_parse_from(["x"].into_iter().chain(args.split_whitespace())).map_err(|e| e.to_string())?;
        all.mesh.bind(&all.tls).map_err(|e| format!("{e:#}"))
    }

    #[test]
    fn where_others_reach_us() {
        assert!(bind("").unwrap().is_none());
        let bound = bind("--mesh 127.0.0.1:0 --mesh-plaintext").unwrap().unwrap();
        assert_eq!(bound.address, bound.listener.local_addr().unwrap().to_string());
        let bound = bind("--mesh 127.0.0.1:0 --mesh-plaintext --mesh-address localhost:99").unwrap().unwrap();
        assert_eq!(bound.address, "localhost:99");
        for (args, says) in [
            ("--mesh 127.0.0.1:0", "--mesh-plaintext will do"),
            ("--mesh 0.0.0.0:0 --mesh-plaintext", "--mesh-address"),
            ("--mesh 0.0.0.0:0 --mesh-plaintext --mesh-address localhost:1", "not a loopback"),
            ("--mesh 127.0.0.1:0 --mesh-plaintext --mesh-address 10.0.0.1:1", "not a loopback"),
            ("--mesh 192.0.2.1:1 --mesh-plaintext", "not a loopback"),
            ("--mesh 127.0.0.1:0 --mesh-plaintext --tls-cert a --tls-key b --tls-ca c", "cannot be used with"),
            ("--mesh 127.0.0.1:0 --tls-cert a --tls-key b --tls-ca c", "--mesh-name"),
            ("--mesh 127.0.0.1:0 --tls-cert /nowhere/a --tls-key b --tls-ca c --mesh-name rooms", "/nowhere/a"),
            ("--mesh-address localhost:1", "--mesh <ADDR>"),
            ("--mesh 127.0.0.1:0 --mesh-plaintext --mesh-address localhost", "write a host and a port"),
        ] {
            let said = bind(args).unwrap_err();
            assert!(said.contains(says), "{args}: {said}");
        }
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let said = bind(&format!("--mesh {} --mesh-plaintext", taken.local_addr().unwrap())).unwrap_err();
        assert!(said.contains("name another address with --mesh"), "{said}");
    }

    #[test]
    fn hosts_and_ports() {
        for good in ["rooms-0.rooms:9182", "10.0.0.7:1", "[fd00::7]:65535", "localhost:9182"] {
            assert_eq!(HostPort::from_str(good).unwrap().to_string(), good);
        }
        for bad in ["", ":1", "x", "x:", "x:0", "x:65536", "fd00::7:1", "[x]:1", "a b:1", "http://x:1", "x:1/"] {
            assert!(HostPort::from_str(bad).is_err(), "{bad}");
        }
    }
}
