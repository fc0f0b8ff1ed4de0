//! Several nodes of a site as one: where they reach one another, and what they say.

pub mod listen;
pub mod wire;
