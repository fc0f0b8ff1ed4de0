//! The proxy, without any XMPP.

use std::{io::ErrorKind, time::Duration};

use crate::peers::{Mode, Port, Proxy};
use anyhow::{Context, Result, ensure};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::{Instant, sleep, timeout},
};

const SOON: Duration = Duration::from_secs(5);
const QUIET: Duration = Duration::from_millis(200);

/// A server that sends everything back, behind a proxy.
async fn echo() -> Result<Proxy> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let proxy = Proxy::start(listener.local_addr()?)?;
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut read, mut write) = socket.split();
                tokio::io::copy(&mut read, &mut write).await.ok();
            });
        }
    });
    Ok(proxy)
}

async fn connect(proxy: &Proxy) -> Result<TcpStream> {
    Ok(TcpStream::connect(proxy.addr()).await?)
}

/// Whether a word comes back.
async fn answers(socket: &mut TcpStream) -> Result<()> {
    socket.write_all(b"hello").await?;
    let mut answer = [0; 5];
    timeout(SOON, socket.read_exact(&mut answer)).await.context("no answer")??;
    ensure!(&answer == b"hello");
    Ok(())
}

async fn is_silent(socket: &mut TcpStream) -> Result<()> {
    let read = timeout(QUIET, socket.read(&mut [0; 8])).await;
    ensure!(read.is_err(), "not silent: {read:?}");
    Ok(())
}

async fn is_reset(socket: &mut TcpStream) -> Result<()> {
    let read = timeout(SOON, socket.read(&mut [0; 8])).await.context("neither data nor a reset")?;
    ensure!(read.as_ref().is_err_and(|error| error.kind() == ErrorKind::ConnectionReset), "no reset: {read:?}");
    Ok(())
}

#[tokio::test]
async fn passes_counts_and_ends_with_the_connection() -> Result<()> {
    let proxy = echo().await?;
    let mut socket = connect(&proxy).await?;
    answers(&mut socket).await?;
    let counters = proxy.counters();
    ensure!((counters.passed_up, counters.passed_down, counters.live) == (5, 5, 1), "{counters:?}");
    socket.shutdown().await?;
    ensure!(timeout(SOON, socket.read(&mut [0; 8])).await?? == 0, "the end is passed on in good order");
    sleep(QUIET).await;
    ensure!(proxy.counters().live == 0 && proxy.counters().accepted == 1, "{:?}", proxy.counters());
    Ok(())
}

#[tokio::test]
async fn hole_swallows_old_and_new_connections_until_they_are_reset() -> Result<()> {
    let proxy = echo().await?;
    let mut old = connect(&proxy).await?;
    answers(&mut old).await?;
    proxy.set(Mode::Hole);
    let mut new = connect(&proxy).await?;
    for socket in [&mut old, &mut new] {
        socket.write_all(b"hello").await?;
        is_silent(socket).await?;
    }
    ensure!(proxy.counters().swallowed_up >= 5, "{:?}", proxy.counters());
    proxy.heal();
    is_reset(&mut old).await?;
    is_reset(&mut new).await?;
    answers(&mut connect(&proxy).await?).await
}

#[tokio::test]
async fn hole_swallows_what_is_under_way() -> Result<()> {
    let proxy = echo().await?;
    proxy.latency(QUIET, Duration::ZERO);
    let mut socket = connect(&proxy).await?;
    socket.write_all(b"hello").await?;
    sleep(QUIET / 2).await;
    proxy.set(Mode::Hole);
    sleep(QUIET).await;
    let counters = proxy.counters();
    ensure!((counters.passed_up, counters.swallowed_up) == (0, 5), "{counters:?}");
    Ok(())
}

#[tokio::test]
async fn stall_fills_the_buffers() -> Result<()> {
    let proxy = echo().await?;
    let mut socket = connect(&proxy).await?;
    answers(&mut socket).await?;
    proxy.set(Mode::Stall);
    let chunk = vec![0; 1 << 20];
    let fill = async {
        loop {
            socket.write_all(&chunk).await?;
        }
    };
    let filled: Result<Result<()>, _> = timeout(QUIET * 5, fill).await;
    ensure!(filled.is_err(), "the sender never had to wait: {filled:?}");
    ensure!(proxy.counters().passed_up == 5, "{:?}", proxy.counters());
    proxy.heal();
    let mut rest = Vec::new();
    ensure!(timeout(SOON, socket.read_to_end(&mut rest)).await?.is_err(), "no reset");
    Ok(())
}

#[tokio::test]
async fn refuse_resets_and_refuses_and_the_port_comes_back() -> Result<()> {
    let proxy = echo().await?;
    for _ in 0..3 {
        let mut old = connect(&proxy).await?;
        answers(&mut old).await?;
        proxy.set(Mode::Refuse);
        is_reset(&mut old).await?;
        sleep(QUIET).await;
        let refused = TcpStream::connect(proxy.addr()).await;
        ensure!(refused.as_ref().is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused), "{refused:?}");
        proxy.heal();
        sleep(QUIET).await;
    }
    answers(&mut connect(&proxy).await?).await
}

#[tokio::test]
async fn reset_all_spares_nobody_and_passes_new_ones() -> Result<()> {
    let proxy = echo().await?;
    let mut sockets = [connect(&proxy).await?, connect(&proxy).await?];
    for socket in &mut sockets {
        answers(socket).await?;
    }
    proxy.reset_all();
    for socket in &mut sockets {
        is_reset(socket).await?;
    }
    answers(&mut connect(&proxy).await?).await
}

#[tokio::test]
async fn latency_holds_for_each_direction() -> Result<()> {
    let proxy = echo().await?;
    let mut socket = connect(&proxy).await?;
    answers(&mut socket).await?;
    proxy.latency(Duration::from_millis(100), Duration::from_millis(50));
    let start = Instant::now();
    answers(&mut socket).await?;
    let took = start.elapsed();
    ensure!((Duration::from_millis(150)..Duration::from_secs(1)).contains(&took), "{took:?}");
    Ok(())
}

#[tokio::test]
async fn held_port_refuses_and_can_be_listened_on_again_and_again() -> Result<()> {
    let port = Port::draw()?;
    for _ in 0..3 {
        let refused = TcpStream::connect(port.addr()).await;
        ensure!(refused.is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused), "somebody listens");
        let listener = port.listen()?;
        ensure!(port.listen().is_err(), "two listeners");
        let (accepted, connected) = tokio::join!(listener.accept(), TcpStream::connect(port.addr()));
        connected?;
        accepted?;
    }
    Ok(())
}
