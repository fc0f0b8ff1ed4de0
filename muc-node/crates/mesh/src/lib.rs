//! Several pods on one store: who lives and who may act ([`Lease`]), where everything should be ([`place`]), and what is
//! to be done about it ([`plan`]). [`Member`] puts them together for one pod. No IO and no clock: the store's answers and
//! the time are arguments, so that the simulator can freeze a pod between any two steps.
//!
//! A lease is (incarnation, beat), with no timestamp: nobody ever compares its clock with another one's. What clocks
//! are needed for is their *rate*, which may differ by up to a quarter.
//!
//! With the feature `grpc` there are the sessions between nodes: [`grpc::Peers`].

mod forget;
#[cfg(feature = "grpc")]
pub mod grpc;
mod io;
mod lease;
mod member;
mod placement;
mod plan;
mod suspicion;
mod tail;
mod view;

pub use forget::FORGET;
pub use io::{Did, Input, Todo};
pub use lease::{Dead, Lease, Observed, Round};
pub use member::Member;
pub use placement::{Placement, cap, place};
pub use plan::{FORGETS, Known, MOVES, Owner, Step, handover, plan};
pub use view::{PodSeen, View};
