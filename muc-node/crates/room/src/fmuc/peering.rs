//! What is known of one peer, and its loss (`fmuc.md` 6.3).

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use jid::{BareJid, Jid};
use warren_model::{Direction, Flavour, Now, PeerTimers, PeeringRow, PeeringState, PeeringView, Row, Seq, UnixMs};
use warren_xmpp::{Stanza, StanzaError};

use crate::catchup::Target;
use crate::feature::join::over;
use crate::payload::{Cause, Leave};
use crate::room::Room;
use crate::state::Nick;

/// Backlog of unacknowledged stanzas at which the peering falls back to a resync: memory stays bounded,
/// the log has everything.
const MAX_UNACKED: usize = 4096;
/// Entries from a peer that are acknowledged at once, without waiting for traffic of our own.
const ACK_EVERY: u32 = 64;

/// Where a peering stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Nobody on the joining side.
    #[default]
    Idle,
    /// Our join is unanswered (joining side).
    Joining,
    /// The answer is coming in, up to its subject (joining side).
    Syncing,
    /// In step.
    Up,
    /// The last user of the joining side has left; `left` has not come yet.
    Leaving,
    /// Lost: a resync is due.
    Down,
    /// The peer refused us; tried again seldom.
    Rejected,
}

/// One peer room.
#[derive(Clone, Debug)]
pub(crate) struct Peering {
    pub row: PeeringRow,
    pub phase: Phase,
    /// When the phase was entered.
    pub since: Duration,
    /// Our id of the stanza sent before: the next `p`.
    pub tx_prev: Option<Box<str>>,
    /// Sent and not acknowledged: position, id, when.
    pub unacked: VecDeque<(Seq, Duration)>,
    /// Where what we owe this peer begins, if it has never acknowledged anything.
    pub owed_after: Seq,
    /// Whom our join has told of.
    pub announced: Option<(Jid, Nick)>,
    /// Joins since the last sync that was completed.
    pub joins: u32,
    /// Occupants of this peer that the running sync has not confirmed yet.
    pub stale: BTreeSet<Nick>,
    /// The sync continues from what we had, so `p` must chain.
    pub chained: bool,
    /// Taken from the peer since our last `h`.
    pub unsaid: u32,
    /// When an idle acknowledgement is due.
    pub ack_at: Option<Duration>,
    /// When to try again.
    pub retry_at: Option<Duration>,
    pub tries: u32,
    /// Lost since; the grace time of its occupants counts from here.
    pub lost_since: Option<Duration>,
}

impl Peering {
    pub(super) fn new(peer: &BareJid, direction: Direction, head: Seq, now: Now) -> Self {
        let row = PeeringRow {
            peer: peer.clone(),
            direction,
            flavour: Flavour::Xep,
            state: PeeringState::Idle,
            peer_session: None,
            rx_last: None,
            // What was said before is not owed; what is said from now on is, however long the first contact
            // takes and whoever leaves meanwhile.
            tx_acked: head,
            since: now.wall,
        };
        Self::restored(row, now)
    }

    /// From its row. It is Idle until something wakes it.
    pub(crate) fn restored(row: PeeringRow, now: Now) -> Self {
        Self {
            owed_after: row.tx_acked,
            row,
            phase: Phase::Idle,
            since: now.mono,
            tx_prev: None,
            unacked: VecDeque::new(),
            announced: None,
            joins: 0,
            stale: BTreeSet::new(),
            chained: false,
            unsaid: 0,
            ack_at: None,
            retry_at: None,
            tries: 0,
            lost_since: None,
        }
    }

    /// In the words of status.
    pub(crate) fn view(&self) -> PeeringView {
        match self.phase {
            Phase::Idle => PeeringView::Idle,
            Phase::Up | Phase::Leaving => PeeringView::Joined,
            Phase::Syncing if self.lost_since.is_some() || self.chained => PeeringView::Degraded,
            Phase::Joining if self.lost_since.is_some() => PeeringView::Unreachable,
            Phase::Joining | Phase::Syncing => PeeringView::Connecting,
            Phase::Down => PeeringView::Unreachable,
            Phase::Rejected => PeeringView::Rejected,
        }
    }

    /// What was under way does not matter any more.
    pub(super) fn forget_traffic(&mut self) {
        self.unacked.clear();
        self.stale.clear();
        self.ack_at = None;
    }

    /// Joined side: the end of the joining side's roster has not come. It is in no chain, so its loss is only seen so.
    pub(super) fn awaits_roster(&self) -> bool {
        self.phase == Phase::Up
            && self.row.direction == Direction::Downlink
            && self.is_warren()
            && !self.stale.is_empty()
    }

    pub(super) fn is_warren(&self) -> bool {
        self.row.flavour == Flavour::Warren
    }
}

impl Room {
    pub(super) fn timers(&self, peer: &BareJid) -> PeerTimers {
        self.site.peers.get(peer.domain().as_str()).map(|config| config.timers).unwrap_or_default()
    }

