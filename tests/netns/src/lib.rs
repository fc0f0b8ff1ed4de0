//! Hosts with a cable that can be pulled.
//!
//! A process that is killed still has a kernel that says good-bye for it (FIN, RST). A host that vanishes says nothing
//! at all, and everybody who talks to it finds out by waiting. So a [`Host`] is a network namespace, and its cable goes
//! to a switch (a bridge), not to the servers: to pull it is to take down a port of the switch. Then nobody's address
//! or route changes on either side, and packets of both directions are lost without a word.
//!
//! It needs root and iproute2. Everything here blocks and needs no runtime. Nothing is left behind, however the process
//! ends: a small shell waits for that, and if it was killed, too, the next [`Lan`] cleans up.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread;

use anyhow::{Context, Result, anyhow, bail, ensure};
use rustix::process::geteuid;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

const PACKAGES: &str = "iproute2 util-linux";
/// Where iproute2 keeps the namespaces that have a name.
const NAMESPACES: &str = "/run/netns";
const DEVICES: &str = "/sys/class/net";
/// Switches of all processes together.
const LANS: u16 = 512;

/// `$0`: process, `$1`: number of the LAN. Only if that LAN is (still) that process's.
const CLEAN: &str = "[ \"$(cat /sys/class/net/warren$1/ifalias 2>/dev/null)\" = \"warren-$0\" ] || exit 0
    for host in /run/netns/warren-$0-$1-*; do [ -e \"$host\" ] && ip netns del \"${host##*/}\"; done
    for port in /sys/class/net/warren$1-*; do [ -e \"$port\" ] && ip link del \"${port##*/}\"; done
    ip link del \"warren$1\"";

/// A switch, and this machine's own cable to it.
///
/// Its addresses are of 198.18.0.0/15, which is set aside for tests of networks (RFC 2544) and is in use nowhere else.
/// No two have the same, in whatever processes they are: the kernel gives the name of a switch once.
#[derive(Clone, Debug)]
pub struct Lan(Arc<Switch>);

#[derive(Debug)]
struct Switch {
    number: u16,
    hosts: AtomicU8,
    janitor: Child,
}

/// A host on a [`Lan`]. It is gone when the last copy of this value is.
#[derive(Clone, Debug)]
pub struct Host(Arc<Cabled>);

#[derive(Debug)]
struct Cabled {
    name: String,
    port: String,
    addr: Ipv4Addr,
    /// The switch must be there for as long as its hosts.
    _lan: Lan,
}

impl Lan {
    /// Makes a switch without hosts.
    ///
    /// # Errors
    /// Without root, without iproute2, or where the kernel has no bridges: one sentence with what to do.
    pub fn new() -> Result<Self> {
        for program in ["ip", "nsenter"] {
            require(program)?;
        }
        ensure!(
            geteuid().is_root(),
            "hosts of their own need root (CAP_NET_ADMIN): run these tests with sudo -E env PATH=\"$PATH\" cargo test …"
        );
        fs::create_dir_all(NAMESPACES).with_context(|| format!("cannot create {NAMESPACES}"))?;
        // Nobody cleans up while somebody else begins.
        let all = File::open(NAMESPACES)?;
        all.lock().with_context(|| format!("cannot lock {NAMESPACES}"))?;
        clean_up_after_the_dead();
        let pid = std::process::id();
        let first = u16::try_from(pid % u32::from(LANS))?;
        for number in (first..LANS).chain(0..first) {
            let name = format!("warren{number}");
            if Path::new(DEVICES).join(&name).exists() {
                continue;
            }
            ip(&["link", "add", &name, "type", "bridge"])
                .context("no switch: the kernel must have bridges, and root the right CAP_NET_ADMIN")?;
            ip(&["link", "set", "dev", &name, "alias", &format!("warren-{pid}")])?;
            let janitor = Command::new("sh")
                .args(["-c", &format!("trap '' INT TERM HUP; cat >/dev/null; {CLEAN}")])
                .args([pid.to_string(), number.to_string()])
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .context("cannot start sh")?;
            let lan = Self(Arc::new(Switch { number, hosts: AtomicU8::new(0), janitor }));
            ip(&["addr", "add", &format!("{}/24", lan.addr()), "dev", &name])?;
            ip(&["link", "set", "dev", &name, "up"])?;
            return Ok(lan);
        }
        bail!("there are {LANS} switches already: `ip link` shows them, and the processes in their aliases");
    }

    /// This machine's address on it: here servers are to listen.
    pub fn addr(&self) -> Ipv4Addr {
        self.0.addr(1)
    }

    /// Its network, as `198.18.7.0/24`.
    pub fn network(&self) -> String {
        format!("{}/24", self.0.addr(0))
    }

    /// Makes one more host and plugs it in.
    ///
    /// # Errors
    /// When iproute2 or the kernel refuses.
    pub fn host(&self) -> Result<Host> {
        let index = self.0.hosts.fetch_add(1, Ordering::Relaxed);
        ensure!(index < 250, "250 hosts on a switch are enough");
        let (number, addr) = (self.0.number, self.0.addr(2 + index));
        let name = format!("warren-{}-{number}-{index}", std::process::id());
        let port = format!("warren{number}-{index}");
        ip(&["netns", "add", &name])?;
        let host = Host(Arc::new(Cabled { name, port, addr, _lan: self.clone() }));
        let Cabled { name, port, .. } = &*host.0;
        ip(&["link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", name])?;
        ip(&["link", "set", "dev", port, "master", &format!("warren{number}"), "up"])?;
        ip(&["-n", name, "addr", "add", &format!("{addr}/24"), "dev", "eth0"])?;
        for device in ["lo", "eth0"] {
            ip(&["-n", name, "link", "set", "dev", device, "up"])?;
        }
        Ok(host)
    }
}

impl Switch {
    fn addr(&self, host: u8) -> Ipv4Addr {
        let [high, low] = self.number.to_be_bytes();
        Ipv4Addr::new(198, 18 + high, low, host)
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        // The end of its input.
        drop(self.janitor.stdin.take());
        self.janitor.wait().ok();
    }
}

impl Host {
    /// Its address, which is reached from this machine and from the other hosts.
    pub fn addr(&self) -> Ipv4Addr {
        self.0.addr
    }

    /// What must stand before a program and its arguments so that it runs there. The process is the program's own.
    pub fn prefix(&self) -> (&'static str, [OsString; 2]) {
        let mut net = OsString::from("--net=");
        net.push(self.namespace());
        ("nsenter", [net, "--".into()])
    }

    /// A program that is to run there.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let (nsenter, args) = self.prefix();
        let mut command = Command::new(nsenter);
        command.args(args).arg(program);
        command
    }

    /// Runs something on a thread that is there: sockets and threads that it makes belong to this host.
    ///
    /// # Errors
    /// When the kernel does not let us in.
    ///
    /// # Panics
    /// When `work` does.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        let namespace = File::open(self.namespace())?;
        let enter = || move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network));
        thread::scope(|scope| {
            let inside = scope.spawn(|| enter().map(|()| work()));
            inside.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
        .with_context(|| format!("cannot enter {}", self.0.name))
    }

    /// Pulls the cable: nothing gets in or out, and nobody is told.
    ///
    /// # Errors
    /// When iproute2 fails.
    pub fn unplug(&self) -> Result<()> {
        ip(&["link", "set", "dev", &self.0.port, "down"])
    }

    /// Puts it back.
    ///
    /// # Errors
    /// When iproute2 fails.
    pub fn plug(&self) -> Result<()> {
        ip(&["link", "set", "dev", &self.0.port, "up"])
    }

    fn namespace(&self) -> PathBuf {
        Path::new(NAMESPACES).join(&self.0.name)
    }
}

