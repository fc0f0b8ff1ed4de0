//! A site of the demo as a process: `muc-node` with the manifests of `examples/demo`, attached to a server of a
//! [`World`], with a store that survives kills.

use std::{
    collections::VecDeque,
    ffi::OsString,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    sync::OnceLock,
    time::Duration,
};

use anyhow::{Context, Result, anyhow, bail, ensure};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    process::Command,
    time::{Instant, sleep, timeout},
};

use warren_test_netns::Host;

pub use crate::log_entry::LogEntry;
use crate::peers::{Child, ComponentAccess, Port, Site, World, child::Program};

/// From the start of the process until it serves, on a busy machine.
const READY: Duration = Duration::from_secs(20);

/// From SIGTERM until the end.
const STOP: Duration = Duration::from_secs(25);

/// Reading a whole log.
const LOG: Duration = Duration::from_secs(20);

/// A failure shows the output of so many runs before the present one.
const RUNS: usize = 3;

/// What people copy, so what is tested.
const WONDERLAND: [(&str, &str); 3] = [
    ("peer.yaml", include_str!("../../../examples/demo/wonderland/peer.yaml")),
    ("room.yaml", include_str!("../../../examples/demo/wonderland/room.yaml")),
    ("service.yaml", include_str!("../../../examples/demo/wonderland/service.yaml")),
];
const DENMARK: [(&str, &str); 3] = [
    ("peer.yaml", include_str!("../../../examples/demo/denmark/peer.yaml")),
    ("room.yaml", include_str!("../../../examples/demo/denmark/room.yaml")),
    ("service.yaml", include_str!("../../../examples/demo/denmark/service.yaml")),
];

/// The room of a site in `examples/demo`: two addresses of one room.
pub fn room(site: Site) -> &'static str {
    match site {
        Site::Wonderland => "rabbithole@rooms.wonderland.lit",
        Site::Denmark => "elsinore@talk.denmark.lit",
    }
}

/// What to start. See [`Node::config`].
#[derive(Clone, Debug)]
pub struct Config {
    site: Site,
    access: ComponentAccess,
    dir: PathBuf,
    manifests: Vec<(&'static str, String)>,
    filter: String,
    shared: Option<Shared>,
    host: Option<Host>,
    wrong: Vec<String>,
}

/// A store that several nodes share.
#[derive(Clone, Debug)]
struct Shared {
    url: String,
    pod: String,
    ttl: String,
}

/// One `muc-node`. It is killed when this value is dropped and when our process ends, however it ends.
#[derive(Debug)]
pub struct Node {
    config: Config,
    admin: Port,
    child: Child,
    /// What the runs before this one said last, the newest first.
    before: VecDeque<String>,
}

impl Node {
    /// Begins a configuration: the site's manifests, with host, port and secret of its component in this world.
    ///
    /// # Errors
    /// When the world has no such component.
    pub fn config(world: &World, site: Site) -> Result<Config> {
        let (name, manifests) = match site {
            Site::Wonderland => ("wonderland", WONDERLAND),
            Site::Denmark => ("denmark", DENMARK),
        };
        Ok(Config {
            site,
            access: world.access(site, site.rooms())?,
            dir: world.dir().join("nodes").join(name),
            manifests: manifests.map(|(file, text)| (file, text.to_owned())).to_vec(),
            filter: "info".to_owned(),
            shared: None,
            host: None,
            wrong: Vec::new(),
        })
    }

    /// Starts a site as it stands in `examples/demo` and waits until it serves.
    ///
    /// # Errors
    /// When `muc-node` is not built (says how to build it), or does not come up (with its output).
    pub async fn start(world: &World, site: Site) -> Result<Self> {
        Self::config(world, site)?.start().await
    }

    /// Which site it is.
    pub fn site(&self) -> Site {
        self.config.site
    }

    /// The room of this site.
    pub fn room(&self) -> &'static str {
        room(self.config.site)
    }

