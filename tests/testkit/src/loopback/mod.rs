//! Stories on processes: each site is a `muc-node` over loopback, and this program plays its server.

mod site;
mod stage;

pub use site::fill;
pub use stage::NodeStage;
