//! Prosody 0.12 on loopback.

use std::{
    fmt::Write as _,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, bail};

use super::{
    ca::Ca,
    child::{Child, Program, require},
    ports::Port,
};

/// What `apt-get install` needs.
pub const PACKAGES: &str = "prosody lua-unbound";

const START: Duration = Duration::from_secs(20);

/// What to start. See [`Prosody::config`].
#[derive(Debug)]
pub struct Config {
    dir: PathBuf,
    dns: SocketAddr,
    hosts: Vec<String>,
    accounts: Vec<(String, String)>,
    components: Vec<(String, String)>,
    also_at: Vec<IpAddr>,
    mucs: Vec<String>,
    certificates: Option<PathBuf>,
    modules: Vec<String>,
    global: String,
    debug: bool,
}

/// A running Prosody.
#[derive(Debug)]
pub struct Prosody {
    config: Config,
    c2s: Port,
    s2s: Port,
    component: Port,
    child: Child,
}

impl Prosody {
    /// Begins a configuration. All files go to `dir`, which is created; names are resolved by `dns` alone.
    ///
    /// `component_conflict_resolve` is `kick_old`, as Warren requires; offline messages are kept, XEP-0198
    /// is off (add the module `smacks`).
    pub fn config(dir: impl Into<PathBuf>, dns: SocketAddr) -> Config {
        let modules = ["roster", "saslauth", "tls", "dialback", "disco", "ping", "offline"];
        Config {
            dir: dir.into(),
            dns,
            hosts: Vec::new(),
            accounts: Vec::new(),
            components: Vec::new(),
            also_at: Vec::new(),
            mucs: Vec::new(),
            certificates: None,
            modules: modules.map(str::to_owned).to_vec(),
            global: "component_conflict_resolve = \"kick_old\"\n".to_owned(),
            debug: false,
        }
    }

    /// Where clients connect.
    pub fn c2s(&self) -> SocketAddr {
        self.c2s.addr()
    }

    /// Where servers connect; put a proxy before it.
    pub fn s2s(&self) -> SocketAddr {
        self.s2s.addr()
    }

    /// Where components connect.
    pub fn component(&self) -> SocketAddr {
        self.component.addr()
    }

    /// Its log file.
    pub fn log(&self) -> PathBuf {
        self.config.log()
    }

    /// The process.
    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Makes an account, or sets its password; counts at once.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn add_account(&self, jid: &str, password: &str) -> Result<()> {
        self.config.write_account(jid, password)
    }

    /// Ends it in good order.
    ///
    /// # Errors
    /// When it cannot be waited for.
    pub async fn stop(&mut self) -> Result<()> {
        self.child.stop(Duration::from_secs(5)).await
    }

    /// Starts it again, on the same ports and with the same data, after [`Prosody::stop`] or a kill.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn start_again(&mut self) -> Result<()> {
        self.child.kill().await.ok();
        self.child = self.config.launch(&self.c2s, &self.s2s, &self.component).await?;
        Ok(())
    }
}

impl Config {
    /// Hosts a domain of users.
    #[must_use]
    pub fn host(mut self, domain: &str) -> Self {
        self.hosts.push(domain.to_owned());
        self
    }

    /// Makes an account on one of the hosts.
    #[must_use]
    pub fn account(mut self, jid: &str, password: &str) -> Self {
        self.accounts.push((jid.to_owned(), password.to_owned()));
        self
    }

    /// Lets an external component connect as `domain`.
    #[must_use]
    pub fn component(mut self, domain: &str, secret: &str) -> Self {
        self.components.push((domain.to_owned(), secret.to_owned()));
        self
    }

    /// Listens for components at this address of ours, too, on the same port.
    #[must_use]
    pub fn components_at(mut self, addr: impl Into<IpAddr>) -> Self {
        self.also_at.push(addr.into());
        self
    }

    /// Hosts rooms of Prosody's own at `domain`: the model that Warren is compared with. New
    /// rooms are open at once, without being configured first.
    #[must_use]
    pub fn muc(mut self, domain: &str) -> Self {
        self.mucs.push(domain.to_owned());
        self
    }

    /// Requires TLS between servers, with certificates of this CA (issue them before the start). Without it there is
    /// no TLS at all and dialback is enough, which is quicker.
    #[must_use]
    pub fn tls(mut self, ca: &Ca) -> Self {
        self.certificates = Some(ca.dir().to_owned());
        self
    }

    /// Loads one more module.
    #[must_use]
    pub fn module(mut self, name: &str) -> Self {
        self.modules.push(name.to_owned());
        self
    }

    /// Adds lines of Lua to the global section; a later line wins over an earlier one.
    #[must_use]
    pub fn global(mut self, lua: &str) -> Self {
        self.global.push_str(lua);
        self.global.push('\n');
        self
    }

    /// Logs every stanza.
    #[must_use]
    pub fn debug(mut self) -> Self {
        self.debug = true;
        self
    }

    /// Starts it and waits until it answers on all ports.
    ///
    /// # Errors
    /// When a package is missing (says which), or it does not come up (with its log).
    pub async fn start(self) -> Result<Prosody> {
        require("prosody", PACKAGES)?;
        if !has_lua_unbound() {
            bail!(
                "the Lua module `lunbound` is not installed, without which Prosody ignores our DNS; on Debian: \
                 apt-get install -y --no-install-recommends {PACKAGES}"
            );
        }
        let (c2s, s2s, component) = (Port::draw()?, Port::draw()?, Port::draw()?);
        std::fs::create_dir_all(self.data()).with_context(|| format!("cannot create {}", self.data().display()))?;
        for (jid, password) in &self.accounts {
            self.write_account(jid, password)?;
        }
        std::fs::write(self.file(), self.text(&c2s, &s2s, &component))?;
        let child = self.launch(&c2s, &s2s, &component).await?;
        Ok(Prosody { config: self, c2s, s2s, component, child })
    }

