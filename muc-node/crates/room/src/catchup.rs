//! Bringing somebody up to date from the log, in order, while the room goes on: a path whose stanzas
//! were lost, or a peer that resyncs.
//!
//! A catch-up reads pages of durable rows. Rows that are appended while a page is on its way are kept
//! beside it, so that the last page is followed without a gap or a step back.

use std::sync::Arc;

use jid::BareJid;
use smallvec::SmallVec;
use warren_model::{LogKind, LogRow, Seq};
use warren_xmpp::cast::{Cast, ReplayMark, Who};

use crate::feature::join::HistoryLimits;
use crate::io::{Effect, ReadId};
use crate::log::Logged;
use crate::payload::Payload;
use crate::room::Room;

/// Rows of one page.
const PAGE: usize = 256;
/// A path that lacks more rows than this is not replayed: its occupants leave with 333 and rejoin.
pub(crate) const REPLAY_ROWS: usize = 10_000;

/// Who is brought up to date.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// The occupants of a domain.
    Path(Box<str>),
    /// A peer room.
    Peer(BareJid),
}

#[derive(Clone, Debug)]
struct Catchup {
    target: Target,
    read: ReadId,
    /// Everything up to here has been handed over.
    cursor: Seq,
    /// Everything up to here is in the page that was asked for, if it is not full.
    asked: Seq,
    /// Rows appended since the page was asked for.
    tail: Vec<Arc<Logged>>,
    handed: usize,
    /// The room's position when it began: what is later was told by nobody yet.
    begun: Seq,
}

/// The catch-ups that run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Catchups {
    running: Vec<Catchup>,
    next_read: u64,
}

impl Catchups {
    /// A row was appended.
    pub(crate) fn note(&mut self, row: &Arc<Logged>) {
        self.running.iter_mut().for_each(|catchup| catchup.tail.push(row.clone()));
    }

    /// Domains that are being replayed.
    pub(crate) fn replaying(&self) -> SmallVec<[Box<str>; 1]> {
        self.running
            .iter()
            .filter_map(|catchup| match &catchup.target {
                Target::Path(remote) => Some(remote.clone()),
                Target::Peer(_) => None,
            })
            .collect()
    }

    /// Whether that domain is being replayed.
    pub(crate) fn is_replaying(&self, remote: &str) -> bool {
        self.running.iter().any(|catchup| matches!(&catchup.target, Target::Path(path) if **path == *remote))
    }

    /// Whether that peer is being brought up to date.
    pub(crate) fn is_syncing(&self, peer: &BareJid) -> bool {
        self.running.iter().any(|catchup| matches!(&catchup.target, Target::Peer(room) if room == peer))
    }

    /// Gives up on a target.
    pub(crate) fn stop(&mut self, target: &Target) {
        self.running.retain(|catchup| &catchup.target != target);
    }

    /// Gives up on all paths. What is under way to peers goes on.
    pub(crate) fn stop_paths(&mut self) {
        self.running.retain(|catchup| !matches!(catchup.target, Target::Path(_)));
    }

    /// Whether nothing runs.
    pub(crate) fn is_idle(&self) -> bool {
        self.running.is_empty()
    }
}

impl Room {
    /// Starts to bring somebody up to date with everything after `after`; one that runs starts again.
    pub(crate) fn catch_up(&mut self, target: Target, after: Seq) {
        self.catchups.stop(&target);
        if let Target::Path(remote) = &target {
            self.fx.push(Effect::Replay { remote: remote.clone(), mark: ReplayMark::Start });
        }
        let read = self.ask(after);
        self.catchups.running.push(Catchup {
            target,
            read,
            cursor: after,
            asked: self.head,
            tail: Vec::new(),
            handed: 0,
            begun: self.head,
        });
    }

    fn ask(&mut self, after: Seq) -> ReadId {
        self.catchups.next_read += 1;
        let read = ReadId(self.catchups.next_read);
        self.fx.push(Effect::Read { read, after, max: PAGE });
        read
    }

