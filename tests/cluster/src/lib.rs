//! A real API server for tests.
//!
//! Tests know a [`Cluster`]: a kubeconfig and a list of [`Capability`]s. [`shared`] gives all tests of a binary one: the
//! cluster that `WARREN_KUBECONFIG` names, with the capabilities that `WARREN_CAPABILITIES` lists, or else an
//! [`ApiServer`] of our own, etcd and kube-apiserver on free ports of 127.0.0.1. There no pods run and no controllers
//! act: tests play their parts, nothing is garbage collected, and namespaces are never gone. A test that needs what the
//! cluster cannot do is skipped, and that is printed and counted ([`Cluster::lacks`]).
//!
//! A test that breaks the server starts one of its own ([`alone`]).

pub mod apiserver;
pub mod audit;
pub mod cluster;
pub mod definitions;
pub mod kubeconfig;
pub mod kubectl;
pub mod pki;
pub mod programs;
pub mod run;

pub use apiserver::ApiServer;
pub use audit::{AuditLog, Write};
pub use cluster::{Capability, Cluster, Namespace};
pub use kubectl::{Answer, Kubectl};
pub use programs::Programs;
pub use run::{alone, eventually, run, run_longer, shared};