    /// Whether rows flow to that peer.
    pub(super) fn is_linked(&self, peer: &BareJid) -> bool {
        self.peerings.get(peer).is_some_and(|peering| peering.phase == Phase::Up)
    }

    /// Enters a phase; what must survive a restart is written when it changes.
    pub(super) fn enter_phase(&mut self, peer: &BareJid, phase: Phase) {
        let (mono, wall) = (self.now.mono, self.now.wall);
        let Some(peering) = self.peerings.get_mut(peer) else { return };
        peering.phase = phase;
        peering.since = mono;
        let durable = match phase {
            Phase::Idle | Phase::Leaving | Phase::Rejected => PeeringState::Idle,
            Phase::Joining | Phase::Syncing => PeeringState::Joining,
            Phase::Up => PeeringState::Up,
            Phase::Down => PeeringState::Down,
        };
        match phase {
            Phase::Up => {
                peering.lost_since = None;
                peering.retry_at = None;
                peering.tries = 0;
            }
            Phase::Idle => {
                peering.lost_since = None;
                peering.retry_at = None;
            }
            _ => {}
        }
        if peering.row.state != durable {
            peering.row.state = durable;
            peering.row.since = wall;
            self.persist_peering(peer);
        }
    }

    pub(super) fn persist_peering(&mut self, peer: &BareJid) {
        if let Some(row) = self.peerings.get(peer).map(|peering| peering.row.clone()) {
            self.persist(Row::Peering(row));
        }
    }

    /// The next try, later each time, up to 16 times the first wait.
    pub(super) fn schedule_retry(&mut self, peer: &BareJid) {
        let first = self.timers(peer).retry;
        let now = self.now.mono;
        let Some(peering) = self.peerings.get_mut(peer) else { return };
        peering.retry_at = Some(now + first * 2_u32.pow(peering.tries.min(4)));
        peering.tries += 1;
    }

    /// The path works again: no need to wait for the next try.
    pub(super) fn retry_now(&mut self, peer: &BareJid) {
        let now = self.now.mono;
        let Some(peering) = self.peerings.get_mut(peer) else { return };
        if peering.retry_at.is_some() && peering.phase != Phase::Rejected {
            peering.tries = 0;
            peering.retry_at = Some(now);
            self.fmuc_tick();
        }
    }

    /// The peering is out of step or its path is gone: from now on only a resync counts.
    pub(super) fn lose(&mut self, peer: &BareJid) {
        let now = self.now.mono;
        let Some(peering) = self.peerings.get_mut(peer) else { return };
        if matches!(peering.phase, Phase::Idle if peering.row.state == PeeringState::Idle) {
            return;
        }
        if matches!(peering.phase, Phase::Down | Phase::Rejected) {
            return;
        }
        peering.lost_since.get_or_insert(now);
        peering.forget_traffic();
        let again = matches!(peering.phase, Phase::Joining | Phase::Syncing);
        self.catchups.stop(&Target::Peer(peer.clone()));
        self.enter_phase(peer, Phase::Down);
        if again {
            // A try has just failed; the next one waits its turn.
            self.schedule_retry(peer);
        } else if let Some(peering) = self.peerings.get_mut(peer) {
            peering.tries = 0;
            self.ask_for_resync(peer);
        }
    }

    /// Joining side: joins again. Joined side: asks the other to.
    fn ask_for_resync(&mut self, peer: &BareJid) {
        let allowed = match self.peerings.get(peer).map(|peering| peering.row.direction) {
            Some(Direction::Uplink) => self.peer_is_trusted(peer) && self.uplink().as_ref() == Some(peer),
            Some(Direction::Downlink) => self.admits(peer) || self.uplink().as_ref() == Some(peer),
            None => false,
        };
        if !allowed {
            // The allow-list has changed while nobody was told.
            return self.close_peering(peer);
        }
        self.schedule_retry(peer);
        match self.peerings.get(peer).map(|peering| peering.row.direction) {
            Some(Direction::Uplink) => self.start_join(peer),
            Some(Direction::Downlink) => self.send_resync(peer),
            None => {}
        }
    }

    /// An error from a peer room (`fmuc.md` 6.3).
    pub(super) fn peer_error(&mut self, peer: &BareJid, stanza: &Stanza) {
        let Some(error) = StanzaError::read(&stanza.content) else { return };
        let transport = error.by.as_ref().is_some_and(|by| by.domain().as_str() == &*self.site.domain)
            || ["remote-server-timeout", "remote-server-not-found", "recipient-unavailable"]
                .contains(&error.condition.as_str());
        if transport {
            self.lose(peer);
        } else if self.private_refused(peer, stanza, &error) {
            // It was about a private message, not about the peering.
        } else if self.peerings.get(peer).is_some_and(|peering| peering.phase == Phase::Joining) {
            self.rejected(peer);
        }
    }

