//! The link: all its paths, whose turn it is to write, and what comes back.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jid::BareJid;
use smallvec::SmallVec;
use warren_model::{Batch, Lane, Now, Path, RoomId, Seq, ServiceTimers};
use warren_xmpp::cast::{PathState, SessionId};

use crate::audit::Audits;
use crate::path::{Phase, Route};
use crate::settings::{Settings, Stats};
use crate::table::Table;
use crate::{Event, invariants};

/// Answers of the service that may wait.
const ANSWERS: usize = 1000;

/// Output of one component link.
#[derive(Debug)]
pub struct Egress {
    /// The domains we serve: an error that names one of them as its maker tells of the way, not of the
    /// other end.
    pub(crate) domains: BTreeSet<Box<str>>,
    pub(crate) rooms: BTreeMap<RoomId, RoomEntry>,
    pub(crate) table: Table,
    pub(crate) audits: Audits,
    /// What did not fit of the last thing written: comes first, whatever happens meanwhile.
    partial: Bytes,
    /// Answers of the service itself: between two things of paths, whatever state their paths are in.
    answers: VecDeque<Bytes>,
    /// Since when there is no link; `None` while there is one, or before the first call with a time.
    away: Option<Duration>,
    /// Where the next call of `watermarks` begins.
    next_watermark: usize,
}

/// A room, as of the last thing it released.
#[derive(Debug)]
pub(crate) struct RoomEntry {
    pub jid: Arc<BareJid>,
    /// The paths with members.
    pub tails: SmallVec<[Tail; 2]>,
}

/// The members on one path once everything queued is applied, in order.
#[derive(Debug)]
pub(crate) struct Tail {
    pub place: usize,
    pub sessions: Vec<SessionId>,
}

impl Egress {
    /// A link that is not up yet. `domains`: the domains it serves.
    pub fn new(domains: impl IntoIterator<Item = Box<str>>, settings: Settings) -> Self {
        Self {
            domains: domains.into_iter().collect(),
            rooms: BTreeMap::new(),
            table: Table::new(settings),
            audits: Audits::default(),
            partial: Bytes::new(),
            answers: VecDeque::new(),
            away: None,
            next_watermark: 0,
        }
    }

    /// What the store knows of a path at start, before any group of it is released: the rooms with rows
    /// after its watermarks, each with the first of them; and the lanes of the past with their last
    /// batches. The watermarks of those lanes stay where they are until those rows are proven, and
    /// then become these batches.
    pub fn restore(&mut self, path: &Path, missing: Vec<(RoomId, BareJid, Seq)>, old: Vec<(Lane, Batch)>, now: Now) {
        self.begin(now);
        let place = self.table.place(&path.local, &path.remote, now.mono);
        if let Some((route, cx)) = self.table.both(place) {
            route.restore(cx, missing);
            route.restored.extend(old);
        }
        self.table.settle(place, now.mono);
        self.after();
    }

    /// Somebody else answers for these rooms from now on, or the way to them was lost: replays that were asked of them
    /// and have not ended are asked for again.
    pub fn ask_again(&mut self, of: impl Fn(&BareJid) -> bool, now: Now) {
        self.begin(now);
        self.table.each(now.mono, |route, cx| {
            route.gaps.unanswered(&of);
            route.ask(cx);
        });
        self.after();
    }

    /// Whether [`Egress::write`] would write anything.
    pub fn ready(&self) -> bool {
        self.table.cx.link && (!self.partial.is_empty() || !self.answers.is_empty() || !self.table.ring.is_empty())
    }

    /// Appends to `out` what is to be written next, `max` bytes or one stanza more, and returns how many.
    /// Paths take turns of `quantum` bytes. The stream must not write anything of its own in between
    /// unless [`Egress::at_boundary`].
    ///
    /// What is appended counts as written; if the link fails before it is, [`Egress::link_down`].
    pub fn write(&mut self, out: &mut Vec<u8>, max: usize, now: Now) -> usize {
        self.begin(now);
        let (start, end) = (out.len(), out.len().saturating_add(max));
        let fits = self.partial.len().min(max);
        out.extend_from_slice(&self.partial.split_to(fits));
        while self.partial.is_empty() && self.table.cx.link {
            let Some(answer) = self.answers.pop_front() else { break };
            out.extend_from_slice(&answer);
        }
        while self.partial.is_empty() && out.len() < end && self.table.cx.link {
            let Some(place) = self.table.ring.pop_front() else { break };
            let stop = end.min(out.len() + self.table.cx.settings.quantum.max(1));
            if let Some((route, cx)) = self.table.both(place) {
                route.in_ring = false;
                if let Some(rest) = route.write(cx, out, stop, now.mono) {
                    self.partial = rest;
                }
            }
            // Goes to the end of the ring if there is more.
            self.table.settle(place, now.mono);
            // A large thing is written without regard to the quantum: nothing may come in between.
            let fits = self.partial.len().min(end.saturating_sub(out.len()));
            out.extend_from_slice(&self.partial.split_to(fits));
        }
        self.after();
        out.len() - start
    }

    /// Takes a whole stanza that no room says: an answer of the service. It waits for no path to be opened.
    /// Two nodes that open the paths to each other by pings would otherwise wait for each other's answers.
    ///
    /// Without a link it is dropped, and so is what comes when `ANSWERS` of them wait: whoever asked asks
    /// again.
    pub fn answer(&mut self, stanza: Bytes) {
        if self.table.cx.link && self.answers.len() < ANSWERS {
            self.answers.push_back(stanza);
        }
    }

