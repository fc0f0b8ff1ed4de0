//! Operators and nodes as processes, with the rights of operator/yaml/rbac.yaml and no others.

use std::{
    fs::File,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, sleep},
};
use warren_cluster::{Cluster, Kubectl, Namespace, run_longer, shared};
use warren_testkit::{acceptor::Acceptor, node};

pub const SECRET: &str = "sesame";
/// A program that does not do it in this time does not do it.
const PATIENCE: Duration = Duration::from_secs(40);

/// One namespace with an operator's rights.
pub struct World {
    pub kubectl: Kubectl,
    pub namespace: Namespace,
    operator: PathBuf,
    dir: TempDir,
}

/// Runs a story on the one cluster of this binary. Two cores do not carry several at once, and those that wait do not
/// use up their time.
pub fn story(test: impl AsyncFnOnce(&'static Cluster) -> Result<()>) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    shared(test);
}

/// Runs a story on a cluster of its own, whose server it may kill; `idle` of its time nobody needs the machine.
pub fn story_alone(idle: Duration, test: impl AsyncFnOnce(Cluster) -> Result<()>) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    run_longer(idle, async { test(Cluster::own().await?).await });
}

static ALONE: Mutex<()> = Mutex::new(());

/// A process that ends with the test.
pub struct Process {
    child: Child,
    log: PathBuf,
    pub admin: SocketAddr,
}

/// An address that nobody listens at.
pub fn free() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

impl World {
    pub async fn new(cluster: &Cluster, tag: &str) -> Result<Self> {
        let namespace = cluster.namespace(tag).await?;
        let name = namespace.name().to_owned();
        let operator = cluster.service_account(&name, "warren-operator").await?;
        let rights = include_str!("../../../../operator/yaml/rbac.yaml");
        // The same roles, bound here.
        let binding = "kind: ClusterRoleBinding\nmetadata:\n  name: warren-operator";
        ensure!(rights.contains(binding), "the binding in rbac.yaml looks different");
        let rights = rights.replace(binding, &format!("{binding}-{name}")).replace("warren-system", &name);
        let kubectl = cluster.kubectl();
        kubectl.run_with(&["apply", "-f", "-"], &rights).await?;
        Ok(Self { kubectl, namespace, operator, dir: tempfile::tempdir()? })
    }

    pub fn name(&self) -> &str {
        self.namespace.name()
    }

    /// Of the service: no other test has it.
    pub fn domain(&self) -> String {
        format!("{}.wonderland.lit", self.name())
    }

    /// Who the operator is in the audit log.
    pub fn user(&self) -> String {
        format!("system:serviceaccount:{}:warren-operator", self.name())
    }

    fn start(&self, program: &Path, name: &str, args: &[String], admin: SocketAddr) -> Result<Process> {
        let log = self.dir.path().join(format!("{name}.log"));
        let file = File::options().create(true).append(true).open(&log)?;
        let child = Command::new(program)
            .args(args)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(file)
            .spawn()
            .with_context(|| program.display().to_string())?;
        Ok(Process { child, log, admin })
    }

    /// An operator that looks at this namespace, or at all.
    pub fn operator(&self, name: &str, all: bool) -> Result<Process> {
        let program = Path::new(node::binary()?).with_file_name("warren-operator");
        ensure!(program.is_file(), "there is no warren-operator beside muc-node: cargo build -p warren-operator");
        let admin = free()?;
        let file = self.operator.display().to_string();
        let mut args = ["--kubeconfig", &file, "--lease-namespace", self.name(), "--pod", name, "--control-plaintext"]
            .map(str::to_owned)
            .to_vec();
        args.extend(["--admin".to_owned(), admin.to_string()]);
        if !all {
            args.extend(["--namespace".to_owned(), self.name().to_owned()]);
        }
        self.start(&program, name, &args, admin)
    }

    /// A node that is told everything by its operator. The same name has the same store.
    pub fn node(&self, name: &str, control: SocketAddr) -> Result<Process> {
        self.node_with(name, control, &["--control-plaintext"])
    }

    fn node_with(&self, name: &str, control: SocketAddr, security: &[&str]) -> Result<Process> {
        let store = format!("sqlite:{}", self.dir.path().join(format!("{name}.db")).display());
        let admin = free()?;
        let (control, admins) = (control.to_string(), admin.to_string());
        let args = ["serve", "--store", &store, "--admin", &admins, "--control", &control, "--pod", name];
        let args: Vec<_> = args.iter().chain(security).map(|arg| (*arg).to_owned()).collect();
        self.start(Path::new(node::binary()?), name, &args, admin)
    }

    /// One of several nodes on a PostgreSQL. Names differ.
    pub fn node_of_many(&self, name: &str, control: SocketAddr, store: &str) -> Result<Process> {
        let admin = free()?;
        let (control, admins) = (control.to_string(), admin.to_string());
        let args = [
            "serve",
            "--store",
            store,
            "--admin",
            &admins,
            "--control",
            &control,
            "--control-plaintext",
            "--pod",
            name,
            "--ttl",
            "2s",
            "--mesh",
            "127.0.0.1:0",
            "--mesh-plaintext",
            "--reconnect-max",
            "200ms",
        ];
        self.start(Path::new(node::binary()?), name, &args.map(str::to_owned), admin)
    }

