//! The state machine of one path.
//!
//! ```text
//!           something to write            answer
//!   Cold ───────────────────▶ Opening ───────────▶ Open ◀──────────────┐
//!    ▲  a lone ping                │                │ idle: Cold        │ answer
//!    │ link up, link down          │ late, refused  │ late, refused     │
//!    │                             ▼                ▼                   │
//!   (all)                        Suspect ◀──────────┘ ──────────────────┤
//!                                  │ probe late or refused              │
//!                                  ▼                                    │
//!                                 Down ─────────────────────────────────┘
//! ```
//!
//! *Late*: no answer for `suspect_after`. *Refused*: a transport condition. Rows are written only
//! while the path is Open; Cold and Opening queue them, Suspect and Down drop and remember them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use warren_model::{Batch, Lane, Path, RoomId};
use warren_xmpp::cast::{PathState, ReplayMark};

use crate::Event;
use crate::context::Context;
use crate::evidence::{Chain, Interval, Row};
use crate::gaps::{Gaps, Stage};
use crate::group::Group;
use crate::queue::{Item, Queue};
use crate::watermark::Mark;

/// Where a path stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Nothing is known; nothing was asked.
    Cold,
    /// The opening ping is on its way, or about to be.
    Opening {
        /// Since when.
        since: Duration,
    },
    /// Answers come.
    Open,
    /// They do not.
    Suspect {
        /// When the first probe was written.
        probed: Option<Duration>,
    },
    /// Probes were refused or came to nothing.
    Down,
}

impl Phase {
    /// Rows are not queued.
    pub(crate) fn in_trouble(self) -> bool {
        matches!(self, Self::Suspect { .. } | Self::Down)
    }
}

/// One path with all that belongs to it.
#[derive(Debug)]
pub(crate) struct Route {
    pub path: Path,
    pub phase: Phase,
    /// What rooms were told last.
    pub reported: PathState,
    pub queue: Queue,
    pub groups: BTreeMap<RoomId, Group>,
    pub chain: Chain,
    pub gaps: Gaps,
    /// Rooms with members that are still to be audited.
    pub audits: BTreeSet<RoomId>,
    pub lanes: BTreeMap<Lane, Mark>,
    /// Last batches of lanes of the past: told when what was missing at start is proven.
    pub restored: Vec<(Lane, Batch)>,
    /// A ping goes out next.
    pub ping_due: bool,
    pub last_ping: Option<Duration>,
    pub last_answer: Duration,
    /// When the first and the last thing of the open interval was written.
    pub wanted: (Duration, Duration),
    pub next_probe: Duration,
    pub probe_wait: Duration,
    /// When something was queued or proven last.
    pub last_used: Duration,
    /// Bookkeeping of the table: part of the sum of all queues, place in the rings, timer.
    pub counted: usize,
    pub in_ring: bool,
    pub in_audit: bool,
    pub timer: Option<Duration>,
}

impl Route {
    pub(crate) fn new(path: Path, cx: &mut Context, now: Duration) -> Self {
        let mut new = Self {
            path,
            phase: Phase::Cold,
            reported: PathState::Up,
            queue: Queue::default(),
            groups: BTreeMap::new(),
            chain: Chain::default(),
            gaps: Gaps::default(),
            audits: BTreeSet::new(),
            lanes: BTreeMap::new(),
            restored: Vec::new(),
            ping_due: false,
            last_ping: None,
            last_answer: now,
            wanted: (now, now),
            next_probe: now,
            probe_wait: cx.settings.probe_interval,
            last_used: now,
            counted: 0,
            in_ring: false,
            in_audit: false,
            timer: None,
        };
        if cx.stranded {
            new.strand(cx);
        }
        new
    }

    // ---- what rooms release ----

    /// A row that the room keeps for the replay that it is making for this path.
    pub(crate) fn defer(&mut self, cx: &mut Context, row: &Row) {
        let row = self.noted(row);
        if !self.gaps.defer(&row) {
            // No replay that we know of will bring it: ask for one.
            self.missing(cx, &row);
        }
    }

    /// The row as it may be queued; if it may not, it is remembered as missing.
    pub(crate) fn admit(&mut self, cx: &mut Context, row: &Row) -> Option<Row> {
        let row = self.noted(row);
        if !self.phase.in_trouble() && !self.gaps.hold(row.room) {
            return Some(row);
        }
        cx.stats.rows_held += 1;
        self.gaps.miss(&row);
        None
    }

    /// A row was left out before it came here.
    pub(crate) fn miss(&mut self, cx: &mut Context, row: &Row) {
        let row = self.noted(row);
        self.missing(cx, &row);
    }

    /// A replay must bring this row. It will bring those that are queued as well, in order.
    fn missing(&mut self, cx: &mut Context, row: &Row) {
        self.gaps.miss(row);
        self.drop_rows(cx, Gaps::hold);
        self.ask(cx);
    }