    /// Rows arrived.
    pub(crate) fn page(&mut self, read: ReadId, rows: Vec<LogRow>) {
        let Some(at) = self.catchups.running.iter().position(|catchup| catchup.read == read) else { return };
        let mut catchup = self.catchups.running.remove(at);
        let full = rows.len() >= PAGE;
        // What is above our head another owner has decided: we were taken over, and do not know it yet.
        let head = self.head;
        for row in rows.into_iter().filter(|row| row.seq <= head) {
            catchup.cursor = row.seq;
            catchup.handed += 1;
            if let Some(logged) = Logged::read(row) {
                self.hand_over(&catchup.target, &logged, catchup.begun);
            }
        }
        let too_much = catchup.handed > REPLAY_ROWS && matches!(catchup.target, Target::Path(_));
        if full && catchup.cursor < catchup.asked && !too_much {
            // What was appended meanwhile will be in a later page or kept again from now on.
            catchup.read = self.ask(catchup.cursor);
            catchup.asked = self.head;
            catchup.tail.clear();
            self.catchups.running.push(catchup);
            return;
        }
        let cursor = catchup.cursor;
        for logged in catchup.tail.iter().filter(|logged| logged.row.seq > cursor) {
            self.hand_over(&catchup.target, logged, catchup.begun);
        }
        match catchup.target {
            Target::Path(remote) => {
                self.fx.push(Effect::Replay { remote: remote.clone(), mark: ReplayMark::End });
                if too_much {
                    self.remove_domain(&remote, "the backlog of this room has grown too long");
                }
            }
            Target::Peer(peer) => self.sync_complete(&peer),
        }
    }

    fn hand_over(&mut self, target: &Target, logged: &Arc<Logged>, begun: Seq) {
        match target {
            Target::Path(remote) => self.replay_row(remote, logged),
            Target::Peer(peer) => self.sync_row(peer, logged, logged.row.seq > begun),
        }
    }

    /// One row again, for one path. A session that joined by this row gets its whole join sequence.
    fn replay_row(&mut self, remote: &str, logged: &Arc<Logged>) {
        let seq = logged.row.seq;
        if self.breakage.join_not_replayed && logged.row.kind == LogKind::Join {
            return;
        }
        for variants in self.row_variants(logged) {
            let only = Some(remote.into());
            let cast = Cast { seq: Some(seq), only, except: SmallVec::new(), variants, who: Who::All };
            self.fx.push(Effect::Cast(Arc::new(cast)));
        }
        let Some(jid) = logged.row.jid.as_ref().filter(|jid| jid.domain().as_str() == remote) else { return };
        if logged.row.ingress.is_some() {
            return;
        }
        let bytes = match &logged.payload {
            Payload::Join(_) => self
                .occupants
                .by_jid(jid)
                .filter(|occupant| occupant.sessions.iter().any(|s| &s.jid == jid && s.join_seq == seq))
                .map(|occupant| self.join_sequence(occupant, jid, seq, &HistoryLimits::default(), None)),
            Payload::Leave(_) => self.farewell(logged),
            _ => None,
        };
        if let Some(bytes) = bytes {
            self.fx.push(Effect::Send { to: jid.clone(), bytes, seq: Some(seq) });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn giving_up_on_paths_leaves_peers_alone() {
        let peer: BareJid = "tower@rooms.verona.lit".parse().unwrap();
        let mut catchups = Catchups::default();
        for (n, target) in [Target::Path("capulet.lit".into()), Target::Peer(peer.clone())].into_iter().enumerate() {
            let read = ReadId(u64::try_from(n).unwrap());
            let (cursor, asked, begun) = (Seq(0), Seq(9), Seq(9));
            catchups.running.push(Catchup { target, read, cursor, asked, tail: Vec::new(), handed: 0, begun });
        }
        catchups.stop_paths();
        assert!(catchups.is_syncing(&peer) && !catchups.is_replaying("capulet.lit"));
    }
}
