//! What a component wrote to one domain, and which of its pings were answered: by this it is judged whether
//! a loss could be known (`servers.md` 5).

use crate::history::Token;

/// One path from a site's component to a domain.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger {
    place: u64,
    pings: Vec<Ping>,
    lost: Vec<Lost>,
}

#[derive(Clone, Debug)]
struct Ping {
    place: u64,
    id: Box<str>,
    connection: u64,
    answered: bool,
}

/// A stanza that two servers lost between them.
#[derive(Clone, Debug)]
pub(crate) struct Lost {
    place: u64,
    pub client: usize,
    pub token: Option<Token>,
}

impl Ledger {
    /// Counts what is written, `ping` is its id if it is one.
    pub(crate) fn wrote(&mut self, ping: Option<Box<str>>, connection: u64) -> u64 {
        self.place += 1;
        if let Some(id) = ping {
            self.pings.push(Ping { place: self.place, id, connection, answered: false });
        }
        self.place
    }

    /// An answer reached the pod.
    pub(crate) fn answered(&mut self, id: &str, connection: u64) {
        let ping = self.pings.iter_mut().rev().find(|ping| *ping.id == *id && ping.connection == connection);
        if let Some(ping) = ping {
            ping.answered = true;
        }
    }

    /// A stanza for a client was lost.
    pub(crate) fn lost(&mut self, place: u64, client: usize, token: Option<Token>) {
        self.lost.push(Lost { place, client, token });
    }

    /// Losses that nobody could know of: the pings on either side were answered.
    pub(crate) fn silent(&self) -> impl Iterator<Item = &Lost> {
        self.lost.iter().filter(|lost| {
            let next = self.pings.iter().position(|ping| ping.place > lost.place);
            let Some((before, after)) =
                next.and_then(|next| Some((self.pings.get(next.checked_sub(1)?)?, &self.pings[next])))
            else {
                return false;
            };
            before.answered && after.answered && before.connection == after.connection
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_loss_between_answered_pings_is_silent() {
        let mut ledger = Ledger::default();
        let ping = |ledger: &mut Ledger, id: &str| ledger.wrote(Some(id.into()), 1);
        ping(&mut ledger, "a");
        let first = ledger.wrote(None, 1);
        ping(&mut ledger, "b");
        let second = ledger.wrote(None, 1);
        ping(&mut ledger, "c");
        ledger.answered("a", 1);
        ledger.answered("c", 1);
        ledger.lost(first, 0, None);
        ledger.lost(second, 0, None);
        assert_eq!(ledger.silent().count(), 0, "b is not answered");
        ledger.answered("b", 1);
        assert_eq!(ledger.silent().count(), 2);
    }
}
