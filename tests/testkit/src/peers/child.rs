//! Child processes that die with us and can say what went wrong.

use std::{
    collections::VecDeque,
    ffi::OsString,
    fmt::Write as _,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    sync::{Arc, Mutex, OnceLock, PoisonError, mpsc},
    time::Duration,
};

use anyhow::{Context, Result, anyhow, bail};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    process::Command,
    runtime::Handle,
    sync::oneshot,
    time::{Instant, sleep, timeout},
};

/// How many lines of output and of each log a failure shows.
const TAIL: usize = 40;

/// How many lines of output are kept, so that a line somebody waits for is still there when it is looked for.
const KEPT: usize = 400;

/// What to start.
#[derive(Debug)]
pub struct Program {
    /// Looked up in `PATH`.
    pub name: &'static str,
    /// What brings it, for the error when it is missing.
    pub packages: &'static str,
    /// Arguments.
    pub args: Vec<OsString>,
    /// Environment, added to ours.
    pub env: Vec<(&'static str, OsString)>,
    /// Log files whose ends a failure shows.
    pub logs: Vec<PathBuf>,
}

/// A running process. It is killed when this value is dropped and when our process ends, however it ends.
#[derive(Debug)]
pub struct Child {
    name: &'static str,
    process: tokio::process::Child,
    output: Arc<Output>,
    logs: Vec<PathBuf>,
}

#[derive(Debug, Default)]
struct Output {
    tail: Mutex<VecDeque<String>>,
    news: tokio::sync::Notify,
}

impl Child {
    /// Starts a program with no input; its output is read all the time, so it never blocks on it.
    ///
    /// # Errors
    /// When a binary is missing; the error names the packages that bring it.
    pub async fn start(program: Program) -> Result<Self> {
        require(program.name, program.packages)?;
        require("setpriv", "util-linux")?;
        // The kernel sends the parent-death signal when the *thread* ends that spawned, hence the one that stays.
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "KILL", "--", program.name])
            .args(&program.args)
            .envs(program.env)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut process = spawn_from_lasting_thread(command)
            .await
            .with_context(|| format!("cannot start {} (packages: {})", program.name, program.packages))?;
        let output = Arc::new(Output::default());
        if let Some(pipe) = process.stdout.take() {
            tokio::spawn(drain(pipe, output.clone()));
        }
        if let Some(pipe) = process.stderr.take() {
            tokio::spawn(drain(pipe, output.clone()));
        }
        Ok(Self { name: program.name, process, output, logs: program.logs })
    }

    /// Waits until the process has written exactly this line.
    ///
    /// # Errors
    /// When it ends before, or the deadline passes; with the ends of its output and logs.
    pub async fn wait_for_line(&mut self, line: &str, deadline: Duration) -> Result<()> {
        let end = Instant::now() + deadline;
        loop {
            let output = self.output.clone();
            let news = output.news.notified();
            if lock(&output.tail).iter().any(|seen| seen == line) {
                return Ok(());
            }
            tokio::select! {
                () = news => {}
                status = self.process.wait() => {
                    sleep(Duration::from_millis(50)).await; // lets the last output arrive
                    bail!("{} ended with {}\n{}", self.name, status?, self.report());
                }
                () = tokio::time::sleep_until(end) => {
                    bail!("{} was not ready after {deadline:?}\n{}", self.name, self.report());
                }
            }
        }
    }

    /// The first line of its output, as far as that is kept, that holds `text`.
    pub fn line_with(&self, text: &str) -> Option<String> {
        lock(&self.output.tail).iter().find(|line| line.contains(text)).cloned()
    }

    /// Waits until an XMPP stream header sent to `addr` is answered. `ns` is the content namespace.
    ///
    /// # Errors
    /// As [`Child::wait_for_line`].
    pub async fn wait_for_stream(
        &mut self,
        addr: std::net::SocketAddr,
        ns: &str,
        to: &str,
        deadline: Duration,
    ) -> Result<()> {
        let end = Instant::now() + deadline;
        let header = format!(
            "<?xml version='1.0'?><stream:stream xmlns='{ns}' xmlns:stream='http://etherx.jabber.org/streams' \
             to='{to}' version='1.0'>"
        );
        loop {
            if answers(addr, &header).await {
                return Ok(());
            }
            if let Some(status) = self.process.try_wait()? {
                bail!("{} ended with {status}\n{}", self.name, self.report());
            }
            if Instant::now() > end {
                bail!("{} did not answer a stream to {to} on {addr} within {deadline:?}\n{}", self.name, self.report());
            }
            sleep(Duration::from_millis(15)).await;
        }
    }

    /// Whether it still runs.
    pub fn is_alive(&mut self) -> bool {
        matches!(self.process.try_wait(), Ok(None))
    }

    /// Its process id, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.process.id()
    }

    /// Waits for it to end by itself.
    ///
    /// # Errors
    /// When it still runs after `deadline`.
    pub async fn wait(&mut self, deadline: Duration) -> Result<ExitStatus> {
        let ended = timeout(deadline, self.process.wait()).await;
        Ok(ended.map_err(|_| anyhow!("{} still runs after {deadline:?}\n{}", self.name, self.report()))??)
    }

    /// Kills it (SIGKILL) and waits for its end.
    ///
    /// # Errors
    /// When it cannot be waited for.
    pub async fn kill(&mut self) -> Result<()> {
        self.process.kill().await.with_context(|| format!("cannot kill {}", self.name))
    }

    /// Asks it to end (SIGTERM), waits, and kills it if it does not.
    ///
    /// # Errors
    /// When it cannot be waited for.
    pub async fn stop(&mut self, grace: Duration) -> Result<()> {
        if let Some(pid) = self.process.id() {
            // A shell's own kill: procps need not be there.
            let asked = Command::new("sh").args(["-c", "kill -TERM \"$0\""]).arg(pid.to_string()).status().await;
            if asked.is_ok_and(|status| status.success()) && timeout(grace, self.process.wait()).await.is_ok() {
                return Ok(());
            }
        }
        self.kill().await
    }

    /// The ends of its output and of its logs, for people.
    pub fn report(&self) -> String {
        let mut text = format!("--- output of {}\n", self.name);
        let output = lock(&self.output.tail);
        for line in output.iter().skip(output.len().saturating_sub(TAIL)) {
            let _ = writeln!(text, "{line}");
        }
        drop(output);
        for log in &self.logs {
            let _ = writeln!(text, "--- {}\n{}", log.display(), tail_of(log));
        }
        text
    }
}

