//! A client without manners: XML as text on a socket, for what a client library would not send, or not survive.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context, Result, anyhow, bail};
use data_encoding::BASE64;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, timeout_at},
};

use crate::SOON;

/// A logged-in user with a bare socket. What comes is kept as text and not understood.
#[derive(Debug)]
pub struct RawUser {
    socket: TcpStream,
    /// What has come and was not waited for yet.
    text: String,
}

impl RawUser {
    /// Logs in, with PLAIN over plain TCP, and sends presence.
    ///
    /// # Errors
    /// When the server refuses or does not answer.
    pub async fn login(addr: SocketAddr, jid: &str, password: &str) -> Result<Self> {
        let (user, domain) = jid.split_once('@').with_context(|| format!("{jid} is no account"))?;
        let mut raw = Self { socket: TcpStream::connect(addr).await?, text: String::new() };
        let header = format!(
            "<?xml version='1.0'?><stream:stream xmlns='jabber:client' \
             xmlns:stream='http://etherx.jabber.org/streams' to='{domain}' version='1.0'>"
        );
        let secret = BASE64.encode(format!("\0{user}\0{password}").as_bytes());
        raw.send(&header).await?;
        raw.until("</stream:features>", SOON).await?;
        raw.send(&format!("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{secret}</auth>")).await?;
        raw.until("<success", SOON).await?;
        raw.send(&header).await?;
        raw.until("</stream:features>", SOON).await?;
        raw.send("<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>").await?;
        raw.until("</jid>", SOON).await?;
        raw.send("<presence id='hello'/>").await?;
        raw.until("hello", SOON).await?;
        Ok(raw)
    }

    /// Writes text.
    ///
    /// # Errors
    /// When the connection is gone.
    pub async fn send(&mut self, text: &str) -> Result<()> {
        Ok(self.socket.write_all(text.as_bytes()).await?)
    }

    /// Reads until this text has come; returns everything up to its end.
    ///
    /// # Errors
    /// When it does not come within `deadline` or the connection ends; shows what came instead.
    pub async fn until(&mut self, wanted: &str, deadline: Duration) -> Result<String> {
        let end = Instant::now() + deadline;
        let mut buffer = vec![0; 64 << 10];
        loop {
            if let Some(at) = self.text.find(wanted) {
                let rest = self.text.split_off(at + wanted.len());
                return Ok(std::mem::replace(&mut self.text, rest));
            }
            let shown = || self.text.chars().take(2_000).collect::<String>();
            let read = timeout_at(end, self.socket.read(&mut buffer)).await;
            match read.map_err(|_| anyhow!("no {wanted} within {deadline:?}, but: {}", shown()))?? {
                0 => bail!("the server closed the connection before {wanted} came: {}", shown()),
                read => self.text.push_str(&String::from_utf8_lossy(&buffer[..read])),
            }
        }
    }
}
