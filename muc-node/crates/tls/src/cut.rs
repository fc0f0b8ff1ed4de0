//! The end of a connection by whoever holds its handle, though somebody else reads and writes it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Waker;

use futures::task::AtomicWaker;

/// Cuts one connection. Clones cut the same one.
#[derive(Clone, Debug, Default)]
pub struct Cut(Arc<State>);

#[derive(Debug, Default)]
struct State {
    cut: AtomicBool,
    waker: AtomicWaker,
}

impl Cut {
    /// Nothing is read or written any more; whoever waits for the connection gets an error.
    pub fn cut(&self) {
        self.0.cut.store(true, Ordering::Release);
        self.0.waker.wake();
    }

    /// Whether it is cut; if not, `waker` is woken when that changes. One task reads and writes a connection, so one
    /// waker is enough.
    pub(crate) fn is_cut(&self, waker: &Waker) -> bool {
        self.0.waker.register(waker);
        self.0.cut.load(Ordering::Acquire)
    }
}
