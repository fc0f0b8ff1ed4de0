//! A connection, in the clear or not.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tonic::transport::server::Connected;

use crate::cut::Cut;

/// Reads and writes.
pub(crate) trait Both: AsyncRead + AsyncWrite + Send {}
impl<T: AsyncRead + AsyncWrite + Send> Both for T {}

pub(crate) type Boxed = Pin<Box<dyn Both>>;

/// A connection that has proved itself.
pub struct Io {
    both: Boxed,
    cut: Cut,
}

impl std::fmt::Debug for Io {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Io").finish_non_exhaustive()
    }
}

impl Io {
    pub(crate) fn new(both: Boxed) -> Self {
        Self { both, cut: Cut::default() }
    }

    /// Ends it from elsewhere.
    pub fn cut(&self) -> Cut {
        self.cut.clone()
    }

    fn whole(&self, cx: &Context<'_>) -> io::Result<()> {
        if self.cut.is_cut(cx.waker()) {
            return Err(io::Error::new(io::ErrorKind::ConnectionAborted, "the connection was ended here"));
        }
        Ok(())
    }
}

/// What serves a call finds the [`Cut`] of its connection among the extensions of the request.
impl Connected for Io {
    type ConnectInfo = Cut;

    fn connect_info(&self) -> Cut {
        self.cut()
    }
}

impl AsyncRead for Io {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.whole(cx)?;
        self.both.as_mut().poll_read(cx, buf)
    }
}

impl AsyncWrite for Io {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.whole(cx)?;
        self.both.as_mut().poll_write(cx, buf)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.whole(cx)?;
        self.both.as_mut().poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.whole(cx)?;
        self.both.as_mut().poll_shutdown(cx)
    }
}