    /// The file of the store.
    pub fn store(&self) -> PathBuf {
        self.config.store()
    }

    /// Its admin listener.
    pub fn admin(&self) -> SocketAddr {
        self.config.admin(&self.admin)
    }

    /// The host of its own that it runs on, if there is one.
    pub fn host(&self) -> Option<&Host> {
        self.config.host.as_ref()
    }

    /// The process.
    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Ends it as a crash does (SIGKILL), and waits until it is gone.
    ///
    /// # Errors
    /// When it cannot be waited for.
    pub async fn kill9(&mut self) -> Result<()> {
        self.child.kill().await
    }

    /// Starts it again, with the same manifests, store and ports, and waits until it serves.
    ///
    /// # Errors
    /// When it runs, or does not come up (with its output).
    pub async fn start_again(&mut self) -> Result<()> {
        ensure!(!self.child.is_alive(), "{:?} still runs", self.config.site);
        self.before.push_front(self.child.report());
        self.before.truncate(RUNS);
        self.child = self.config.launch(&self.admin).await?;
        Ok(())
    }

    /// Whether it serves now.
    pub async fn serves(&self) -> bool {
        matches!(self.get("/ready").await, Ok((200, _)))
    }

    /// Whether it decides for the room of its site now.
    pub async fn owns_room(&self) -> bool {
        matches!(self.get(&format!("/owner?room={}", self.room())).await, Ok((200, _)))
    }

    /// Whether it has the stream to the XMPP server now.
    pub async fn has_link(&self) -> bool {
        self.get("/metrics").await.is_ok_and(|(_, text)| text.lines().any(|line| line == "warren_link_online 1"))
    }

    /// Asks it to end (SIGTERM) and waits for an orderly end.
    ///
    /// # Errors
    /// When it takes too long or its exit status is not 0; with the end of its output.
    pub async fn stop(&mut self) -> Result<()> {
        let pid = self.child.pid().with_context(|| format!("{:?} does not run", self.config.site))?;
        // A shell's own kill: procps need not be there.
        Command::new("sh").args(["-c", "kill -TERM \"$0\""]).arg(pid.to_string()).status().await?;
        let status = self.child.wait(STOP).await?;
        ensure!(status.success(), "muc-node of {:?} ended with {status}\n{}", self.config.site, self.child.report());
        Ok(())
    }

    /// The whole log of this site's room. The node may be running or not.
    ///
    /// # Errors
    /// When the log cannot be read, or an entry is not as documented.
    pub async fn log(&self) -> Result<Vec<LogEntry>> {
        log(self.room(), &self.config.url()).await
    }

    /// What the admin listener answers: status and body.
    ///
    /// # Errors
    /// When nobody answers.
    pub async fn get(&self, path: &str) -> Result<(u16, String)> {
        get(self.admin(), path).await
    }

    /// The end of its output, and that of the runs before, for people.
    pub fn report(&self) -> String {
        let runs: Vec<&str> = self.before.iter().rev().map(String::as_str).collect();
        format!("=== muc-node of {:?}\n{}{}", self.config.site, runs.concat(), self.child.report())
    }
}

impl Config {
    /// Replaces a piece of text that stands exactly once in the manifests.
    #[must_use]
    pub fn replace(mut self, old: &str, new: &str) -> Self {
        let found: usize = self.manifests.iter().map(|(_, text)| text.matches(old).count()).sum();
        if found == 1 {
            self.manifests.iter_mut().for_each(|(_, text)| *text = text.replace(old, new));
        } else {
            self.wrong.push(format!("{old:?} stands {found} times in the manifests of {:?}", self.site));
        }
        self
    }

    /// What is logged (default `info`). See `muc-node --log`.
    #[must_use]
    pub fn log(mut self, filter: &str) -> Self {
        filter.clone_into(&mut self.filter);
        self
    }

    /// Connects to the server through this address, as a proxy's.
    #[must_use]
    pub fn through(mut self, addr: SocketAddr) -> Self {
        self.access.addr = addr;
        self
    }

