//! The server.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustix::net::{AddressFamily, SocketType, bind, getsockname, socket, sockopt};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

const PACKAGE: &str = "postgresql";
/// Of the distribution; `initdb` and the server refuse to run as root.
const USERS: [(&str, &str); 2] = [("postgres", "postgres"), ("nobody", "nogroup")];

/// Whether what is committed is on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// As in production.
    Disk,
    /// Fast: for tests of everything but durability. What is committed survives the server, not the machine.
    Memory,
}

/// Certificates of a server.
#[derive(Clone, Debug)]
pub struct Tls {
    /// The certificate that it is to be trusted by, PEM. It is for `localhost`.
    pub root: PathBuf,
    /// Another one, which has signed nothing.
    pub stranger: PathBuf,
}

/// A server with a directory of its own, on a port of its own of 127.0.0.1.
#[derive(Debug)]
pub struct Server {
    process: Mutex<Option<Child>>,
    bin: PathBuf,
    port: u16,
    durability: Durability,
    also_at: Option<Ipv4Addr>,
    tls: Option<Tls>,
    databases: AtomicU32,
    // In this order: the janitor, too, would remove the directory.
    dir: TempDir,
    _janitor: Child,
    /// Bound, never listening: nobody else is given the port.
    _holder: OwnedFd,
}

impl Server {
    /// Makes a cluster of databases and starts its server.
    ///
    /// # Errors
    /// When PostgreSQL is not installed or does not come up; says so with the end of its log.
    pub fn start(durability: Durability) -> Result<Self> {
        Self::start_at(durability, None)
    }

    /// The same, and it listens at this address of ours, too, for whoever is in the /24 around it. See
    /// [`Server::seen_at`].
    ///
    /// # Errors
    /// As [`Server::start`].
    pub fn start_also_at(durability: Durability, addr: Ipv4Addr) -> Result<Self> {
        Self::start_at(durability, Some(addr))
    }

    fn start_at(durability: Durability, also_at: Option<Ipv4Addr>) -> Result<Self> {
        let bin = binaries()?;
        let dir = tempfile::Builder::new().prefix("warren-pg-").tempdir().context("no directory for PostgreSQL")?;
        let janitor = Command::new("sh")
            // Processes of a server that was killed write on for a moment.
            .args([
                "-c",
                "trap '' INT TERM HUP; cat >/dev/null; n=0; \
                 while [ -d \"$0\" ] && [ $n -lt 40 ]; do sleep 0.25; rm -rf -- \"$0\"; n=$((n + 1)); done",
            ])
            .arg(dir.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start sh")?;
        if rustix::process::geteuid().is_root() {
            let (user, group) = user()?;
            let given = Command::new("chown").arg(format!("{user}:{group}")).arg(dir.path()).status()?;
            ensure!(given.success(), "cannot give {} to {user}", dir.path().display());
        }
        let (holder, port) = hold_port()?;
        let tls = certificates(dir.path())?;
        let server = Self {
            process: Mutex::new(None),
            bin,
            port,
            durability,
            also_at,
            tls: Some(tls),
            databases: AtomicU32::new(0),
            dir,
            _janitor: janitor,
            _holder: holder,
        };
        let data = server.data();
        let mut init = server.command("initdb");
        init.args(["-U", "warren", "-A", "trust", "-E", "UTF8", "--no-locale", "-D"]).arg(&data);
        if durability == Durability::Memory {
            init.arg("-N");
        }
        let made = init.output().context("cannot run initdb")?;
        ensure!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        if let Some(addr) = also_at {
            let file = data.join("pg_hba.conf");
            let known = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
            fs::write(&file, format!("{known}host all all {addr} 255.255.255.0 trust\n"))?;
        }
        server.restart()?;
        Ok(server)
    }

    /// One server for all tests of a binary.
    ///
    /// # Panics
    /// When it does not start.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Server> = OnceLock::new();
        SHARED.get_or_init(|| Self::start(Durability::Memory).unwrap_or_else(|error| panic!("{error:#}")))
    }

    /// Makes a new and empty database and returns its connection string.
    ///
    /// # Errors
    /// When the server refuses.
    pub fn database(&self) -> Result<String> {
        Ok(self.dsn(&self.create()?))
    }

    /// The same as a URL, as `muc-node` takes it.
    ///
    /// # Errors
    /// When the server refuses.
    pub fn database_url(&self) -> Result<String> {
        Ok(format!("postgres://warren@127.0.0.1:{}/{}?sslmode=disable", self.port, self.create()?))
    }

