//! etcd and kube-apiserver on free ports of 127.0.0.1, with no privileges.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use kube::Client;
use tokio::time::{Instant, sleep, timeout};
use warren_testkit::peers::{Child, Port, RunDir, child::Program};

use crate::{
    audit::{self, AuditLog},
    kubeconfig::{self, Proof},
    kubectl::Kubectl,
    pki::Pki,
    programs::Programs,
};

/// How long a start may take on a busy machine; on an idle one it takes three seconds.
const READY: Duration = Duration::from_mins(1);
/// How long an orderly stop may take; measured: under three seconds.
const GRACE: Duration = Duration::from_secs(20);
/// What brings the programs, for errors.
const TARGET: &str = "none: make cluster-tools";

/// One API server with its etcd. Dropping it, and the end of our process, however it ends, kill both and remove
/// their files.
#[derive(Debug)]
pub struct ApiServer {
    programs: Programs,
    server: Option<Child>,
    etcd: Child,
    pki: Pki,
    port: Port,
    etcd_port: Port,
    admin: PathBuf,
    // Last, so that it goes when the processes are killed.
    dir: RunDir,
}

impl ApiServer {
    /// Starts both and waits until `/readyz` says ok.
    ///
    /// # Errors
    /// When the programs are missing or do not get ready; with the ends of their output.
    pub async fn start() -> Result<Self> {
        let programs = Programs::find()?;
        let dir = RunDir::new()?;
        let pki = Pki::new(&dir.path().join("pki"))?;
        std::fs::write(dir.path().join("audit-policy.json"), audit::policy().to_string())?;
        let (port, etcd_port) = (Port::draw()?, Port::draw()?);
        let etcd = start_etcd(programs, dir.path(), &etcd_port).await?;
        let admin = dir.path().join("admin.kubeconfig");
        let mut server = Self { programs, server: None, etcd, pki, port, etcd_port, admin, dir };
        server.write_kubeconfig(&server.admin, "admin", Some("system:masters"))?;
        server.start_again().await?;
        Ok(server)
    }