    /// A node that speaks control with those only whose certificate is of the same authority; the Secret
    /// `certificates` has what the operator needs.
    pub async fn node_with_tls(&self, name: &str, control: SocketAddr) -> Result<Process> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        let key = KeyPair::generate()?;
        let host = format!("chat-control.{}.svc", self.name());
        let cert = CertificateParams::new(vec![host])?.signed_by(&key, &authority)?;
        let texts = [("tls.crt", cert.pem()), ("tls.key", key.serialize_pem()), ("ca.crt", authority.pem())];
        let mut files = Vec::new();
        let mut secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "certificates"}});
        for (file, text) in texts {
            let path = self.dir.path().join(file);
            std::fs::write(&path, &text)?;
            secret["stringData"][file] = json!(text);
            files.push(path.display().to_string());
        }
        self.apply(&secret).await?;
        let tls = ["--tls-cert", &files[0], "--tls-key", &files[1], "--tls-ca", &files[2]];
        self.node_with(name, control, &tls)
    }

    pub async fn apply(&self, object: &Value) -> Result<()> {
        self.kubectl.run_with(&["apply", "-n", self.name(), "-f", "-"], &object.to_string()).await.map(drop)
    }

    /// A service whose pods somebody else runs, with its server and where its one pod is.
    pub async fn service(&self, acceptor: &Acceptor, control: SocketAddr) -> Result<()> {
        let server = acceptor.addr()?;
        self.apply(&secret("component", SECRET)).await?;
        self.apply(&service(&self.domain(), server)).await?;
        self.apply(&slice("chat", control.port())).await
    }

    pub async fn get(&self, kind: &str, name: &str) -> Result<Value> {
        Ok(serde_json::from_str(&self.kubectl.run(&["get", kind, name, "-n", self.name(), "-o", "json"]).await?)?)
    }

    /// Waits until a condition says so; what it says then.
    pub async fn until(&self, kind: &str, name: &str, type_: &str, status: &str) -> Result<Value> {
        let end = Instant::now() + PATIENCE;
        loop {
            let object = self.get(kind, name).await?;
            let found = condition(&object, type_);
            let current = found["observedGeneration"] == object["metadata"]["generation"];
            if current && found["status"] == status {
                return Ok(found);
            }
            ensure!(Instant::now() < end, "{kind} {name} never has {type_}={status}: {}", object["status"]);
            sleep(Duration::from_millis(100)).await;
        }
    }
}

pub fn condition(object: &Value, type_: &str) -> Value {
    let all = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
    all.into_iter().find(|c| c["type"] == type_).unwrap_or_default()
}

#[allow(clippy::needless_pass_by_value, reason = "json! stands at the call")]
pub fn object(kind: &str, name: &str, spec: Value) -> Value {
    json!({"apiVersion": "warren.chat/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec})
}

pub fn secret(name: &str, value: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": {"secret": value}})
}

pub fn service(domain: &str, server: SocketAddr) -> Value {
    object(
        "MucService",
        "chat",
        json!({"domain": domain, "homeDomains": ["wonderland.lit"], "transport": {"component": {
            "host": server.ip().to_string(), "port": server.port(), "secretRef": {"name": "component", "key": "secret"},
        }}}),
    )
}

pub fn room(name: &str, more: &Value) -> Value {
    let mut spec = json!({"serviceRef": {"name": "chat"}});
    if let (Some(spec), Some(more)) = (spec.as_object_mut(), more.as_object()) {
        spec.extend(more.clone());
    }
    object("FederatedRoom", name, spec)
}

/// Where the pods of a service are. The API server takes no loopback addresses, but names.
pub fn slice(service: &str, port: u16) -> Value {
    nth_slice(service, 1, port)
}

/// One of several slices, each with a pod.
pub fn nth_slice(service: &str, n: usize, port: u16) -> Value {
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "FQDN",
        "metadata": {"name": format!("{service}-control-{n}"), "labels": {
            "warren.chat/control": service, "kubernetes.io/service-name": format!("{service}-control"),
        }},
        "ports": [{"name": "control", "port": port}],
        "endpoints": [{"addresses": ["pod-0.localhost"]}],
    })
}

impl Process {
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    pub fn signal(&mut self, name: &str) -> Result<()> {
        let sent = Command::new("kill").args([name, &self.child.id().to_string()]).status()?;
        ensure!(sent.success(), "kill {name}");
        Ok(())
    }

    /// Waits for its end.
    pub async fn ended(&mut self) -> Result<bool> {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status.success());
            }
            ensure!(Instant::now() < end, "it does not end:\n{}", self.log());
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Resident memory in MiB.
    pub fn resident(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).context("VmRSS")?;
        Ok(line.split_whitespace().nth(1).context("a number")?.parse::<u64>()? / 1024)
    }

    /// The sum of a metric over its labels.
    pub async fn metric(&self, name: &str) -> Result<f64> {
        let mut socket = TcpStream::connect(self.admin).await?;
        socket.write_all(b"GET /metrics HTTP/1.1\r\nHost: operator\r\nConnection: close\r\n\r\n").await?;
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await?;
        let lines =
            answer.lines().filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{'])));
        let values: Vec<f64> = lines.filter_map(|line| line.rsplit(' ').next()?.parse().ok()).collect();
        if values.is_empty() {
            bail!("there is no metric {name}:\n{answer}");
        }
        Ok(values.iter().sum())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- {}\n{}", self.log.display(), self.log());
        }
    }
}
