//! Ports that stay ours.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::{Context, Result};
use tokio::net::{TcpListener, TcpSocket};

/// A free TCP port of 127.0.0.1, kept for as long as this value lives.
///
/// It is held by a socket that is bound with `SO_REUSEADDR` and never listens. A connection to it is refused,
/// a listener that sets `SO_REUSEADDR` too (Prosody, ejabberd and [`Port::listen`] do) can take
/// it and give it back any number of times, and nobody else is given it by the kernel. So no two runs can
/// draw the same port, and a server that is restarted finds its own.
#[derive(Debug)]
pub struct Port {
    addr: SocketAddr,
    _holder: TcpSocket,
}

impl Port {
    /// Draws a free port.
    ///
    /// # Errors
    /// When the kernel has no socket or no port left.
    pub fn draw() -> Result<Self> {
        let holder = reusable()?;
        holder.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).context("no free port on 127.0.0.1")?;
        let addr = holder.local_addr()?;
        Ok(Self { addr, _holder: holder })
    }

    /// Address and port.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The number alone.
    pub fn number(&self) -> u16 {
        self.addr.port()
    }

    /// Listens on it, in this process. Dropping the listener makes the port refuse again.
    ///
    /// # Errors
    /// When somebody listens already.
    pub fn listen(&self) -> Result<TcpListener> {
        let socket = reusable()?;
        socket.bind(self.addr).with_context(|| format!("cannot bind {}", self.addr))?;
        socket.listen(512).with_context(|| format!("cannot listen on {}", self.addr))
    }
}

fn reusable() -> Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    Ok(socket)
}
