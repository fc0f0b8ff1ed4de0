//! What arrived, in order, and waiting for some of it.

use std::{collections::VecDeque, time::Duration};

use anyhow::{Result, bail};
use minidom::Element;
use tokio::{
    sync::mpsc,
    time::{Instant, timeout_at},
};

/// A stanza and when it was read from the socket.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// When.
    pub at: Instant,
    /// What.
    pub stanza: Element,
}

/// The stanzas of one connection. It is filled by a task, so that nothing waits for the reader.
#[derive(Debug)]
pub struct Inbox {
    owner: String,
    arrivals: mpsc::UnboundedReceiver<Arrival>,
    kept: VecDeque<Arrival>,
}

impl Inbox {
    /// An inbox and what fills it. `owner` is for errors.
    pub fn new(owner: impl Into<String>) -> (mpsc::UnboundedSender<Arrival>, Self) {
        let (sender, arrivals) = mpsc::unbounded_channel();
        (sender, Self { owner: owner.into(), arrivals, kept: VecDeque::new() })
    }

    /// The next stanza; `None` when the connection has ended and all was read.
    ///
    /// # Errors
    /// When nothing comes within `deadline`.
    pub async fn recv(&mut self, deadline: Duration) -> Result<Option<Element>> {
        if let Some(kept) = self.kept.pop_front() {
            return Ok(Some(kept.stanza));
        }
        match timeout_at(Instant::now() + deadline, self.arrivals.recv()).await {
            Ok(arrival) => Ok(arrival.map(|arrival| arrival.stanza)),
            Err(_) => bail!("{}: nothing came within {deadline:?}", self.owner),
        }
    }

    /// The first stanza, of those already here and those to come, that `wanted` accepts. All others stay, in order.
    ///
    /// # Errors
    /// When none comes within `deadline` or the connection ends; says what came instead.
    pub async fn expect(
        &mut self,
        what: &str,
        deadline: Duration,
        wanted: impl Fn(&Element) -> bool,
    ) -> Result<Element> {
        let here = self.kept.iter().position(|kept| wanted(&kept.stanza));
        if let Some(found) = here.and_then(|index| self.kept.remove(index)) {
            return Ok(found.stanza);
        }
        let end = Instant::now() + deadline;
        loop {
            match timeout_at(end, self.arrivals.recv()).await {
                Ok(Some(arrival)) if wanted(&arrival.stanza) => return Ok(arrival.stanza),
                Ok(Some(arrival)) => self.kept.push_back(arrival),
                Ok(None) => bail!("{}: the connection ended before {what} came; {}", self.owner, self.seen()),
                Err(_) => bail!("{}: no {what} within {deadline:?}; {}", self.owner, self.seen()),
            }
        }
    }

    /// Makes sure that nothing like it is here or comes within `time`.
    ///
    /// # Errors
    /// When it does; shows it.
    pub async fn expect_none(&mut self, what: &str, time: Duration, unwanted: impl Fn(&Element) -> bool) -> Result<()> {
        self.keep_for(time).await;
        match self.kept.iter().find(|kept| unwanted(&kept.stanza)) {
            Some(kept) => bail!("{}: {what} came: {}", self.owner, String::from(&kept.stanza)),
            None => Ok(()),
        }
    }

    /// Everything that is here and comes within `time`.
    pub async fn collect(&mut self, time: Duration) -> Vec<Arrival> {
        self.keep_for(time).await;
        self.kept.drain(..).collect()
    }

    /// Everything that is here now.
    pub fn take(&mut self) -> Vec<Arrival> {
        while let Ok(arrival) = self.arrivals.try_recv() {
            self.kept.push_back(arrival);
        }
        self.kept.drain(..).collect()
    }

    async fn keep_for(&mut self, time: Duration) {
        let end = Instant::now() + time;
        while let Ok(Some(arrival)) = timeout_at(end, self.arrivals.recv()).await {
            self.kept.push_back(arrival);
        }
    }

    fn seen(&self) -> String {
        let last = self.kept.iter().rev().take(10).map(|kept| String::from(&kept.stanza)).collect::<Vec<_>>();
        format!("{} others are here, the last of them first: {}", self.kept.len(), last.join("\n"))
    }
}
