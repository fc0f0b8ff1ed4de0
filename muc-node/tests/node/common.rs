//! A directory with manifests and a store, and nodes that run on it.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};
use warren_testkit::acceptor::Acceptor;

pub const SECRET: &str = "tea";
pub const ROOM: &str = "lobby@rooms.wonderland.lit";
pub const ALICE: &str = "alice@wonderland.lit/phone";
pub const BOB: &str = "bob@wonderland.lit/laptop";
/// Long enough for a machine that is busy with other tests.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// What a node runs on.
pub struct Site {
    pub dir: TempDir,
}

impl Site {
    /// One room, and a server at `server`.
    pub fn new(server: SocketAddr) -> Self {
        let site = Self { dir: tempfile::tempdir().unwrap() };
        std::fs::create_dir(site.manifests()).unwrap();
        site.declare("site.yaml", &manifest(server));
        site
    }

    /// The same for an acceptor.
    pub fn of(acceptor: &Acceptor) -> Self {
        Self::new(acceptor.addr().unwrap())
    }

    pub fn manifests(&self) -> PathBuf {
        self.dir.path().join("manifests")
    }

    pub fn file(&self) -> PathBuf {
        self.dir.path().join("rooms.db")
    }

    pub fn store(&self) -> String {
        format!("sqlite:{}", self.file().display())
    }

    pub fn declare(&self, name: &str, yaml: &str) {
        std::fs::write(self.manifests().join(name), yaml).unwrap();
    }

    /// Declares rooms r0, r1, …; `spec`: what their spec has besides, each line with its own end.
    pub fn declare_rooms(&self, count: usize, spec: &str) {
        let mut yaml = String::new();
        for n in 0..count {
            let _ = write!(
                yaml,
                "---\napiVersion: warren.chat/v1alpha1\nkind: FederatedRoom\nmetadata: {{name: r{n}}}\n\
                 spec:\n  serviceRef: {{name: chat}}\n{spec}"
            );
        }
        self.declare("rooms.yaml", &yaml);
    }

    /// The usual arguments of `serve`.
    pub fn args(&self) -> Vec<String> {
        let manifests = self.manifests().display().to_string();
        ["serve", "--manifests", &manifests, "--store", &self.store(), "--admin", "127.0.0.1:0"]
            .map(str::to_owned)
            .to_vec()
    }

    pub fn serve(&self) -> Node {
        Node::start(&self.args())
    }
}

pub fn manifest(server: SocketAddr) -> String {
    format!(
        "apiVersion: warren.chat/v1alpha1
kind: MucService
metadata: {{name: chat}}
spec:
  domain: rooms.wonderland.lit
  homeDomains: [wonderland.lit]
  transport:
    component: {{host: {}, port: {}, secretRef: {{name: component, key: secret}}}}
---
apiVersion: v1
kind: Secret
metadata: {{name: component}}
stringData: {{secret: {SECRET}}}
---
apiVersion: warren.chat/v1alpha1
kind: FederatedRoom
metadata: {{name: lobby}}
spec:
  serviceRef: {{name: chat}}
  affiliations:
    entries:
    - {{jid: alice@wonderland.lit, affiliation: Owner}}
",
        server.ip(),
        server.port()
    )
}

/// The node under test.
fn binary() -> PathBuf {
    std::env::var_os("WARREN_NODE").map_or_else(|| env!("CARGO_BIN_EXE_muc-node").into(), PathBuf::from)
}

/// A running node.
pub struct Node {
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
}

impl Node {
    pub fn start(args: &[String]) -> Self {
        let mut child = Command::new(binary())
            .args(args)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let into = log.clone();
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                into.lock().unwrap().push(line);
            }
        });
        Self { child, log }
    }

    pub fn log(&self) -> String {
        self.log.lock().unwrap().join("\n")
    }

    pub fn pid(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    /// Waits for a line of the log that holds `text`, and gives it.
    pub async fn said(&self, text: &str) -> String {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(line) = self.log.lock().unwrap().iter().find(|line| line.contains(text)) {
                return line.clone();
            }
            assert!(Instant::now() < until, "it never says {text:?}:\n{}", self.log());
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// Address of the admin listener.
    pub async fn admin(&self) -> SocketAddr {
        let line = self.said("the admin listener is up").await;
        let after = line.split("\"addr\":\"").nth(1).expect("an address");
        after.split('"').next().unwrap().parse().unwrap()
    }

    pub fn signal(&self, name: &str) {
        let pid = self.pid().to_string();
        assert!(std::process::Command::new("kill").args([name, &pid]).status().unwrap().success());
    }

    pub async fn ended(&mut self) -> ExitStatus {
        let ended = timeout(PATIENCE, self.child.wait()).await;
        let status = ended.unwrap_or_else(|_| panic!("it does not end:\n{}", self.log())).unwrap();
        // The rest of its log.
        sleep(Duration::from_millis(50)).await;
        status
    }

    pub async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    /// Resident memory in bytes.
    pub fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("VmRSS");
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
    }

    /// Waits until the process takes SIGTERM itself.
    pub async fn listens_to_signals(&self) {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
            let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).expect("SigCgt");
            if u64::from_str_radix(mask.trim(), 16).unwrap() & (1 << 14) != 0 {
                return;
            }
            sleep(Duration::from_millis(1)).await;
        }
        panic!("no handler for SIGTERM");
    }
}

/// What a command that ends by itself says.
pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

pub async fn run(args: &[&str], dir: &Path) -> Said {
    let mut command = Command::new(binary());
    let output = command.args(args).env_clear().current_dir(dir).stdin(Stdio::null()).output();
    let output = timeout(PATIENCE, output).await.expect("it ends").unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Said { code: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
}

/// Status and body of a GET.
pub async fn get(addr: SocketAddr, path: &str) -> (u16, String) {
    let mut socket = TcpStream::connect(addr).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    (head.split_whitespace().nth(1).unwrap().parse().unwrap(), body.to_owned())
}

pub fn groupchat(from: &str, to: &str, id: &str, body: &str) -> String {
    format!("<message type='groupchat' from='{from}' to='{to}' id='{id}'><body>{body}</body></message>")
}