    /// Starts the server again after [`ApiServer::stop`] or [`ApiServer::kill`], on the same port and with all objects.
    ///
    /// # Errors
    /// When it runs, or does not get ready.
    pub async fn start_again(&mut self) -> Result<()> {
        ensure!(!self.is_running(), "kube-apiserver runs already");
        let child = Child::start(Program {
            name: self.programs.kube_apiserver,
            packages: TARGET,
            args: self.arguments(),
            env: vec![],
            logs: vec![],
        });
        let child = self.server.insert(child.await?);
        let client = kubeconfig::client(&self.admin, None).await?;
        let end = Instant::now() + READY;
        loop {
            let answer = readyz(&client).await;
            if answer.as_deref().is_ok_and(|text| text == "ok") {
                return Ok(());
            }
            let said = answer.unwrap_or_else(|error| format!("{error:#}"));
            if !child.is_alive() {
                sleep(Duration::from_millis(50)).await; // lets the last output arrive
                bail!("kube-apiserver ended at once\n{}\n{}", child.report(), self.etcd.report());
            }
            if Instant::now() > end {
                bail!("kube-apiserver is not ready after {READY:?}: {said}\n{}", child.report());
            }
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// Asks the server to end (SIGTERM) and waits; it lets running requests finish, watches too. etcd stays.
    ///
    /// # Errors
    /// When it does not run or cannot be waited for.
    pub async fn stop(&mut self) -> Result<()> {
        self.server.take().context("kube-apiserver does not run")?.stop(GRACE).await
    }

    /// Kills the server (SIGKILL). etcd stays.
    ///
    /// # Errors
    /// When it does not run or cannot be waited for.
    pub async fn kill(&mut self) -> Result<()> {
        self.server.take().context("kube-apiserver does not run")?.kill().await
    }

    /// Ends both and removes all files, and says so if one of this fails. Dropping does the same in silence.
    ///
    /// # Errors
    /// When a process cannot be waited for or the directory is still there.
    pub async fn shut_down(mut self) -> Result<()> {
        if let Some(mut server) = self.server.take() {
            server.kill().await?; // nobody will read what an orderly stop would save
        }
        self.etcd.kill().await?;
        let dir = self.dir.path().to_owned();
        drop(self);
        ensure!(!dir.exists(), "{} is still there", dir.display());
        Ok(())
    }

    /// Whether the server runs.
    pub fn is_running(&mut self) -> bool {
        self.server.as_mut().is_some_and(Child::is_alive)
    }

    /// Process ids of etcd and, if it runs, of the server.
    pub fn pids(&self) -> Vec<u32> {
        self.etcd.pid().into_iter().chain(self.server.as_ref().and_then(Child::pid)).collect()
    }

    /// `https://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("https://{}", self.port.addr())
    }

    /// Kubeconfig file of a user who may do everything.
    pub fn admin(&self) -> &Path {
        &self.admin
    }

    /// Makes a user with a client certificate and returns the path of the kubeconfig file. What the user may do, tests
    /// say with RBAC objects.
    ///
    /// # Errors
    /// When a name cannot stand in a certificate or a file name.
    pub fn user(&self, name: &str, group: Option<&str>) -> Result<PathBuf> {
        let path = self.dir.path().join(format!("user-{}.kubeconfig", name.replace([':', '/'], "-")));
        self.write_kubeconfig(&path, name, group)?;
        Ok(path)
    }

    /// A client for the admin.
    ///
    /// # Errors
    /// None that a running server would cause.
    pub async fn client(&self) -> Result<Client> {
        kubeconfig::client(&self.admin, None).await
    }

    /// kubectl for the user of a kubeconfig file.
    pub fn kubectl(&self, kubeconfig: &Path) -> Kubectl {
        Kubectl::new(self.programs.kubectl, kubeconfig, self.dir.path())
    }

    /// Who wrote what.
    pub fn audit(&self) -> AuditLog {
        AuditLog::new(self.dir.path().join("audit.log"))
    }

    /// The directory with everything, gone when this value is dropped.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The ends of the outputs of both, for people.
    pub fn report(&self) -> String {
        let server = self.server.as_ref().map_or_else(|| "kube-apiserver does not run\n".to_owned(), Child::report);
        server + &self.etcd.report()
    }

    fn write_kubeconfig(&self, path: &Path, user: &str, group: Option<&str>) -> Result<()> {
        let identity = self.pki.client(user, group)?;
        let proof = Proof::Certificate(&identity.certificate, &identity.key);
        kubeconfig::write(path, &self.url(), self.pki.ca(), user, proof)
    }

    fn arguments(&self) -> Vec<OsString> {
        let pki = |name: &str| self.pki.path(name).display().to_string();
        let file = |name: &str| self.dir.path().join(name).display().to_string();
        [
            format!("--etcd-servers=http://{}", self.etcd_port.addr()),
            "--bind-address=127.0.0.1".to_owned(),
            "--advertise-address=127.0.0.1".to_owned(),
            format!("--secure-port={}", self.port.number()),
            // There are no endpoints to keep for the service `kubernetes`: a loopback address may not stand there.
            "--endpoint-reconciler-type=none".to_owned(),
            "--service-cluster-ip-range=10.96.0.0/16".to_owned(),
            format!("--cert-dir={}", file("pki")),
            format!("--tls-cert-file={}", pki("apiserver.crt")),
            format!("--tls-private-key-file={}", pki("apiserver.key")),
            format!("--client-ca-file={}", pki("ca.crt")),
            "--service-account-issuer=https://kubernetes.default.svc.cluster.local".to_owned(),
            format!("--service-account-key-file={}", pki("sa.pub")),
            format!("--service-account-signing-key-file={}", pki("sa.key")),
            "--authorization-mode=Node,RBAC".to_owned(),
            "--enable-admission-plugins=NodeRestriction".to_owned(),
            "--allow-privileged=true".to_owned(),
            "--profiling=false".to_owned(),
            format!("--audit-policy-file={}", file("audit-policy.json")),
            format!("--audit-log-path={}", file("audit.log")),
            "--audit-log-maxsize=1000".to_owned(), // MB; a log that rotates would lose what is being counted
        ]
        .map(OsString::from)
        .to_vec()
    }
}

/// What `/readyz` says; an error also while the answer is "not yet".
async fn readyz(client: &Client) -> Result<String> {
    let request = http::Request::get("/readyz").body(Vec::new())?;
    Ok(timeout(Duration::from_secs(2), client.request_text(request)).await.context("no answer in 2 s")??)
}

async fn start_etcd(programs: Programs, dir: &Path, port: &Port) -> Result<Child> {
    // Peers have a port too, though there are none; it is not needed again after the start.
    let peers = Port::draw()?;
    let client = format!("http://{}", port.addr());
    let peer = format!("http://{}", peers.addr());
    let data = dir.join("etcd");
    let args = [
        format!("--data-dir={}", data.display()),
        format!("--listen-client-urls={client}"),
        format!("--advertise-client-urls={client}"),
        format!("--listen-peer-urls={peer}"),
        format!("--initial-advertise-peer-urls={peer}"),
        format!("--initial-cluster=default={peer}"),
        "--unsafe-no-fsync".to_owned(), // survives the death of the process, not of the machine: enough here
        "--log-level=warn".to_owned(),
    ];
    Child::start(Program {
        name: programs.etcd,
        packages: TARGET,
        args: args.map(OsString::from).to_vec(),
        env: vec![],
        logs: vec![],
    })
    .await
}