    /// A connection string or URL of this server, for whoever sees it at another address.
    pub fn seen_at(&self, addr: Ipv4Addr, dsn: &str) -> String {
        dsn.replace("127.0.0.1", &addr.to_string())
    }

    /// A new and empty database; its name.
    fn create(&self) -> Result<String> {
        let name = format!("d{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.sql("postgres", &format!("CREATE DATABASE {name}"))?;
        Ok(name)
    }

    /// A connection string, as text of keywords without TLS.
    pub fn dsn(&self, database: &str) -> String {
        format!("host=127.0.0.1 port={} user=warren dbname={database} sslmode=disable", self.port)
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    /// Its certificates.
    pub fn tls(&self) -> Option<&Tls> {
        self.tls.as_ref()
    }

    /// Runs SQL in a database and returns what it says: rows of columns with `|` between them.
    ///
    /// # Errors
    /// When it fails.
    pub fn sql(&self, database: &str, sql: &str) -> Result<String> {
        let own = self.bin.join("psql");
        let psql = Command::new(if own.is_file() { own.as_path() } else { Path::new("psql") })
            .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", &self.dsn(database), "-c", sql])
            .stdin(Stdio::null())
            .output()
            .with_context(|| missing("psql"))?;
        ensure!(psql.status.success(), "{sql}: {}", String::from_utf8_lossy(&psql.stderr));
        Ok(String::from_utf8(psql.stdout)?.trim_end().to_owned())
    }

    /// Kills it (SIGKILL) as a crash would, with all its processes.
    ///
    /// # Errors
    /// When it is not running.
    pub fn kill(&self) -> Result<()> {
        let mut process = self.process();
        let child = process.as_mut().context("the server is not running")?;
        child.kill()?;
        child.wait()?;
        *process = None;
        Ok(())
    }

    /// Stops (true) or continues all its processes: a machine that hangs.
    ///
    /// # Errors
    /// When it is not running.
    pub fn freeze(&self, frozen: bool) -> Result<()> {
        let process = self.process();
        let id = process.as_ref().context("the server is not running")?.id();
        let signal = if frozen { Signal::STOP } else { Signal::CONT };
        // The postmaster first: it must not replace the others.
        let mut ids = vec![id];
        for entry in fs::read_dir("/proc")?.flatten() {
            let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
            // "pid (name) state parent …"
            let parent = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1)?.parse().ok());
            if parent == Some(id) {
                ids.extend(entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()));
            }
        }
        for id in ids {
            let pid = i32::try_from(id).ok().and_then(Pid::from_raw).context("a process id")?;
            // One that has ended meanwhile is stopped well enough.
            kill_process(pid, signal).ok();
        }
        Ok(())
    }

    /// Starts it again on the same directory and port; waits until it answers.
    ///
    /// # Errors
    /// When it runs already or does not come up.
    pub fn restart(&self) -> Result<()> {
        let mut process = self.process();
        ensure!(process.is_none(), "the server runs already");
        let log = self.dir.path().join("log");
        let mut command = self.command("postgres");
        command.arg("-D").arg(self.data());
        command.args(["-p", &self.port.to_string()]);
        let sockets = format!("unix_socket_directories={}", self.dir.path().display());
        let also_at = self.also_at.map(|addr| format!(",{addr}")).unwrap_or_default();
        let listen = format!("listen_addresses=127.0.0.1{also_at}");
        let mut settings = vec![listen.as_str(), &sockets, "shared_buffers=32MB", "max_connections=400"];
        if self.durability == Durability::Memory {
            settings.extend(["fsync=off", "synchronous_commit=off", "full_page_writes=off"]);
        }
        let (cert, key) = (self.dir.path().join("server.crt"), self.dir.path().join("server.key"));
        let (cert, key) = (format!("ssl_cert_file={}", cert.display()), format!("ssl_key_file={}", key.display()));
        settings.extend(["ssl=on", &cert, &key]);
        for setting in settings {
            command.args(["-c", setting]);
        }
        let output = File::create(&log)?;
        command.stdout(output.try_clone()?).stderr(output).stdin(Stdio::null());
        let mut child = spawn(command)?;
        let end = Instant::now() + Duration::from_secs(30);
        loop {
            if let Some(status) = child.try_wait()? {
                bail!("postgres ended with {status}\n{}", fs::read_to_string(&log).unwrap_or_default());
            }
            // The port alone says little: while it recovers, it listens and turns everybody away.
            if TcpStream::connect(self.addr()).is_ok() && self.sql("postgres", "SELECT 1").is_ok() {
                break;
            }
            if Instant::now() > end {
                child.kill().ok();
                bail!("postgres did not come up in 30 s\n{}", fs::read_to_string(&log).unwrap_or_default());
            }
            thread::sleep(Duration::from_millis(10));
        }
        *process = Some(child);
        Ok(())
    }

    fn process(&self) -> MutexGuard<'_, Option<Child>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// A program of PostgreSQL, as a user that it accepts, that is killed when this process ends.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL"]);
        if rustix::process::geteuid().is_root()
            && let Ok((user, group)) = user()
        {
            command.args([format!("--reuid={user}"), format!("--regid={group}"), "--clear-groups".to_owned()]);
        }
        command.arg("--").arg(self.bin.join(program)).current_dir(self.dir.path()).stdin(Stdio::null());
        command
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.freeze(false);
        let _ = self.kill();
    }
}