    /// Keeps everything in a database that it shares with other nodes (`postgres://…`), under this name.
    #[must_use]
    pub fn sharing(mut self, url: &str, pod: &str, ttl: &str) -> Self {
        self.shared = Some(Shared { url: url.to_owned(), pod: pod.to_owned(), ttl: ttl.to_owned() });
        self
    }

    /// Runs on a host of its own. The servers must be reached from there: see [`Config::through`] and
    /// [`Config::sharing`].
    #[must_use]
    pub fn on(mut self, host: &Host) -> Self {
        self.host = Some(host.clone());
        self
    }

    /// Where its listener is. A port that is free on loopback is free on a host that runs nothing else.
    fn admin(&self, port: &Port) -> SocketAddr {
        match &self.host {
            Some(host) => (host.addr(), port.number()).into(),
            None => port.addr(),
        }
    }

    /// Writes the manifests, starts the node and waits until it serves.
    ///
    /// # Errors
    /// As [`Node::start`].
    pub async fn start(self) -> Result<Node> {
        let admin = Port::draw()?;
        self.write()?;
        let child = self.launch(&admin).await?;
        Ok(Node { config: self, admin, child, before: VecDeque::new() })
    }

    fn url(&self) -> String {
        match &self.shared {
            Some(shared) => shared.url.clone(),
            None => format!("sqlite:{}", self.store().display()),
        }
    }

    fn write(&self) -> Result<()> {
        let dir = self.manifest_dir();
        std::fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
        ensure!(self.wrong.is_empty(), "{}", self.wrong.join("; "));
        for (file, text) in self.manifests()? {
            std::fs::write(dir.join(file), text)?;
        }
        Ok(())
    }

    /// The manifests as they are applied, by name of the file.
    ///
    /// # Errors
    /// When the service's manifest is not as expected.
    pub fn manifests(&self) -> Result<Vec<(&'static str, String)>> {
        let attached = |text: &String| {
            if text.contains("\nkind: MucService\n") { self.attached(text) } else { Ok(text.clone()) }
        };
        self.manifests.iter().map(|(file, text)| Ok((*file, attached(text)?))).collect()
    }

    /// The service's manifest with the component's real address and secret: nothing else may differ from the example.
    fn attached(&self, text: &str) -> Result<String> {
        let ComponentAccess { addr, secret, .. } = &self.access;
        let values = [("host", addr.ip().to_string()), ("port", addr.port().to_string()), ("secret", secret.clone())];
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        for (key, value) in values {
            let label = format!("{key}: ");
            let mut found = lines.iter_mut().filter(|line| line.trim_start().starts_with(&label));
            let (Some(line), None) = (found.next(), found.next()) else {
                bail!("the service's manifest does not have exactly one line with {label:?}");
            };
            let indent = line.len() - line.trim_start().len();
            *line = format!("{}{label}{value}", " ".repeat(indent));
        }
        Ok(lines.join("\n") + "\n")
    }

