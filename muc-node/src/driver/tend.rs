//! The loop and the link: whether there is one, how much is read of it, what it says.

use std::time::Duration;

use warren_model::{Now, ServiceConfig};
use warren_pod::Input;

use super::{Driver, Fatal};
use crate::flow::Load;
use crate::link::{Link, Said};

/// Output that the socket did not take for so long does not flow any more, and does not keep us from reading: a
/// server may read only after it has written (ejabberd's component stream does), and two who wait for one another
/// would wait for ever.
const STALLED: Duration = Duration::from_millis(250);
/// Reads of one turn.
const READS: usize = 4;

/// How links are made.
#[derive(Clone, Copy, Debug)]
pub struct Links {
    /// Longest wait between attempts to connect.
    pub retry_max: Duration,
    /// Differs between pods and starts.
    pub seed: u64,
}

impl Driver {
    /// From now on there is a link to the server of the service, as soon as a service is applied.
    pub fn connect(&mut self, links: Links) {
        self.links = Some(links);
        self.applied = true;
    }

    fn service(&self) -> Option<ServiceConfig> {
        self.pod.registry().service(self.pod.domain()).cloned()
    }

    /// Another server, another secret: the link is made anew.
    pub(super) fn relink(&mut self, now: Now) -> Result<(), Fatal> {
        if !self.pod.has_link() {
            return self.unlink(now);
        }
        let (Some(links), Some(service)) = (self.links, self.service()) else { return Ok(()) };
        let same = self.linked.as_ref().is_some_and(|before| {
            before.component == service.component && before.timers.liveness == service.timers.liveness
        });
        if same {
            return Ok(());
        }
        if self.link.as_ref().is_some_and(Link::is_online) {
            tracing::info!(host = service.component.host, port = service.component.port, "the link is made anew");
            self.health.link(false);
            self.handle(Input::LinkDown, now)?;
        }
        let mut link = Link::new(&service, links.retry_max, links.seed);
        link.start(now);
        self.link = Some(link);
        self.linked = Some(service);
        Ok(())
    }

    /// The link is somebody else's.
    fn unlink(&mut self, now: Now) -> Result<(), Fatal> {
        self.linked = None;
        if let Some(link) = self.link.take()
            && link.is_online()
        {
            self.health.link(false);
            self.handle(Input::LinkDown, now)?;
        }
        Ok(())
    }

    pub(super) fn load(&self, now: Duration) -> Load {
        let stalled = self.stalled_at().is_some_and(|at| now >= at);
        let output = self.pod.ready() || self.link.as_ref().is_some_and(Link::has_output);
        Load {
            uncommitted: self.pod.uncommitted_bytes(),
            queued: self.pod.egress().queued_bytes(),
            flowing: output && !stalled,
        }
    }

    /// Bytes that may be read from the link; 0: none.
    pub(super) fn allowance(&self, now: Duration) -> usize {
        if self.resting || self.store.is_full() { 0 } else { self.flow.allowance(self.load(now)) }
    }

    /// When a link that takes no output counts as stalled.
    pub(super) fn stalled_at(&self) -> Option<Duration> {
        Some(self.link.as_ref()?.blocked_since()? + STALLED)
    }

    /// Reads the link and does what is due on it.
    pub(super) fn tend_link(&mut self, now: Now) -> Result<(), Fatal> {
        for _ in 0..READS {
            let most = self.allowance(now.mono);
            let read = self.link.as_mut().filter(|_| most > 0).and_then(|link| link.read(most, now));
            let Some(read) = read else { break };
            self.flow.read(read);
            self.hear_link(now)?;
        }
        let reading = self.allowance(now.mono) > 0;
        if let Some(link) = &mut self.link {
            // The link belongs to whoever acts: it is not taken back from the one who may have taken over.
            let acts = self.cluster.as_ref().is_none_or(|cluster| cluster.acts(now.mono));
            link.tick(now, reading, acts);
        }
        self.hear_link(now)
    }

    /// Passes on what the link has to say.
    fn hear_link(&mut self, now: Now) -> Result<(), Fatal> {
        while let Some(said) = self.link.as_mut().and_then(|link| link.poll(now, self.pod.at_boundary())) {
            match said {
                Said::Stanza(stanza) => {
                    self.metrics.stanza();
                    self.handle(Input::Stanza(stanza), now)?;
                }
                Said::Refused(limit) => self.metrics.refused(limit),
                Said::Up => {
                    self.health.link(true);
                    self.metrics.link(true);
                    self.handle(Input::LinkUp, now)?;
                }
                Said::Down => {
                    self.health.link(false);
                    self.metrics.link(false);
                    self.handle(Input::LinkDown, now)?;
                }
            }
        }
        Ok(())
    }
}
