//! The operator: the only part of Warren that talks to the API server.
//!
//! ```text
//! API server ─▶ dereference ─▶ validate ─▶ build ─▶ apply ──▶ pods (gRPC), Deployments, Services
//!                (stores)       (crds)      (plan)   report ─▶ status, Events   ◀── reports of pods
//! ```
//!
//! The first three make one [`build::Plan`] of everything whenever something has changed: addresses and domains are
//! unique across objects, so objects cannot be judged one at a time. The last two work on one object at a time, from a
//! [`queue`] with back-off. Only [`dereference`], [`apply`] and [`report`] see a client; what they decide is pure.
//!
//! All replicas watch; only the one that holds the [`lease`] calls pods and writes. Nothing in the data path needs the
//! operator: when it is away, nothing changes, and that is all.

pub mod admin;
pub mod api;
pub mod apply;
pub mod build;
pub mod cli;
pub mod conditions;
pub mod dereference;
pub mod engine;
pub mod lease;
pub mod metrics;
pub mod pods;
pub mod queue;
pub mod report;
pub mod secrets;
pub mod stores;
pub mod validate;
pub mod workload;

/// Who we are towards the API server: field manager, controller of Events, label of what we make.
pub const NAME: &str = "warren-operator";
/// Holds an object until the pods have let go of it.
pub const FINALIZER: &str = "warren.chat/cleanup";
/// Annotation that makes us leave an object's configuration as it is.
pub const PAUSED: &str = "warren.chat/paused";
/// Label of control Services, and so of their EndpointSlices: the name of the MucService.
pub const CONTROL: &str = "warren.chat/control";