    /// When something of a peering is due.
    pub(crate) fn fmuc_deadline(&self) -> Option<Duration> {
        self.peerings
            .iter()
            .flat_map(|(peer, peering)| {
                let timers = self.timers(peer);
                let ack = peering.unacked.front().map(|(_, at)| *at + timers.ack_timeout);
                let grace = peering
                    .lost_since
                    .filter(|_| self.occupants.of_peer(peer).next().is_some())
                    .map(|since| since + timers.peering_grace);
                let stuck = (matches!(peering.phase, Phase::Syncing | Phase::Leaving) || peering.awaits_roster())
                    .then(|| peering.since + timers.ack_timeout * 2);
                [ack, grace, stuck, peering.ack_at, peering.retry_at]
            })
            .flatten()
            .min()
    }

    /// Does what is due.
    pub(crate) fn fmuc_tick(&mut self) {
        let now = self.now.mono;
        let peers: Vec<_> = self.peerings.keys().cloned().collect();
        for peer in peers {
            let timers = self.timers(&peer);
            let Some(peering) = self.peerings.get_mut(&peer) else { continue };
            let silent = peering.unacked.front().is_some_and(|(_, at)| over(*at, timers.ack_timeout, now));
            let stuck = (peering.phase == Phase::Syncing || peering.awaits_roster())
                && over(peering.since, timers.ack_timeout * 2, now);
            let ack = peering.ack_at.is_some_and(|at| at <= now);
            let retry = peering.retry_at.is_some_and(|at| at <= now);
            let forgotten = peering.phase == Phase::Leaving && over(peering.since, timers.ack_timeout * 2, now);
            let graceless = peering.lost_since.is_some_and(|since| over(since, timers.peering_grace, now));
            if silent || stuck {
                self.lose(&peer);
            } else if forgotten {
                self.peer_is_gone(&peer);
            } else if ack {
                self.send_ack(&peer);
            }
            if retry {
                self.try_again(&peer);
            }
            if graceless {
                self.sweep_lost(&peer);
            }
        }
    }

    fn try_again(&mut self, peer: &BareJid) {
        let Some(peering) = self.peerings.get_mut(peer) else { return };
        peering.retry_at = None;
        match peering.phase {
            Phase::Joining | Phase::Down | Phase::Rejected => self.ask_for_resync(peer),
            Phase::Idle => self.follow_uplink(),
            _ => {}
        }
    }

    /// The grace time of a lost peering is over: its occupants leave, once.
    fn sweep_lost(&mut self, peer: &BareJid) {
        let nicks: Vec<_> = self.occupants.of_peer(peer).map(|occupant| occupant.nick.clone()).collect();
        for nick in nicks {
            self.remove_occupant(&nick, &Leave { cause: Cause::Technical, ..Leave::default() });
        }
    }

    /// The position up to which a peer that says `h` has processed us; `None`: the id is foreign, of an earlier life
    /// of this room, or of a row that the store has lost since.
    pub(super) fn position_of(&self, h: &str) -> Option<Seq> {
        // The first half of a pair of stanzas for one row has the row's id with a dash behind it.
        let (epoch, seq) = self.keys.decode(h.trim_end_matches('-'))?;
        // A database that failed over may lack the newest rows of an earlier epoch; ours stand in their places now.
        if seq > self.head || (seq > self.loaded_head && epoch != self.epoch) {
            return None;
        }
        Some(if h.ends_with('-') { Seq(seq.0.saturating_sub(1)) } else { seq })
    }

    /// The peer has processed everything up to this id of ours.
    pub(super) fn acknowledged(&mut self, peer: &BareJid, h: &str) {
        let Some(seq) = self.position_of(h) else { return };
        let Some(peering) = self.peerings.get_mut(peer) else { return };
        while peering.unacked.front().is_some_and(|(sent, _)| *sent <= seq) {
            peering.unacked.pop_front();
        }
        // In memory; it is written with the next row of this peering. An older value after a restart only
        // makes a resync longer, and the peer says itself what it has.
        peering.row.tx_acked = peering.row.tx_acked.max(seq);
    }

    /// Something of ours went out.
    pub(super) fn sent(&mut self, peer: &BareJid, seq: Seq) {
        let now = self.now.mono;
        let Some(peering) = self.peerings.get_mut(peer) else { return };
        peering.unacked.push_back((seq, now));
        peering.unsaid = 0;
        peering.ack_at = None;
        if peering.unacked.len() > MAX_UNACKED {
            self.lose(peer);
        }
    }

    /// Something was taken from the peer: our `h` will say so, with our next stanza or soon.
    pub(super) fn taken(&mut self, peer: &BareJid) {
        let soon = self.now.mono + self.timers(peer).ack_timeout / 4;
        let Some(peering) = self.peerings.get_mut(peer) else { return };
        peering.unsaid += 1;
        peering.ack_at.get_or_insert(soon);
        if peering.unsaid >= ACK_EVERY {
            self.send_ack(peer);
        }
    }

    /// What a row of the log is worth to time: the stamp that its origin gave it, kept within reason.
    pub(super) fn effective(&self, t: Option<UnixMs>, delayed: Option<UnixMs>) -> UnixMs {
        let now = self.now.wall;
        match (t, delayed) {
            (Some(t), _) => t,
            (None, Some(stamp)) if stamp <= now.plus(Duration::from_mins(2)) => stamp,
            _ => now,
        }
    }
}