/// Says so when `program` is not in `PATH`.
///
/// # Errors
/// One sentence that names the Debian packages.
pub fn require(program: &str, packages: &str) -> Result<()> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    if std::env::split_paths(&path).any(|dir| dir.join(program).is_file()) {
        return Ok(());
    }
    bail!("`{program}` is not installed; on Debian: apt-get install -y --no-install-recommends {packages}")
}

async fn answers(addr: std::net::SocketAddr, header: &str) -> bool {
    let attempt = async {
        let mut stream = TcpStream::connect(addr).await?;
        stream.write_all(header.as_bytes()).await?;
        let mut answer = [0; 16];
        stream.read(&mut answer).await
    };
    matches!(timeout(Duration::from_secs(1), attempt).await, Ok(Ok(1..)))
}

type Job = Box<dyn FnOnce() + Send>;

async fn spawn_from_lasting_thread(mut command: Command) -> Result<tokio::process::Child> {
    static SPAWNER: OnceLock<mpsc::Sender<Job>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (jobs, todo) = mpsc::channel::<Job>();
        std::thread::spawn(move || todo.into_iter().for_each(|job| job()));
        jobs
    });
    let (answer, spawned) = oneshot::channel();
    let runtime = Handle::current();
    let job = move || {
        let _entered = runtime.enter();
        answer.send(command.spawn()).ok();
    };
    spawner.send(Box::new(job)).map_err(|_| anyhow!("the thread that starts processes is gone"))?;
    Ok(spawned.await.context("the thread that starts processes is gone")??)
}

async fn drain(pipe: impl AsyncRead + Unpin, output: Arc<Output>) {
    let mut lines = BufReader::new(pipe).split(b'\n');
    while let Ok(Some(line)) = lines.next_segment().await {
        let mut tail = lock(&output.tail);
        if tail.len() == KEPT {
            tail.pop_front();
        }
        tail.push_back(String::from_utf8_lossy(&line).into_owned());
        drop(tail);
        output.news.notify_one();
    }
}

fn tail_of(path: &Path) -> String {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) => return format!("({error})"),
    };
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(TAIL)..].join("\n")
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
