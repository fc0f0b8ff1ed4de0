//! Connections between our own processes: mTLS from three files, which are read again when they change; or, on
//! loopback and when asked for, nothing at all. gRPC of control and of the mesh runs over them.

mod cut;
mod files;
mod io;
mod sides;

pub use cut::Cut;
pub use files::Files;
pub use io::Io;
pub use sides::{ClientSide, ServerSide};