    /// Takes note of the row's batch.
    fn noted(&mut self, row: &Row) -> Row {
        let mut row = row.clone();
        if let Some((lane, batch)) = row.at {
            let mark = self.lanes.entry(lane).or_default();
            // What was told is proven: this is a repeat, and its gap holds the watermark if any does.
            row.at = row.at.filter(|_| batch > mark.told);
        }
        row
    }

    /// Queues something that becomes `bytes` bytes.
    pub(crate) fn push(&mut self, cx: &mut Context, item: Item, bytes: usize, now: Duration) {
        // A change with nothing before it need not wait: memberships change on silent paths too.
        if self.queue.is_empty() {
            match item {
                Item::Group { .. } | Item::Close(_) => return self.apply(item),
                _ => {}
            }
        }
        if item.is_transient() && self.phase.in_trouble() && !cx.link {
            cx.stats.transient_dropped += 1;
            return;
        }
        if self.phase == Phase::Open
            && self.chain.is_idle()
            && self.queue.is_empty()
            && now.saturating_sub(self.last_used) > cx.settings.cold_after
        {
            self.set_phase(cx, Phase::Cold);
        }
        self.last_used = now;
        // What a running replay brings is bounded by how many the caller lets run at once. Counted here,
        // one page for a large room could exceed the budget, be dropped, and be replayed for ever.
        let replayed = item.row().is_some_and(|row| self.gaps.stage(row.room) == Some(Stage::Running));
        self.queue.push(item, if replayed { 0 } else { bytes });
        // Twice at most: the first time rows go, the second time the rest. One item alone is never too
        // much: dropped, it would only come again.
        while self.queue.bytes() > cx.settings.path_budget && self.queue.len() > 1 {
            self.overflow(cx, now);
        }
    }

    /// The queue is too long. Rows are dropped and sent again later; if the path is already Suspect
    /// it holds transient things only, and they go.
    pub(crate) fn overflow(&mut self, cx: &mut Context, now: Duration) {
        cx.stats.overflows += 1;
        if self.phase.in_trouble() {
            self.clear(cx);
        } else {
            self.suspect(cx, now);
        }
    }

    /// A mark of a replay passes.
    pub(crate) fn replay(&mut self, cx: &mut Context, room: RoomId, mark: ReplayMark, now: Duration) {
        match mark {
            ReplayMark::Start => {
                self.gaps.started(room);
                // It may have been asked for before more turned out to be missing.
                self.ask(cx);
            }
            // The end of a replay that was interrupted since means nothing.
            ReplayMark::End if self.gaps.stage(room) == Some(Stage::Running) => {
                self.push(cx, Item::ReplayEnd(room), 0, now);
            }
            ReplayMark::End => {}
        }
    }

    // ---- time ----

    pub(crate) fn tick(&mut self, cx: &mut Context, now: Duration) {
        let timers = &cx.settings.timers;
        match self.phase {
            Phase::Opening { since } if now >= since + timers.suspect_after => self.suspect(cx, now),
            Phase::Open if self.late(cx).is_some_and(|late| now >= late) => self.suspect(cx, now),
            Phase::Open if self.chain.wants_ping() && now >= self.wanted.1 + timers.ping_idle => self.ping_due = true,
            Phase::Suspect { probed: Some(probed) } if now >= probed + timers.suspect_after => {
                self.down(cx);
                self.ping_due |= now >= self.next_probe;
            }
            Phase::Suspect { .. } | Phase::Down if now >= self.next_probe => self.ping_due = true,
            _ => {}
        }
    }

    pub(crate) fn deadline(&self, cx: &Context) -> Option<Duration> {
        if !cx.link {
            return None;
        }
        let timers = &cx.settings.timers;
        let ping = |at: Duration| (!self.ping_due).then_some(at);
        let first = match self.phase {
            Phase::Cold => [None, None],
            Phase::Opening { since } => [Some(since + timers.suspect_after), None],
            Phase::Open => {
                let idle = self.chain.wants_ping().then_some(self.wanted.1 + timers.ping_idle);
                [self.late(cx), idle.and_then(ping)]
            }
            Phase::Suspect { probed } => [probed.map(|probed| probed + timers.suspect_after), ping(self.next_probe)],
            Phase::Down => [ping(self.next_probe), None],
        };
        let end = self.is_unused().then_some(self.last_used + cx.settings.cold_after);
        first.into_iter().chain([end]).flatten().min()
    }

    /// When the oldest unanswered ping becomes late. Answers that come one after the other, each late,
    /// are a slow path, not a dead one: Debian's Prosody reads 30 kB/s (`servers.md` 9).
    fn late(&self, cx: &Context) -> Option<Duration> {
        self.chain.oldest().map(|sent| sent.max(self.last_answer) + cx.settings.timers.suspect_after)
    }

