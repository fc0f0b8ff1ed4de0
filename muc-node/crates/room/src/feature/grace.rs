//! Occupants of a domain that has been Down for too long leave once, for technical reasons
//! (XEP-0045 11.1, status 333). Until then they stay: an outage of a path is not an absence.

use std::time::Duration;

use warren_xmpp::cast::PathState;

use super::join::over;
use crate::room::Room;

impl Room {
    /// The earliest end of a grace time that concerns somebody here.
    pub(crate) fn grace_deadline(&self) -> Option<Duration> {
        self.down_domains().map(|(_, since)| since + self.site.timers.domain_grace).min()
    }

    /// Removes those whose grace time is over.
    pub(crate) fn grace_tick(&mut self) {
        let now = self.now.mono;
        let grace = self.site.timers.domain_grace;
        let lost: Vec<Box<str>> = self
            .down_domains()
            .filter(|(_, since)| over(*since, grace, now))
            .map(|(remote, _)| remote.into())
            .collect();
        for remote in lost {
            self.remove_domain(&remote, "your server could not be reached");
        }
    }

    fn down_domains(&self) -> impl Iterator<Item = (&str, Duration)> {
        self.paths
            .iter()
            .filter(|(remote, (state, _))| {
                *state == PathState::Down
                    && self.occupants.local().any(|o| o.sessions.iter().any(|s| s.jid.domain().as_str() == &***remote))
            })
            .map(|(remote, (_, since))| (&**remote, *since))
    }
}
