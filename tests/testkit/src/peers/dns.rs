//! An authoritative DNS for `lit.` inside the process.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context, Result, bail};
use hickory_server::{
    Server,
    proto::rr::{
        Name, RData, Record, RecordType,
        rdata::{SOA, SRV},
    },
    store::in_memory::InMemoryZoneHandler,
    zone_handler::{AxfrPolicy, Catalog, ZoneHandler, ZoneType},
};
use tokio::net::{TcpListener, UdpSocket};

/// A DNS server for the zone `lit.` on a free port of 127.0.0.1, UDP and TCP.
///
/// It holds SRV records only, all with the target `localhost.`: ejabberd resolves targets with the C library,
/// which knows no other name of ours. All TTLs are 0, so that a change counts at once. Give every
/// site a server of its own and each sees the other through its own proxies.
pub struct Dns {
    addr: SocketAddr,
    zone: Arc<InMemoryZoneHandler>,
    _server: Server<Catalog>,
}

impl Dns {
    /// Starts an empty zone.
    ///
    /// # Errors
    /// When no port is free for both UDP and TCP.
    pub async fn start() -> Result<Self> {
        let origin = Name::from_ascii("lit.")?;
        let zone: InMemoryZoneHandler = InMemoryZoneHandler::empty(origin.clone(), ZoneType::Primary, AxfrPolicy::Deny);
        let soa = SOA::new(origin.clone(), origin.clone(), 1, 60, 60, 60, 0); // the last one: negative TTL
        zone.upsert(Record::from_rdata(origin.clone(), 0, RData::SOA(soa)), 0).await;
        let zone = Arc::new(zone);
        let mut catalog = Catalog::new();
        catalog.upsert(origin.into(), vec![zone.clone() as Arc<dyn ZoneHandler>]);

        let (udp, tcp) = bind_both().await?;
        let addr = udp.local_addr()?;
        let mut server = Server::new(catalog);
        server.register_socket(udp);
        server.register_listener(tcp, Duration::from_secs(5), 512);
        Ok(Self { addr, zone, _server: server })
    }

    /// Where it answers.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Makes `_service._tcp.domain` point to `localhost:port`, alone. `service` is `xmpp-server`
    /// (STARTTLS) or `xmpps-server` (direct TLS). May be called at any time.
    ///
    /// # Errors
    /// When the domain is no DNS name.
    pub async fn srv(&self, service: &str, domain: &str, port: u16) -> Result<()> {
        self.remove_srv(service, domain).await?;
        let target = Name::from_ascii("localhost.")?;
        let record = Record::from_rdata(srv_name(service, domain)?, 0, RData::SRV(SRV::new(0, 0, port, target)));
        self.zone.upsert(record, 0).await;
        Ok(())
    }

    /// Forgets `_service._tcp.domain`: the next query says that it does not exist.
    ///
    /// # Errors
    /// When the domain is no DNS name.
    pub async fn remove_srv(&self, service: &str, domain: &str) -> Result<()> {
        let name = (&srv_name(service, domain)?).into();
        self.zone.records_mut().await.retain(|key, _| !(key.name == name && key.record_type == RecordType::SRV));
        Ok(())
    }
}

impl std::fmt::Debug for Dns {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dns").field("addr", &self.addr).finish_non_exhaustive()
    }
}

fn srv_name(service: &str, domain: &str) -> Result<Name> {
    Name::from_ascii(format!("_{service}._tcp.{domain}.")).with_context(|| format!("{domain} is no DNS name"))
}

/// The kernel draws a port for UDP; for TCP it may be taken, so try a few.
async fn bind_both() -> Result<(UdpSocket, TcpListener)> {
    for _ in 0..16 {
        let udp = UdpSocket::bind("127.0.0.1:0").await?;
        if let Ok(tcp) = TcpListener::bind(udp.local_addr()?).await {
            return Ok((udp, tcp));
        }
    }
    bail!("no port of 127.0.0.1 is free for both UDP and TCP")
}