fn missing(program: &str) -> String {
    format!("`{program}` is not installed; on Debian: apt-get install -y --no-install-recommends {PACKAGE}")
}

/// Where the programs are: the newest of the distribution, else in `PATH`.
fn binaries() -> Result<PathBuf> {
    let version = |path: &PathBuf| {
        path.parent()?.file_name()?.to_str()?.parse::<u32>().ok().filter(|_| path.join("initdb").is_file())
    };
    let found = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = found.map(|entry| entry.path().join("bin")).filter_map(|bin| Some((version(&bin)?, bin))).max();
    if let Some((_, bin)) = newest {
        return Ok(bin);
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).find(|dir| dir.join("initdb").is_file() && dir.join("postgres").is_file());
    found.with_context(|| missing("postgres"))
}

fn user() -> Result<(&'static str, &'static str)> {
    let users = fs::read_to_string("/etc/passwd").context("cannot read /etc/passwd")?;
    let known = |name: &str| users.lines().any(|line| line.split(':').next() == Some(name));
    let found = USERS.into_iter().find(|(user, _)| known(user));
    found.context("neither a user postgres nor nobody: PostgreSQL refuses to run as root")
}

fn hold_port() -> Result<(OwnedFd, u16)> {
    let holder = socket(AddressFamily::INET, SocketType::STREAM, None)?;
    sockopt::set_socket_reuseaddr(&holder, true)?;
    bind(&holder, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0)).context("no free port on 127.0.0.1")?;
    let at = SocketAddrV4::try_from(getsockname(&holder)?)?;
    Ok((holder, at.port()))
}

/// A CA, its certificate for the server, and another CA.
fn certificates(dir: &Path) -> Result<Tls> {
    let make = |name: &str| -> Result<(PathBuf, Issuer<'static, KeyPair>)> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let file = dir.join(name);
        fs::write(&file, params.self_signed(&key)?.pem())?;
        Ok((file, Issuer::new(params, key)))
    };
    let (root, issuer) = make("root.crt")?;
    let (stranger, _) = make("stranger.crt")?;
    let key = KeyPair::generate()?;
    let params = CertificateParams::new(vec!["localhost".to_owned()])?;
    fs::write(dir.join("server.crt"), params.signed_by(&key, &issuer)?.pem())?;
    let file = dir.join("server.key");
    fs::write(&file, key.serialize_pem())?;
    let closed = Command::new("chmod").arg("600").arg(&file).status()?;
    ensure!(closed.success(), "cannot close {}", file.display());
    if rustix::process::geteuid().is_root() {
        let (user, group) = user()?;
        let given = Command::new("chown").arg(format!("{user}:{group}")).arg(&file).status()?;
        ensure!(given.success(), "cannot give {} to {user}", file.display());
    }
    Ok(Tls { root, stranger })
}

/// Starts it from a thread that stays: the kernel kills it when the *thread* ends that started it.
fn spawn(mut command: Command) -> Result<Child> {
    type Job = Box<dyn FnOnce() + Send>;
    static SPAWNER: OnceLock<Mutex<mpsc::Sender<Job>>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (jobs, todo) = mpsc::channel::<Job>();
        thread::spawn(move || todo.into_iter().for_each(|job| job()));
        Mutex::new(jobs)
    });
    let (answer, spawned) = mpsc::channel();
    let job: Job = Box::new(move || {
        answer.send(command.spawn()).ok();
    });
    spawner.lock().unwrap_or_else(PoisonError::into_inner).send(job).ok().context("the spawning thread is gone")?;
    spawned
        .recv()
        .context("the spawning thread is gone")?
        .context("cannot start postgres (package util-linux brings setpriv)")
}
