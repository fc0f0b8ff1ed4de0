//! Apply, Remove and List of configuration objects.
//!
//! The way of configuration into a pod, whoever brings it: today the manifests of `muc-node serve --manifests`, later
//! the operator by gRPC through the same three calls. What is applied is the output of `crds::build`: no Kubernetes
//! types, secrets resolved. Pure: the caller persists what was accepted before it answers.
//!
//! [`Registry`] is what is applied; [`renumber`] and [`diff`] turn a whole set of manifests into calls.

mod diff;
mod registry;

pub use diff::{Change, diff, renumber};
pub use registry::{Address, Applied, Listed, Refused, Registry, RoomObject};