impl Drop for Cabled {
    fn drop(&mut self) {
        // The janitor takes what is left.
        ip(&["netns", "del", &self.name]).ok();
        ip(&["link", "del", &self.port]).ok();
    }
}

/// Whatever a process left whose janitor was killed with it.
fn clean_up_after_the_dead() {
    for device in fs::read_dir(DEVICES).into_iter().flatten().flatten() {
        let name = device.file_name().to_string_lossy().into_owned();
        let number = name.strip_prefix("warren").and_then(|number| number.parse::<u16>().ok());
        let alias = fs::read_to_string(device.path().join("ifalias")).unwrap_or_default();
        let pid = alias.trim().strip_prefix("warren-").and_then(|pid| pid.parse::<u32>().ok());
        if let (Some(number), Some(pid)) = (number, pid)
            && !Path::new("/proc").join(pid.to_string()).exists()
        {
            let args = [pid.to_string(), number.to_string()];
            Command::new("sh").args(["-c", CLEAN]).args(args).stderr(Stdio::null()).status().ok();
        }
    }
}

fn require(program: &str) -> Result<()> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).any(|dir| dir.join(program).is_file());
    ensure!(
        found,
        "`{program}` is not installed; on Debian: apt-get install -y --no-install-recommends {PACKAGES} (it must be in \
         PATH, as /usr/sbin is for root)"
    );
    Ok(())
}

fn ip(args: &[&str]) -> Result<()> {
    let said = Command::new("ip").args(args).stdin(Stdio::null()).output().context("cannot run ip")?;
    if said.status.success() {
        return Ok(());
    }
    let why = String::from_utf8_lossy(&said.stderr);
    Err(anyhow!("ip {}: {}", args.join(" "), why.trim()))
}
