//! Apply, Remove, List and Watch of configuration objects.
//!
//! The way of configuration into a pod, whoever brings it: the manifests of `muc-node serve --manifests`, or the
//! operator by gRPC. What is applied is the output of `crds::build`: no Kubernetes types, secrets resolved.
//!
//! [`Registry`] is what is applied, pure: the caller persists what was accepted before it answers. [`renumber`] and
//! [`diff`] turn a whole set of manifests into calls. With the feature `grpc` there is the protocol between
//! processes, with the same plain types on both sides: [`grpc::Client`] and [`grpc::serve`].

mod diff;
#[cfg(feature = "grpc")]
pub mod grpc;
mod registry;
mod report;

pub use diff::{Change, diff, renumber};
pub use registry::{Address, Applied, Listed, Refused, Registry, RoomObject};
pub use report::{Answer, Failed, ObjectReport, PeeringReport, Refusal};