    /// Nothing here would be missed.
    pub(crate) fn is_unused(&self) -> bool {
        self.groups.is_empty()
            && self.gaps.is_empty()
            && self.queue.is_empty()
            && self.restored.is_empty()
            && (self.phase.in_trouble() || self.chain.is_idle())
    }

    // ---- changes of phase ----

    /// Asks for the opening ping if there is a reason to.
    pub(crate) fn open_if_wanted(&mut self, cx: &mut Context, now: Duration) {
        let wanted = !self.queue.is_empty() || self.reported != PathState::Up || self.gaps.any_due();
        if self.phase == Phase::Cold && cx.link && wanted {
            self.open(cx, now);
        }
    }

    /// Asks for the opening ping.
    pub(crate) fn open(&mut self, cx: &mut Context, now: Duration) {
        self.set_phase(cx, Phase::Opening { since: now });
        self.ping_due = true;
    }

    pub(crate) fn suspect(&mut self, cx: &mut Context, now: Duration) {
        self.set_phase(cx, Phase::Suspect { probed: None });
        self.report(cx, PathState::Suspect);
        self.probe_wait = cx.settings.probe_interval;
        self.next_probe = Duration::MAX;
        self.drop_rows(cx, |_, _| true);
        self.gaps.interrupt();
        self.probe_soon(cx, now);
    }

    pub(crate) fn down(&mut self, cx: &mut Context) {
        self.set_phase(cx, Phase::Down);
        self.cut(cx);
        self.report(cx, PathState::Down);
    }

    /// The link is away, or came back: whatever was under way or queued is missing, nothing is known.
    /// `reported` stays: a short reconnect is no event.
    pub(crate) fn reset(&mut self, cx: &mut Context) {
        self.clear(cx);
        self.cut(cx);
        self.gaps.interrupt();
        self.ping_due = false;
        self.set_phase(cx, Phase::Cold);
    }

    /// The link has been away for so long that rooms must know.
    pub(crate) fn strand(&mut self, cx: &mut Context) {
        self.clear(cx);
        self.gaps.interrupt();
        self.set_phase(cx, Phase::Suspect { probed: None });
        self.report(cx, PathState::Suspect);
    }

    /// Breaks the chain.
    pub(crate) fn cut(&mut self, cx: &mut Context) {
        let lost = self.chain.cut();
        cx.stats.breaks += u64::from(!lost.is_empty());
        self.lose(lost);
    }

    pub(crate) fn lose(&mut self, mut lost: Interval) {
        for room in std::mem::take(&mut lost.audited) {
            // Who of them was audited then is not known any more: all are, again.
            if let Some(group) = self.groups.get_mut(&room) {
                group.mark_all();
                self.audits.insert(room);
            }
        }
        self.gaps.lose(lost);
    }

    /// Takes the rows and ends of replays of some rooms out of the queue, and remembers the rows.
    pub(crate) fn drop_rows(&mut self, cx: &mut Context, of: impl Fn(&Gaps, RoomId) -> bool) {
        let gaps = &self.gaps;
        let taken = self.queue.extract(|item| match item {
            Item::ReplayEnd(room) | Item::Audit { room, .. } => of(gaps, *room),
            _ => item.row().is_some_and(|row| of(gaps, row.room)),
        });
        for item in taken {
            self.discard(cx, item);
        }
    }

    /// Empties the queue.
    fn clear(&mut self, cx: &mut Context) {
        for item in self.queue.extract(|_| true) {
            self.discard(cx, item);
        }
    }

    /// This will not be written; what it stands for is not forgotten.
    fn discard(&mut self, cx: &mut Context, item: Item) {
        if let Some(row) = item.row() {
            cx.stats.rows_held += 1;
            self.gaps.miss(row);
        } else if item.is_transient() {
            cx.stats.transient_dropped += 1;
        } else if let Item::Audit { room, .. } = item {
            if self.groups.contains_key(&room) {
                self.audits.insert(room);
            }
        } else {
            self.apply(item);
        }
    }

    /// Probes now, or as soon as the last ping is `ping_interval` ago.
    pub(crate) fn probe_soon(&mut self, cx: &Context, now: Duration) {
        let earliest = self.last_ping.map_or(now, |last| last + cx.settings.timers.ping_interval);
        self.next_probe = self.next_probe.min(earliest);
        self.ping_due |= now >= self.next_probe;
    }

    pub(crate) fn set_phase(&mut self, cx: &mut Context, phase: Phase) {
        cx.troubled -= usize::from(self.phase.in_trouble());
        cx.troubled += usize::from(phase.in_trouble());
        self.phase = phase;
    }

    /// Tells rooms, once per change. Only an answer takes a state back: a path that was Down and
    /// fails to open is still Down.
    pub(crate) fn report(&mut self, cx: &mut Context, state: PathState) {
        let better = state == PathState::Suspect && self.reported == PathState::Down;
        if state != self.reported && !better {
            self.reported = state;
            cx.events.push_back(Event::Path { path: self.path.clone(), state });
        }
    }
}
