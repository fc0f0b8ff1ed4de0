//! The cluster that tests run against: ours, or one that is given.

use std::{
    collections::BTreeSet,
    fmt,
    io::Write as _,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
};

use anyhow::{Context, Result, bail};
use k8s_openapi::api::core::v1::Namespace as NamespaceObject;
use kube::{Api, Client, api::PostParams};
use warren_testkit::peers::RunDir;

use crate::{apiserver::ApiServer, audit::AuditLog, definitions, kubeconfig, kubectl::Kubectl, programs::Programs};

/// What a cluster can do. Tests name what they need.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Capability {
    /// Definitions of kinds may be applied; without it those of ours must be there.
    Crd,
    /// Roles, and service accounts' tokens.
    Rbac,
    /// Leases.
    Lease,
    /// The audit log can be read: [`Cluster::audit`].
    Audit,
    /// Objects go with their owners, and deleted namespaces go.
    GarbageCollection,
    /// Pods run.
    Pods,
}

impl Capability {
    /// All there are.
    pub const ALL: [Self; 6] = [Self::Crd, Self::Rbac, Self::Lease, Self::Audit, Self::GarbageCollection, Self::Pods];
    /// What an [`ApiServer`] alone can do.
    const OURS: [Self; 4] = [Self::Crd, Self::Rbac, Self::Lease, Self::Audit];

    fn name(self) -> &'static str {
        match self {
            Self::Crd => "crd",
            Self::Rbac => "rbac",
            Self::Lease => "lease",
            Self::Audit => "audit",
            Self::GarbageCollection => "gc",
            Self::Pods => "pods",
        }
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Reads a list such as `crd,rbac,lease`.
///
/// # Errors
/// When a name is unknown, or there is none.
pub fn capabilities(list: &str) -> Result<BTreeSet<Capability>> {
    let known = Capability::ALL.map(Capability::name).join(", ");
    let named = list.split(',').map(str::trim).filter(|name| !name.is_empty()).map(|name| {
        let found = Capability::ALL.into_iter().find(|c| c.name() == name);
        found.with_context(|| format!("there is no capability {name}; known are {known}"))
    });
    let found: BTreeSet<Capability> = named.collect::<Result<_>>()?;
    if found.is_empty() {
        bail!("a cluster without capabilities would skip every test; known are {known}");
    }
    Ok(found)
}

/// A cluster with the definitions of the three kinds, and its administrator.
#[derive(Debug)]
pub struct Cluster {
    ours: Option<ApiServer>,
    admin: PathBuf,
    capabilities: BTreeSet<Capability>,
    kubectl: &'static str,
    files: RunDir,
}

impl Cluster {
    /// The cluster that `WARREN_KUBECONFIG` names, with the capabilities that `WARREN_CAPABILITIES` lists; without it,
    /// one of our own. The definitions are applied; in a cluster that is not ours they stay.
    ///
    /// # Errors
    /// When there is none, or it does not take the definitions.
    pub async fn find() -> Result<Self> {
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let cluster = if let Some(admin) = variable("WARREN_KUBECONFIG") {
            let kubectl = Programs::find()?.kubectl;
            let files = RunDir::new()?;
            let list = std::env::var("WARREN_CAPABILITIES")
                .context("WARREN_KUBECONFIG is set: then WARREN_CAPABILITIES says what that cluster can do")?;
            let capabilities = capabilities(&list)?;
            if capabilities.contains(&Capability::Audit) {
                bail!("WARREN_CAPABILITIES lists audit: only the audit log of a server of our own can be read");
            }
            // kubectl would take a missing file for a cluster on localhost:8080.
            let admin = PathBuf::from(admin);
            kubeconfig::read(&admin).context("WARREN_KUBECONFIG")?;
            Self { ours: None, admin, capabilities, kubectl, files }
        } else {
            return Self::own().await;
        };
        if cluster.capabilities.contains(&Capability::Crd) {
            definitions::install(&cluster.kubectl()).await?;
        }
        Ok(cluster)
    }

    /// A cluster of our own, whatever the environment names, with the definitions: for tests that kill its server.
    ///
    /// # Errors
    /// When it does not start, or does not take the definitions.
    pub async fn own() -> Result<Self> {
        let server = ApiServer::start().await?;
        let (admin, kubectl) = (server.admin().to_owned(), Programs::find()?.kubectl);
        let capabilities = Capability::OURS.into();
        let cluster = Self { ours: Some(server), admin, capabilities, kubectl, files: RunDir::new()? };
        definitions::install(&cluster.kubectl()).await?;
        Ok(cluster)
    }

