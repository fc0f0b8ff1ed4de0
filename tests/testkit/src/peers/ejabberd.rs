//! ejabberd 23.01 on loopback.

use std::{
    fmt::Write as _,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{
    ca::Ca,
    child::{Child, Program, require},
    ports::Port,
};

/// What `apt-get install` needs.
pub const PACKAGES: &str = "ejabberd";

/// A start takes 1.2 s of CPU; the rest is room for a busy machine.
const START: Duration = Duration::from_mins(1);

/// What to start. See [`Ejabberd::config`].
#[derive(Debug)]
pub struct Config {
    dir: PathBuf,
    dns: SocketAddr,
    hosts: Vec<String>,
    accounts: Vec<(String, String)>,
    components: Vec<(String, String)>,
    certificates: Option<(PathBuf, Vec<PathBuf>)>,
    max_retry_delay: Duration,
    modules: Vec<(String, String)>,
    global: String,
    debug: bool,
}

/// A running ejabberd.
#[derive(Debug)]
pub struct Ejabberd {
    config: Config,
    /// Accounts made since the start: a kill within seconds would lose them.
    added: Mutex<Vec<(String, String)>>,
    ports: Ports,
    child: Child,
}

#[derive(Debug)]
struct Ports {
    c2s: Port,
    s2s: Port,
    components: Vec<Port>,
    http: Port,
}

impl Ejabberd {
    /// Begins a configuration. All files go to `dir`, which is created; SRV records come from `dns` alone.
    ///
    /// Unlike ejabberd's default of 300 s it waits at most 1 s after a failed connect to another server.
    /// Offline messages are kept, XEP-0198 is off (add the module `mod_stream_mgmt`).
    pub fn config(dir: impl Into<PathBuf>, dns: SocketAddr) -> Config {
        let modules = [
            "mod_admin_extra",
            "mod_disco",
            "mod_http_api",
            "mod_offline",
            "mod_ping",
            "mod_roster",
            "mod_s2s_dialback",
        ];
        Config {
            dir: dir.into(),
            dns,
            hosts: Vec::new(),
            accounts: Vec::new(),
            components: Vec::new(),
            certificates: None,
            max_retry_delay: Duration::from_secs(1),
            modules: modules.map(|name| (name.to_owned(), "{}".to_owned())).to_vec(),
            global: String::new(),
            debug: false,
        }
    }

    /// Where clients connect.
    pub fn c2s(&self) -> SocketAddr {
        self.ports.c2s.addr()
    }

    /// Where servers connect; put a proxy before it.
    pub fn s2s(&self) -> SocketAddr {
        self.ports.s2s.addr()
    }

    /// Where the component `domain` connects. Each has a port of its own: ejabberd routes all domains of a
    /// listener to every connection that it takes, whatever domain that one has named.
    ///
    /// # Errors
    /// When no such component is configured.
    pub fn component(&self, domain: &str) -> Result<SocketAddr> {
        let index = self.config.components.iter().position(|(name, _)| name == domain);
        let index = index.with_context(|| format!("ejabberd has no component {domain}"))?;
        Ok(self.ports.components[index].addr())
    }

    /// Its log file.
    pub fn log(&self) -> PathBuf {
        self.config.log()
    }

    /// The process.
    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Makes an account; counts at once.
    ///
    /// # Errors
    /// When it exists, or ejabberd does not answer.
    pub async fn add_account(&self, jid: &str, password: &str) -> Result<()> {
        let (user, host) = jid.split_once('@').with_context(|| format!("{jid} is no account"))?;
        let arguments = serde_json::json!({ "user": user, "host": host, "password": password });
        self.api("register", &arguments).await?;
        self.added.lock().unwrap_or_else(PoisonError::into_inner).push((jid.to_owned(), password.to_owned()));
        Ok(())
    }

    /// Runs a command of `mod_http_api` (`stop_s2s_connections`, `outgoing_s2s_number` …) and returns its answer.
    ///
    /// # Errors
    /// When ejabberd does not answer with 200.
    pub async fn api(&self, command: &str, arguments: &serde_json::Value) -> Result<serde_json::Value> {
        let body = arguments.to_string();
        let request = format!(
            "POST /api/{command} HTTP/1.0\r\nHost: localhost\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let answer = async {
            let mut stream = TcpStream::connect(self.ports.http.addr()).await?;
            stream.write_all(request.as_bytes()).await?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await?;
            anyhow::Ok(answer)
        };
        let answer = tokio::time::timeout(Duration::from_secs(10), answer).await.context("no answer")??;
        let status = answer.split(' ').nth(1);
        ensure!(status == Some("200"), "ejabberd's {command} {body}: {answer}");
        let (_, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
        serde_json::from_str(body).with_context(|| format!("{command} answers {body}"))
    }

    /// Ends it in good order, which takes a second; killing it is as good for tests.
    ///
    /// # Errors
    /// When it cannot be waited for.
    pub async fn stop(&mut self) -> Result<()> {
        self.child.stop(Duration::from_secs(10)).await
    }

    /// Starts it again, on the same ports and with the same data, after [`Ejabberd::stop`] or a kill.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn start_again(&mut self) -> Result<()> {
        self.child.kill().await.ok();
        let added = self.added.get_mut().unwrap_or_else(PoisonError::into_inner);
        self.config.accounts.append(added);
        self.child = self.config.launch(&self.ports).await?;
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

    /// Requires TLS between servers. `certificates` are the `.pem` files of [`Ca::issue`]. Without it there is no TLS
    /// at all and dialback is enough, which is quicker.
    #[must_use]
    pub fn tls(mut self, ca: &Ca, certificates: Vec<PathBuf>) -> Self {
        self.certificates = Some((ca.path(), certificates));
        self
    }

    /// Sets `s2s_max_retry_delay`: after a failed connect everything bounces for a random time up to this.
    #[must_use]
    pub fn max_retry_delay(mut self, delay: Duration) -> Self {
        self.max_retry_delay = delay;
        self
    }

    /// Loads one more module. `options` is YAML in one line: `{}`, `{resume_timeout: 2}`.
    #[must_use]
    pub fn module(mut self, name: &str, options: &str) -> Self {
        self.modules.push((name.to_owned(), options.to_owned()));
        self
    }

    /// Adds lines of YAML at the top level.
    #[must_use]
    pub fn global(mut self, yaml: &str) -> Self {
        self.global.push_str(yaml);
        self.global.push('\n');
        self
    }

    /// Logs every stanza.
    #[must_use]
    pub fn debug(mut self) -> Self {
        self.debug = true;
        self
    }

    /// Starts it, makes the accounts and waits until it answers on all ports.
    ///
    /// # Errors
    /// When a package is missing (says which), or it does not come up (with its log).
    pub async fn start(self) -> Result<Ejabberd> {
        let components = self.components.iter().map(|_| Port::draw()).collect::<Result<_>>()?;
        let ports = Ports { c2s: Port::draw()?, s2s: Port::draw()?, components, http: Port::draw()? };
        let data = self.dir.join("ejabberd");
        std::fs::create_dir_all(&data).with_context(|| format!("cannot create {}", data.display()))?;
        std::fs::write(self.dir.join("inetrc"), self.inetrc())?;
        std::fs::write(self.dir.join("ejabberd.yml"), self.text(&ports))?;
        let child = self.launch(&ports).await?;
        Ok(Ejabberd { config: self, added: Mutex::default(), ports, child })
    }

    async fn launch(&self, ports: &Ports) -> Result<Child> {
        require("erl", PACKAGES)?;
        let libs = library()?;
        let accounts: Vec<String> = self
            .accounts
            .iter()
            .map(|(jid, password)| {
                let (user, host) = jid.split_once('@').with_context(|| format!("{jid} is no account"))?;
                Ok(format!("{{<<\"{user}\">>, <<\"{host}\">>, <<\"{password}\">>}}"))
            })
            .collect::<Result<_>>()?;
        // An account that exists already is no failure: the server may have been started before.
        let eval = format!(
            "[ejabberd_auth:try_register(U, H, P) || {{U, H, P}} <- [{}]], io:format(\"READY~n\").",
            accounts.join(", ")
        );
        // Mnesia's directory is an Erlang string, quotes included.
        let mnesia = format!("\"{}\"", self.dir.join("ejabberd").display());
        let mut child = Child::start(Program {
            name: "erl",
            packages: PACKAGES,
            args: ["-noinput", "+sbwt", "none", "+sbwtdcpu", "none", "+sbwtdio", "none", "-mnesia", "dir", &mnesia]
                .into_iter()
                .chain(["-s", "ejabberd", "-eval", &eval])
                .map(Into::into)
                .collect(),
            env: vec![
                ("HOME", self.dir.clone().into()),
                ("ERL_LIBS", libs.into()),
                ("ERL_INETRC", self.dir.join("inetrc").into()),
                ("ERL_CRASH_DUMP_BYTES", "0".into()),
                ("EJABBERD_CONFIG_PATH", self.dir.join("ejabberd.yml").into()),
                ("EJABBERD_LOG_PATH", self.log().into()),
            ],
            logs: vec![self.log()],
        })
        .await?;
        child.wait_for_line("READY", START).await?;
        let host = self.hosts.first().map(String::as_str).unwrap_or_default();
        child.wait_for_stream(ports.c2s.addr(), "jabber:client", host, START).await?;
        child.wait_for_stream(ports.s2s.addr(), "jabber:server", host, START).await?;
        for ((domain, _), port) in self.components.iter().zip(&ports.components) {
            child.wait_for_stream(port.addr(), "jabber:component:accept", domain, START).await?;
        }
        Ok(child)
    }

    fn log(&self) -> PathBuf {
        self.dir.join("ejabberd.log")
    }

    /// `resolv_conf` must be emptied before `nameserver`.
    fn inetrc(&self) -> String {
        let ip = self.dns.ip().to_string().replace('.', ",");
        let port = self.dns.port();
        format!(
            "{{resolv_conf, \"\"}}.\n{{hosts_file, \"\"}}.\n{{lookup, [native]}}.\n{{nameserver, {{{ip}}}, {port}}}.\n"
        )
    }

    fn text(&self, ports: &Ports) -> String {
        let listener =
            |port: &Port, rest: &str| format!("  - {{port: {}, ip: \"127.0.0.1\", {rest}}}\n", port.number());
        let mut text = format!(
            "loglevel: {}\nhosts: [{}]\nacme: {{auto: false}}\noutgoing_s2s_families: [ipv4]\n\
             auth_method: internal\nauth_password_format: plain\ns2s_max_retry_delay: {}\n",
            if self.debug { "debug" } else { "info" },
            self.hosts.join(", "),
            self.max_retry_delay.as_secs().max(1),
        );
        let _ = match &self.certificates {
            Some((ca, files)) => {
                let ca = ca.display();
                let files: Vec<String> = files.iter().map(|file| format!("\"{}\"", file.display())).collect();
                let files = files.join(", ");
                writeln!(
                    text,
                    "certfiles: [{files}]\nca_file: \"{ca}\"\ns2s_cafile: \"{ca}\"\ns2s_use_starttls: required"
                )
            }
            None => writeln!(text, "s2s_use_starttls: false"),
        };
        text.push_str(&self.global);
        text.push_str("listen:\n");
        // Clients of people want TLS, those of tests need not use it.
        let starttls = self.certificates.is_some();
        text.push_str(&listener(&ports.c2s, &format!("module: ejabberd_c2s, starttls: {starttls}")));
        text.push_str(&listener(&ports.s2s, "module: ejabberd_s2s_in"));
        text.push_str(&listener(&ports.http, "module: ejabberd_http, request_handlers: {/api: mod_http_api}"));
        for ((domain, secret), port) in self.components.iter().zip(&ports.components) {
            let rest = format!("module: ejabberd_service, hosts: {{{domain}: {{password: \"{secret}\"}}}}");
            text.push_str(&listener(port, &rest));
        }
        text.push_str("api_permissions:\n  tests: {from: mod_http_api, who: {access: {allow: all}}, what: \"*\"}\n");
        let modules: Vec<String> = self.modules.iter().map(|(name, options)| format!("{name}: {options}")).collect();
        let _ = writeln!(text, "modules: {{{}}}", modules.join(", "));
        text
    }
}

/// The multiarch directory with ejabberd's Erlang applications.
fn library() -> Result<PathBuf> {
    let below = |dir: &Path| std::fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
    for triplet in below(Path::new("/usr/lib")) {
        let named =
            |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("ejabberd-"));
        if below(&triplet).filter(named).any(|app| app.join("ebin").is_dir()) {
            return Ok(triplet);
        }
    }
    bail!("ejabberd is not installed; on Debian: apt-get install -y --no-install-recommends {PACKAGES}")
}
