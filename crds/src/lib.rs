//! The API of Warren: the three kinds as Rust types, and the pure steps validate and build.
//!
//! ```text
//! API server ─┐                         ┌─ Problems: status, or the output of `muc-node check`
//!             ├─▶ Declared ─▶ validate ─┤
//! manifests ──┘                         └─ Validated ─▶ build ─▶ model::Object ─▶ control::Apply
//! ```
//!
//! The operator and `muc-node serve --manifests` differ only in who reads: a file that works here works with kubectl.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;

pub mod build;
#[cfg(test)]
#[allow(clippy::needless_pass_by_value, reason = "json! stands at the call")]
mod cel;
pub mod manifests;
pub mod peer;
pub mod problem;
pub mod room;
pub mod secrets;
pub mod service;
pub mod status;
mod suggest;
pub mod types;
pub mod validate;
pub mod workload;

pub use build::build;
pub use peer::{FederationPeer, FederationPeerSpec};
pub use problem::{Problem, Reason, Resource};
pub use room::{FederatedRoom, FederatedRoomSpec};
pub use secrets::Secrets;
pub use service::{MucService, MucServiceSpec};
pub use validate::{Declared, Validated, validate};

/// The API group of the three kinds.
pub const GROUP: &str = "warren.chat";
/// Its version.
pub const VERSION: &str = "v1alpha1";

/// The definitions of the three kinds, as an API server takes them.
pub fn crds() -> [CustomResourceDefinition; 3] {
    [MucService::crd(), FederationPeer::crd(), FederatedRoom::crd()]
}

/// The same as files: name and contents of each file in `crds/yaml`.
///
/// # Errors
/// None in practice: a definition that cannot be written as YAML would fail the test that compares the files.
pub fn crd_files() -> Result<Vec<(String, String)>, serde_saphyr::ser::Error> {
    let file = |crd: &CustomResourceDefinition| {
        let yaml = serde_saphyr::to_string(crd)?;
        let note = "# Generated from crds/src by `cargo run -p warren-crds --example generate`. Do not edit.\n";
        Ok((format!("{}.yaml", crd.spec.names.plural), format!("{note}{yaml}")))
    };
    crds().iter().map(file).collect()
}