    /// Whether everything written so far ends with a whole stanza.
    pub fn at_boundary(&self) -> bool {
        self.partial.is_empty()
    }

    /// The stream is established. All paths are opened by a lone ping when they are needed, and all
    /// members are audited once.
    pub fn link_up(&mut self, now: Now) {
        if self.table.cx.link {
            self.link_down(now);
        }
        self.away = None;
        self.partial = Bytes::new();
        self.table.cx.link = true;
        self.table.cx.stranded = false;
        self.audits.link_up(now.mono, self.table.cx.settings.audit_window);
        self.table.each(now.mono, |route, cx| {
            // That there was no link was not the path's fault.
            if route.phase != Phase::Cold {
                route.reset(cx);
            }
            route.audit_all();
        });
        self.after();
    }

    /// The stream is gone. What was queued or not proven is missing, what was transient is lost. Rooms
    /// hear of it only if the link stays away for `suspect_after`.
    pub fn link_down(&mut self, now: Now) {
        self.begin(now);
        if self.table.cx.link {
            self.away = Some(now.mono);
        }
        self.table.cx.link = false;
        self.partial = Bytes::new();
        self.answers.clear();
        self.table.each(now.mono, Route::reset);
        self.after();
    }

    /// From now on these waiting times are in force.
    pub fn set_timers(&mut self, timers: ServiceTimers, now: Now) {
        self.table.cx.settings.timers = timers;
        // Every path works out anew what it waits for.
        self.table.each(now.mono, |_, _| {});
        self.after();
    }

    /// Does what is due.
    pub fn tick(&mut self, now: Now) {
        self.begin(now);
        self.table.tick(now.mono);
        if let Some(away) = self.away
            && !self.table.cx.stranded
            && now.mono >= away + self.table.cx.settings.timers.suspect_after
        {
            self.table.cx.stranded = true;
            self.table.each(now.mono, Route::strand);
        }
        self.audit(now.mono);
        self.after();
    }

    /// When [`Egress::tick`] is due.
    pub fn next_deadline(&self) -> Option<Duration> {
        let away = self.away.filter(|_| !self.table.cx.stranded);
        let strand = away.map(|away| away + self.table.cx.settings.timers.suspect_after);
        let audit = self.audits.deadline().filter(|_| self.table.cx.link);
        let timer = self.table.timers.first().map(|(at, _)| *at);
        [strand, audit, timer].into_iter().flatten().min()
    }

    /// The next event. As many may wait as there are paths that changed.
    pub fn poll(&mut self) -> Option<Event> {
        self.table.cx.events.pop_front()
    }

    /// The watermarks that rose since the last call, to be written with the beat: on this lane and path
    /// everything up to this batch has arrived, or was for nobody there.
    ///
    /// `current` are the lanes that are being written and a batch of each: everything up to that batch
    /// must have been released before. Paths with nothing outstanding follow them.
    pub fn watermarks(&mut self, current: &[(Lane, Batch)]) -> Vec<(Lane, Path, Batch)> {
        let settings = &self.table.cx.settings;
        let (max, on_write) = (settings.watermarks_at_once, settings.breakage.watermark_moved_on_write);
        let mut out = Vec::new();
        let places = self.table.routes.len();
        for step in 0..places {
            let place = (self.next_watermark + step) % places;
            if out.len() >= max {
                self.next_watermark = place;
                return out;
            }
            if let Some(route) = self.table.route(place).filter(|route| route.is_tracked()) {
                route.watermarks(current, on_write, &mut out);
                // It may be of no use any more now, and then is to be forgotten in time.
                let used = route.last_used;
                self.table.settle(place, used);
            }
        }
        self.next_watermark = 0;
        out
    }

    /// What rooms were told of this path last; Up if it is not known.
    pub fn state(&self, path: &Path) -> PathState {
        let place = self.table.find(&path.local, &path.remote);
        let route = place.and_then(|place| self.table.routes.get(place)?.as_ref());
        route.map_or(PathState::Up, |route| route.reported)
    }

    /// The paths that may want a replay: nothing that they have not passed may be forgotten. Those that
    /// only ever carried transient things are not among them.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.table.routes.iter().flatten().filter(|route| route.is_tracked()).map(|route| &route.path)
    }

    /// The paths of which rooms were told that they are not Up.
    pub fn troubled(&self) -> impl Iterator<Item = (&Path, PathState)> {
        let routes = self.table.routes.iter().flatten();
        routes.filter(|route| route.reported != PathState::Up).map(|route| (&route.path, route.reported))
    }

    /// Bytes that wait to be written, as [`Settings::link_budget`] counts them.
    pub fn queued_bytes(&self) -> usize {
        self.table.bytes
    }

    /// What has happened so far.
    pub fn stats(&self) -> Stats {
        self.table.cx.stats
    }

    /// Before anything that has a time: without a link from the start, the waiting begins with the first call.
    pub(crate) fn begin(&mut self, now: Now) {
        if !self.table.cx.link && self.away.is_none() {
            self.away = Some(now.mono);
        }
    }

    /// After anything: paths touched may want an audit, and checks are made if they are asked for.
    pub(crate) fn after(&mut self) {
        for place in std::mem::take(&mut self.table.to_audit) {
            self.enlist(place);
        }
        if self.table.cx.settings.check
            && let Err(violation) = invariants::check(self)
        {
            panic!("egress: {violation}");
        }
    }
}
