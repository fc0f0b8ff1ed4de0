//! What plays the cluster: an API server with etcd, operators, nodes on one PostgreSQL. Everything is a process on
//! loopback and gone with its value.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tempfile::TempDir;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};
use warren_cluster::{ApiServer, Kubectl, definitions};
use warren_test_postgres::{Durability, Server};
use warren_testkit::node::{self, Node, get};
use warren_testkit::peers::{Child, Port, Site, World, child::Program};

/// Where everything is applied.
pub const NAMESPACE: &str = "wonderland";
/// Where the operators have their Lease.
const SYSTEM: &str = "warren-system";
/// The operator's rights, as they are to be applied.
const RIGHTS: &str = include_str!("../../../../operator/yaml/rbac.yaml");
/// A node that is not heard of for so long is taken over.
const TTL: &str = "1s";
/// For what nothing delays, on a busy machine.
const SOON: Duration = Duration::from_secs(20);

/// A process with an admin listener.
pub struct Process {
    /// What people call it.
    pub name: &'static str,
    /// The process.
    pub child: Child,
    admin: Port,
}

impl Process {
    async fn start(
        name: &'static str,
        program: &'static str,
        args: &[&str],
        env: Vec<(&'static str, OsString)>,
    ) -> Result<Self> {
        let admin = Port::draw()?;
        let mut all: Vec<OsString> = args.iter().map(Into::into).collect();
        all.extend(["--admin".into(), admin.addr().to_string().into()]);
        let packages = "none: make cluster-demo builds it";
        let child = Child::start(Program { name: program, packages, args: all, env, logs: Vec::new() }).await?;
        Ok(Self { name, child, admin })
    }
}

/// What a pod may have, and another one takes over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// It decides for the room.
    Room,
    /// It has the stream to the server.
    Link,
}

impl Part {
    async fn is_with(self, pod: &Process) -> bool {
        let (path, says) = match self {
            Self::Room => (format!("/owner?room={}", node::room(Site::Wonderland)), "this node"),
            Self::Link => ("/metrics".to_owned(), "warren_link_online 1"),
        };
        get(pod.admin.addr(), &path).await.is_ok_and(|(_, text)| text.lines().any(|line| line == says))
    }
}

/// The site that is a cluster.
pub struct Stage {
    /// kubectl of a platform team.
    pub kubectl: Kubectl,
    /// The API server.
    pub api: ApiServer,
    /// Two operators.
    pub operators: Vec<Process>,
    /// Nodes that share a store.
    pub pods: Vec<Process>,
    url: String,
    rights: PathBuf,
    controls: Vec<Port>,
    manifests: TempDir,
    _postgres: Server,
}

/// A program that was built beside `muc-node`; leaked, since it is for the life of this program.
fn beside(name: &str) -> Result<&'static str> {
    let file = Path::new(node::binary()?).with_file_name(name);
    ensure!(file.is_file(), "there is no {name} beside muc-node: build the whole workspace");
    let file = file.into_os_string().into_string().ok().with_context(|| format!("the path of {name} is not UTF-8"))?;
    Ok(Box::leak(file.into_boxed_str()))
}

impl Stage {
    /// Starts everything but rooms.
    ///
    /// # Errors
    /// When something is missing or does not come up; says what.
    pub async fn build() -> Result<Self> {
        let (postgres, api) = tokio::join!(spawn_blocking(|| Server::start(Durability::Disk)), ApiServer::start());
        let (postgres, api) = (postgres??, api?);
        let kubectl = api.kubectl(api.admin());
        definitions::install(&kubectl).await?;
        for namespace in [NAMESPACE, SYSTEM] {
            kubectl.run(&["create", "namespace", namespace]).await?;
        }
        kubectl.run_with(&["apply", "-f", "-"], RIGHTS).await?;
        // The identity that RBAC knows the service account by.
        let rights = api.user(&format!("system:serviceaccount:{SYSTEM}:warren-operator"), None)?;
        let url = postgres.database_url()?;
        let mut stage = Self {
            kubectl,
            api,
            operators: Vec::new(),
            pods: Vec::new(),
            url,
            rights,
            controls: Vec::new(),
            manifests: tempfile::tempdir()?,
            _postgres: postgres,
        };
        for name in ["operator-0", "operator-1"] {
            stage.operator(name).await?;
        }
        for name in ["pod-0", "pod-1", "pod-2"] {
            stage.pod(name).await?;
        }
        Ok(stage)
    }