    async fn launch(&self, admin: &Port) -> Result<Child> {
        let store = self.url();
        let member = self.shared.iter().flat_map(|shared| ["--pod", &shared.pod, "--ttl", &shared.ttl]);
        let mesh = if self.shared.is_some() { self.mesh()? } else { Vec::new() };
        let manifests = self.manifest_dir();
        let admin = self.admin(admin);
        let (name, packages, before): (_, _, Vec<OsString>) = match &self.host {
            None => (binary()?, "none: cargo build -p warren-muc-node", Vec::new()),
            Some(host) => {
                let (nsenter, args) = host.prefix();
                (nsenter, "util-linux", args.into_iter().chain([binary()?.into()]).collect())
            }
        };
        let mut child = Child::start(Program {
            name,
            packages,
            args: before
                .into_iter()
                .chain(["serve".into(), "--manifests".into(), manifests.into(), "--store".into(), store.into()])
                .chain(["--admin".into(), admin.to_string().into()])
                .chain(member.map(Into::into))
                .chain(mesh)
                .collect(),
            env: vec![],
            logs: vec![],
        })
        .await?;
        let end = Instant::now() + READY;
        let mut missing = String::from("nobody answers at its admin address");
        loop {
            match get(admin, "/ready").await {
                Ok((200, _)) => return Ok(child),
                Ok((_, why)) => missing = why,
                Err(_) => {}
            }
            if !child.is_alive() {
                sleep(Duration::from_millis(50)).await; // lets the last output arrive
                bail!("muc-node of {:?} ended at once\n{}", self.site, child.report());
            }
            if Instant::now() > end {
                bail!("muc-node of {:?} is not there after {READY:?}: {missing}\n{}", self.site, child.report());
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Where other nodes of the same store reach this one: in the clear on loopback, else with certificates.
    fn mesh(&self) -> Result<Vec<OsString>> {
        let Some(host) = &self.host else {
            return Ok(["--mesh", "127.0.0.1:0", "--mesh-plaintext"].map(OsString::from).to_vec());
        };
        let [cert, key, ca] = crate::pki::files(self.dir.parent().unwrap_or(&self.dir))?;
        let addr: SocketAddr = (host.addr(), 0).into();
        let mut args = ["--mesh", &addr.to_string(), "--mesh-name", crate::pki::NAME].map(OsString::from).to_vec();
        for (flag, file) in [("--tls-cert", cert), ("--tls-key", key), ("--tls-ca", ca)] {
            args.extend([flag.into(), file.into_os_string()]);
        }
        Ok(args)
    }

    fn manifest_dir(&self) -> PathBuf {
        self.dir.join("manifests")
    }

    fn store(&self) -> PathBuf {
        self.dir.join("rooms.sqlite")
    }
}

/// The whole log of a room in a store.
///
/// # Errors
/// When the log cannot be read, or an entry is not as documented.
pub async fn log(room: &str, store: &str) -> Result<Vec<LogEntry>> {
    let output = Command::new(binary()?)
        .args(["log", room, "--format", "json", "--store", store])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = timeout(LOG, output).await.map_err(|_| anyhow!("muc-node log takes longer than {LOG:?}"))??;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "muc-node log {room} ended with {}: {error}", output.status);
    let text = String::from_utf8(output.stdout)?;
    text.lines().map(|line| LogEntry::parse(line).with_context(|| format!("in the log entry {line}"))).collect()
}

/// The `muc-node` that was built together with this program: it lies beside it, or above `deps` for tests.
///
/// # Errors
/// When it is not there; says how to build it.
pub fn binary() -> Result<&'static str> {
    static BINARY: OnceLock<std::result::Result<String, String>> = OnceLock::new();
    let found = BINARY.get_or_init(|| {
        let here = std::env::current_exe().map_err(|error| format!("where this program lies is not known: {error}"))?;
        let file = here.ancestors().skip(1).take(2).map(|dir| dir.join("muc-node")).find(|file| file.is_file());
        let file = file.ok_or_else(|| missing(&here))?;
        file.into_os_string().into_string().map_err(|file| format!("{} is not UTF-8", Path::new(&file).display()))
    });
    found.as_deref().map_err(|why| anyhow!("{why}"))
}

fn missing(here: &Path) -> String {
    let below = here.ancestors().nth(1).unwrap_or(here);
    format!(
        "there is no `muc-node` at {} or above: build it first, with the same profile: cargo build -p warren-muc-node",
        below.display()
    )
}

/// Status and body of a GET.
///
/// # Errors
/// When nobody answers.
pub async fn get(addr: SocketAddr, path: &str) -> Result<(u16, String)> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    let answer = async {
        let mut stream = TcpStream::connect(addr).await?;
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        anyhow::Ok(answer)
    };
    let answer = timeout(Duration::from_secs(2), answer).await.map_err(|_| anyhow!("no answer from {addr}"))??;
    let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok()).context("no HTTP")?;
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default();
    Ok((status, body))
}
