//! Sites in memory: the pure pod on the model store, with virtual time. What the stories run on first.

mod site;
mod stage;

pub use site::{MemorySite, Outgoing};
pub use stage::CoreStage;