    async fn launch(&self, c2s: &Port, s2s: &Port, component: &Port) -> Result<Child> {
        let mut child = Child::start(Program {
            name: "prosody",
            packages: PACKAGES,
            args: ["-F".into(), "--config".into(), self.file().into()].into(),
            env: vec![],
            logs: vec![self.log()],
        })
        .await?;
        let host = self.hosts.first().map(String::as_str).unwrap_or_default();
        child.wait_for_stream(c2s.addr(), "jabber:client", host, START).await?;
        child.wait_for_stream(s2s.addr(), "jabber:server", host, START).await?;
        if let Some((domain, _)) = self.components.first() {
            child.wait_for_stream(component.addr(), "jabber:component:accept", domain, START).await?;
        }
        Ok(child)
    }

    fn file(&self) -> PathBuf {
        self.dir.join("prosody.cfg.lua")
    }

    fn log(&self) -> PathBuf {
        self.dir.join("prosody.log")
    }

    fn data(&self) -> PathBuf {
        self.dir.join("prosody")
    }

    /// The file is all that `prosodyctl register` would write.
    fn write_account(&self, jid: &str, password: &str) -> Result<()> {
        let (user, host) = jid.split_once('@').with_context(|| format!("{jid} is no account"))?;
        let dir = self.data().join(encode(host)).join("accounts");
        std::fs::create_dir_all(&dir)?;
        let text = format!("return {{ [\"password\"] = \"{password}\"; }};\n");
        let file = dir.join(format!("{}.dat", encode(user)));
        std::fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))
    }

    fn text(&self, c2s: &Port, s2s: &Port, component: &Port) -> String {
        let modules = self.modules.iter().filter(|name| *name != "tls" || self.certificates.is_some());
        let modules: Vec<String> = modules.map(|name| format!("{name:?}")).collect();
        let local = IpAddr::from([127, 0, 0, 1]);
        let component_at: Vec<String> =
            std::iter::once(&local).chain(&self.also_at).map(|addr| format!("\"{addr}\"")).collect();
        let level = if self.debug { "debug" } else { "info" };
        let mut text = format!(
            "run_as_root = true\n\
             data_path = \"{data}\"\n\
             log = {{ {level} = \"{log}\" }}\n\
             interfaces = {{ \"127.0.0.1\" }}\n\
             local_interfaces = {{ \"127.0.0.1\" }}\n\
             c2s_ports = {{ {c2s} }}\n\
             s2s_ports = {{ {s2s} }}\n\
             c2s_direct_tls_ports = {{}}\n\
             s2s_direct_tls_ports = {{}}\n\
             component_ports = {{ {component} }}\n\
             component_interfaces = {{ {component_at} }}\n\
             unbound = {{ resolvconf = false, forward = {{ \"{dns_ip}@{dns_port}\" }} }}\n\
             modules_enabled = {{ {modules} }}\n\
             modules_disabled = {{ \"http\", \"limits\" }}\n\
             authentication = \"internal_plain\"\n\
             storage = \"internal\"\n\
             c2s_require_encryption = false\n\
             allow_unencrypted_plain_auth = true\n",
            data = self.data().display(),
            log = self.log().display(),
            c2s = c2s.number(),
            s2s = s2s.number(),
            component = component.number(),
            component_at = component_at.join(", "),
            dns_ip = self.dns.ip(),
            dns_port = self.dns.port(),
            modules = modules.join(", "),
        );
        let _ = match &self.certificates {
            Some(dir) => writeln!(
                text,
                "certificates = \"{dir}\"\nssl = {{ cafile = \"{dir}/ca.pem\" }}\n\
                 s2s_require_encryption = true\ns2s_secure_auth = true",
                dir = dir.display(),
            ),
            None => writeln!(text, "s2s_require_encryption = false\ns2s_secure_auth = false"),
        };
        text.push_str(&self.global);
        for host in &self.hosts {
            let _ = writeln!(text, "VirtualHost {host:?}");
        }
        for (domain, secret) in &self.components {
            let _ = writeln!(text, "Component {domain:?}\n\tcomponent_secret = {secret:?}");
        }
        for domain in &self.mucs {
            let _ = writeln!(text, "Component {domain:?} \"muc\"\n\tmuc_room_locking = false");
        }
        text
    }
}

/// How Prosody's storage writes names in paths: all but letters, digits and `_` as `%xx`.
fn encode(name: &str) -> String {
    name.bytes().fold(String::new(), |mut text, byte| {
        if byte.is_ascii_alphanumeric() || byte == b'_' {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "%{byte:02x}");
        }
        text
    })
}

fn has_lua_unbound() -> bool {
    let below = |dir: &Path| -> Vec<PathBuf> {
        std::fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
    };
    // Debian: /usr/lib/<triplet>/lua/<version>/lunbound.so; by hand: /usr/local/lib/lua/<version>/lunbound.so
    let mut roots = below(Path::new("/usr/lib"));
    roots.push("/usr/local/lib".into());
    roots.iter().flat_map(|root| below(&root.join("lua"))).any(|version| version.join("lunbound.so").is_file())
}