    /// Starts an operator.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn operator(&mut self, name: &'static str) -> Result<()> {
        let rights = self.rights.display().to_string();
        let args = ["--kubeconfig", &rights, "--pod", name, "--control-plaintext"];
        self.operators.push(Process::start(name, beside("warren-operator")?, &args, Vec::new()).await?);
        Ok(())
    }

    async fn pod(&mut self, name: &'static str) -> Result<()> {
        let control = Port::draw()?;
        let address = control.addr().to_string();
        let mut args = vec!["serve", "--pod", name, "--ttl", TTL, "--control", &address, "--control-plaintext"];
        args.extend(["--mesh", "127.0.0.1:0", "--mesh-plaintext"]);
        let env = vec![("WARREN_STORE", OsString::from(&self.url))];
        self.pods.push(Process::start(name, node::binary()?, &args, env).await?);
        self.controls.push(control);
        Ok(())
    }

    /// Applies what stands in `examples/demo/wonderland`, with the server of this world, and says where the pods are, as
    /// Kubernetes would.
    ///
    /// # Errors
    /// When kubectl fails.
    pub async fn apply(&self, world: &World) -> Result<String> {
        for (file, text) in Node::config(world, Site::Wonderland)?.manifests()? {
            std::fs::write(self.manifests.path().join(file), text)?;
        }
        let dir = self.manifests.path().display().to_string();
        let said = self.kubectl.run(&["apply", "-n", NAMESPACE, "-f", &dir]).await?;
        for (n, control) in self.controls.iter().enumerate() {
            // The API server takes no loopback addresses, but names.
            let slice = json!({
                "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "FQDN",
                "metadata": {"name": format!("rooms-control-{n}"), "labels": {
                    "warren.chat/control": "rooms", "kubernetes.io/service-name": "rooms-control",
                }},
                "ports": [{"name": "control", "port": control.addr().port()}],
                "endpoints": [{"addresses": [format!("pod-{n}.localhost")]}],
            });
            self.kubectl.run_with(&["apply", "-n", NAMESPACE, "-f", "-"], &slice.to_string()).await?;
        }
        Ok(said)
    }

    /// Waits until a room's condition is as wanted for its latest generation; returns its message.
    ///
    /// # Errors
    /// When it is not soon; with what is there.
    pub async fn until(&self, room: &str, condition: &str, wanted: &str) -> Result<String> {
        let end = Instant::now() + SOON;
        loop {
            let text = self.kubectl.run(&["get", "federatedroom", room, "-n", NAMESPACE, "-o", "json"]).await?;
            let object: serde_json::Value = serde_json::from_str(&text)?;
            let all = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
            let found = all.iter().find(|one| {
                one["type"] == condition
                    && one["status"] == wanted
                    && one["observedGeneration"] == object["metadata"]["generation"]
            });
            if let Some(found) = found {
                return Ok(found["message"].as_str().unwrap_or_default().to_owned());
            }
            ensure!(
                Instant::now() < end,
                "{room} never has {condition}={wanted}: {}\n{}",
                object["status"],
                self.report()
            );
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// The pod with that part, if there is one now.
    pub async fn holder(&self, part: Part) -> Option<usize> {
        for (n, pod) in self.pods.iter().enumerate() {
            if part.is_with(pod).await {
                return Some(n);
            }
        }
        None
    }

    /// Kills the pod with that part; returns its name. It does not come back.
    ///
    /// # Errors
    /// When there is none soon.
    pub async fn kill(&mut self, part: Part) -> Result<&'static str> {
        let end = Instant::now() + SOON;
        let n = loop {
            match self.holder(part).await {
                Some(n) => break n,
                None => ensure!(Instant::now() < end, "no pod has {part:?}\n{}", self.report()),
            }
            sleep(Duration::from_millis(20)).await;
        };
        self.pods[n].child.kill().await?;
        let pod = self.pods.remove(n);
        Ok(pod.name)
    }

    /// The log of the room, from the shared store.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn log(&self) -> Result<Vec<node::LogEntry>> {
        node::log(node::room(Site::Wonderland), &self.url).await
    }

    /// The ends of all outputs.
    pub fn report(&self) -> String {
        let all = self.operators.iter().chain(&self.pods);
        let all: Vec<_> = all.map(|process| format!("=== {}\n{}", process.name, process.child.report())).collect();
        all.concat()
    }

    /// Ends everything in good order.
    ///
    /// # Errors
    /// When something does not end by itself.
    pub async fn end(self) -> Result<()> {
        let Self { pods, operators, api, .. } = self;
        for mut process in operators.into_iter().chain(pods) {
            process.child.stop(SOON).await.with_context(|| process.name)?;
        }
        api.shut_down().await
    }
}