    /// The server, to be killed and started again.
    ///
    /// # Errors
    /// When the cluster is not ours.
    pub fn server(&mut self) -> Result<&mut ApiServer> {
        self.ours.as_mut().context("the server of this cluster is not ours")
    }

    /// Whether the cluster cannot do all of `needs`. The test then returns: that it is skipped, and why, is printed even
    /// when output is captured, and a line is added to the file `WARREN_SKIPS`, if that is set, so that a run can be
    /// held to the number of skips that is expected.
    ///
    /// # Errors
    /// When that line cannot be written.
    pub fn lacks(&self, test: &str, needs: &[Capability]) -> Result<bool> {
        static SKIPPED: AtomicUsize = AtomicUsize::new(0);
        let missing: Vec<_> =
            needs.iter().filter(|c| !self.capabilities.contains(c)).map(ToString::to_string).collect();
        if missing.is_empty() {
            return Ok(false);
        }
        let count = SKIPPED.fetch_add(1, Ordering::Relaxed) + 1;
        let missing = missing.join(", ");
        // Not eprintln: that is swallowed when a test passes.
        writeln!(std::io::stderr(), "skipped ({count} so far): {test}: this cluster has no {missing}")?;
        if let Some(path) = std::env::var_os("WARREN_SKIPS") {
            let file = std::fs::OpenOptions::new().create(true).append(true).open(&path);
            writeln!(file.with_context(|| format!("cannot open {}", path.display()))?, "{test}: {missing}")?;
        }
        Ok(true)
    }

    /// Kubeconfig file of the administrator.
    pub fn admin(&self) -> &Path {
        &self.admin
    }

    /// A client for the administrator.
    ///
    /// # Errors
    /// When the kubeconfig makes none.
    pub async fn client(&self) -> Result<Client> {
        kubeconfig::client(&self.admin, None).await
    }

    /// kubectl for the administrator.
    pub fn kubectl(&self) -> Kubectl {
        self.kubectl_as(&self.admin)
    }

    /// kubectl for the user of a kubeconfig file.
    pub fn kubectl_as(&self, kubeconfig: &Path) -> Kubectl {
        Kubectl::new(self.kubectl, kubeconfig, self.files.path())
    }

    /// Who wrote what; a test that asks needs [`Capability::Audit`].
    ///
    /// # Errors
    /// When the cluster is not ours.
    pub fn audit(&self) -> Result<AuditLog> {
        Ok(self.ours.as_ref().context("the audit log of this cluster cannot be read")?.audit())
    }

    /// Makes a namespace with a new name that begins with `tag`.
    ///
    /// # Errors
    /// When the server refuses it.
    pub async fn namespace(&self, tag: &str) -> Result<Namespace> {
        let mut object = NamespaceObject::default();
        object.metadata.generate_name = Some(format!("{tag}-"));
        let api: Api<NamespaceObject> = Api::all(self.client().await?);
        let name = api.create(&PostParams::default(), &object).await?.metadata.name;
        let name = name.context("the server has given a namespace no name")?;
        Ok(Namespace { name, delete: self.ours.is_none().then(|| (self.kubectl, self.admin.clone())) })
    }

    /// Makes a service account and returns the path of a kubeconfig file with a token for it, good for an hour. What it
    /// may do, tests say with roles for `NAMESPACE:NAME`.
    ///
    /// # Errors
    /// When the server refuses it.
    pub async fn service_account(&self, namespace: &str, name: &str) -> Result<PathBuf> {
        let kubectl = self.kubectl();
        kubectl.run(&["create", "serviceaccount", name, "-n", namespace]).await?;
        let token = kubectl.run(&["create", "token", name, "-n", namespace, "--duration=1h"]).await?;
        let path = self.files.path().join(format!("{namespace}-{name}.kubeconfig"));
        kubeconfig::write_like(&path, &self.admin, name, token.trim_end())?;
        Ok(path)
    }
}

/// A namespace of one test. In a cluster that is not ours it is deleted when this value is dropped; in ours nothing
/// would clear it, and all goes with the server.
#[derive(Debug)]
pub struct Namespace {
    name: String,
    delete: Option<(&'static str, PathBuf)>,
}

impl Namespace {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        if let Some((kubectl, kubeconfig)) = &self.delete {
            let args = ["delete", "namespace", &self.name, "--wait=false"];
            let deleted = std::process::Command::new(kubectl).args(args).env("KUBECONFIG", kubeconfig).output();
            if !deleted.is_ok_and(|output| output.status.success()) {
                eprintln!("namespace {} could not be deleted", self.name);
            }
        }
    }
}
