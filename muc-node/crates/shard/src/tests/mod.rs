//! Stories with the real room, and a model of the whole with failures in any order.

mod life;
mod model;
mod owned;
mod regroup;
mod routed;
mod stories;
mod world;
