//! The source of stanzas: each one goes to the owner of its room, and is kept until that has handled it.

use std::collections::BTreeMap;
use std::time::Duration;

use warren_model::{Epoch, Incarnation, Now, Shard};
use warren_shard::In;
use warren_xmpp::{ErrorType, Stanza, error_reply};

use crate::table::Owner;
use crate::{Entry, Frame, Pod};

/// Who waits for the owner of a room for longer is told so, as by a room that is not loaded (design: parking).
const PATIENCE: Duration = Duration::from_secs(12);

/// A stanza that its owner has not handled yet.
#[derive(Clone, Debug)]
struct Kept {
    shard: Shard,
    stanza: Stanza,
    at: Duration,
    /// It was said to somebody: then only an owner of the room knows whether it has happened.
    sent: bool,
}

impl Kept {
    fn weight(&self) -> usize {
        256 + self.stanza.content.bytes().len()
    }
}

/// What this pod has routed to others.
#[derive(Debug, Default)]
pub(crate) struct Source {
    last: u64,
    kept: BTreeMap<u64, Kept>,
    bytes: usize,
    /// Stanzas that were never sent, by number: `tick` looks at these only.
    unsent: BTreeMap<u64, Duration>,
}

impl Source {
    /// Bytes of stanzas that are not handled yet, roughly.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// When the first of those that found no owner has waited for long enough.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        self.unsent.values().next().map(|at| *at + PATIENCE)
    }

    fn keep(&mut self, shard: Shard, stanza: Stanza, at: Duration) -> u64 {
        self.last += 1;
        let kept = Kept { shard, stanza, at, sent: false };
        self.bytes += kept.weight();
        self.unsent.insert(self.last, kept.at);
        self.kept.insert(self.last, kept);
        self.last
    }

    fn forget(&mut self, n: u64) -> Option<Kept> {
        self.unsent.remove(&n);
        let kept = self.kept.remove(&n)?;
        self.bytes -= kept.weight();
        Some(kept)
    }

    /// Numbers of what is kept for these shards, in order.
    fn of(&self, shards: impl Fn(Shard) -> bool) -> Vec<u64> {
        self.kept.iter().filter(|(_, kept)| shards(kept.shard)).map(|(n, _)| *n).collect()
    }
}

/// A stanza that came under an epoch that this pod does not know yet.
#[derive(Debug)]
pub(crate) struct Ahead {
    from: Incarnation,
    n: u64,
    shard: Shard,
    epoch: Epoch,
    stanza: Stanza,
}

impl Pod {
    /// A stanza for a room, from the link or from a room that this pod had.
    pub(super) fn route(&mut self, stanza: Stanza, now: Now) {
        let Some(room) = stanza.head.to.as_ref().map(jid::Jid::to_bare) else { return };
        let shard = Shard::of(&room);
        if self.alone || self.table.shard(shard).who == Some(self.me) {
            return self.shard(In::Stanza { room, stanza, source: None }, now);
        }
        let n = self.source.keep(shard, stanza, now.mono);
        self.pass(n, now);
    }

    /// Sends what is kept to whoever owns it now, if there is a way.
    fn pass(&mut self, n: u64, now: Now) {
        let Some(kept) = self.source.kept.get_mut(&n) else { return };
        let Owner { who: Some(owner), epoch } = self.table.shard(kept.shard) else { return };
        if owner != self.me && !self.sessions.contains(&owner) {
            return;
        }
        kept.sent = true;
        self.source.unsent.remove(&n);
        let stanza = kept.stanza.clone();
        if owner == self.me {
            let Some(room) = stanza.head.to.as_ref().map(jid::Jid::to_bare) else { return };
            return self.shard(In::Stanza { room, stanza, source: Some((self.me, n)) }, now);
        }
        let shard = kept.shard;
        self.say(owner, Frame::Stanza { n, shard, epoch, stanza: Box::new(stanza) });
    }

    /// These shards have another owner, or there is a new way to theirs: everything that is kept for them goes there, in
    /// order, under the same numbers.
    pub(super) fn pass_again(&mut self, shards: impl Fn(Shard) -> bool, now: Now) {
        for n in self.source.of(shards) {
            self.pass(n, now);
        }
    }

    /// The owner has handled these.
    pub(super) fn handled(&mut self, numbers: &[u64]) {
        for n in numbers {
            self.source.forget(*n);
        }
    }

    /// A stanza from another pod's link.
    pub(super) fn routed(&mut self, from: Incarnation, n: u64, shard: Shard, epoch: Epoch, stanza: Stanza, now: Now) {
        if from != self.me && !self.table.is_open(from) {
            // It has ended for everybody else, and its numbers may be forgotten.
            return;
        }
        let owner = self.table.shard(shard);
        if epoch > owner.epoch {
            self.ahead.push(Ahead { from, n, shard, epoch, stanza });
            self.want_view();
        } else if epoch == owner.epoch && owner.who == Some(self.me) {
            let Some(room) = stanza.head.to.as_ref().map(jid::Jid::to_bare) else { return };
            self.shard(In::Stanza { room, stanza, source: Some((from, n)) }, now);
        } else {
            let Owner { who, epoch } = owner;
            self.say(from, Frame::Shards(vec![Entry { thing: shard, owner: who, epoch }]));
        }
    }

    /// The table is newer: what came too early may have come in time.
    pub(super) fn catch_up(&mut self, now: Now) {
        for Ahead { from, n, shard, epoch, stanza } in std::mem::take(&mut self.ahead) {
            self.routed(from, n, shard, epoch, stanza, now);
        }
    }

    /// Nobody waits for these any more: their source says them again.
    pub(super) fn forget_ahead(&mut self, of: Incarnation) {
        self.ahead.retain(|ahead| ahead.from != of);
    }

    /// Answers those that have found no owner for too long.
    pub(super) fn give_up(&mut self, now: Now) {
        while self.source.deadline().is_some_and(|at| at <= now.mono)
            && let Some((n, _)) = self.source.unsent.pop_first()
        {
            let Some(kept) = self.source.forget(n) else { continue };
            let head = &kept.stanza.head;
            let room = head.to.as_ref().map(|to| to.to_bare().to_string());
            let text = "the room is not reachable at the moment";
            let condition = "remote-server-timeout";
            if let Some(bytes) = error_reply(head, room.as_deref(), ErrorType::Wait, condition, Some(text)) {
                self.reply(bytes);
            }
        }
    }
}
