//! Stories on processes: each site is a `muc-node` over loopback, or three, and this program plays its server.

mod site;
mod stage;
mod three;

pub use site::fill;
pub use stage::NodeStage;
