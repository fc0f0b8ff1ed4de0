//! One room with its kept inputs, waiting effects and unanswered tickets. What comes in and when something is due
//! stands here, lives and deaths of the room in `life`, what the room does in `act`.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use jid::BareJid;
use warren_model::{Batch, Epoch, Lane, LogRow, Now, Routed, Seq, Shard, Ticket};
use warren_room::{Input, ReadId, Room};
use warren_xmpp::Stanza;
use warren_xmpp::cast::PathState;

use crate::barrier::{Barrier, Wanted};
use crate::io::{Out, Settings};
use crate::item::{Item, What};
use crate::lazy::{Lazy, LazyRow};
use crate::numbers::Numbers;
use crate::parked::Parked;
use crate::refuse;
use crate::shared::Shared;

/// Reads and loads that failed are tried again after this.
pub(crate) const RETRY: Duration = Duration::from_secs(1);
/// A room that says right after a tick that it is due is ticked again after this, so that it cannot spin the pod.
const BREATH: Duration = Duration::from_millis(10);

/// A slot; never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SlotKey(pub u64);

/// Whether there is a room.
#[derive(Debug)]
pub(crate) enum State {
    /// The store was asked for it.
    Loading,
    /// The store is asked again then.
    Resting(Duration),
    /// The store is asked when the shard is frozen no more.
    Waiting,
    /// It takes inputs.
    Live(Box<Room>),
    /// It has ended, as soon as its last ticket is done.
    Closing(Box<Room>),
    /// A ticket failed, so what the room believes is not so. It was dropped, and is loaded when all its tickets are
    /// answered: only then is it known what the store holds. The rest waits first, if it is said so.
    Failing {
        /// Nothing but time may help.
        rest: bool,
    },
    /// To be forgotten.
    Gone,
}

/// What is given to everything that a slot does.
pub(crate) struct Cx<'a> {
    pub shared: &'a mut Shared,
    pub now: Now,
    pub out: &'a mut Vec<Out>,
}

/// A read under way.
#[derive(Debug)]
pub(crate) struct Asked {
    pub wanted: Wanted,
    /// It failed and is tried again then.
    pub again: Option<Duration>,
}

/// A replay that was asked for and has not ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Replay {
    pub after: Seq,
    /// The room that is there has been told.
    pub begun: bool,
    /// Which of the replays of that domain.
    pub nth: u64,
}

#[derive(Debug)]
pub(crate) struct Slot {
    pub key: SlotKey,
    pub jid: BareJid,
    pub shard: Shard,
    /// That of the shard as long as the slot lives.
    pub epoch: Epoch,
    /// The room takes nothing and decides nothing.
    pub frozen: bool,
    pub state: State,
    pub barrier: Barrier,
    pub parked: Parked,
    pub numbers: Numbers,
    pub lazy: Lazy,
    /// Every ticket that is not answered, in order, with the lazy rows that it carries.
    pub sent: VecDeque<(Ticket, Vec<LazyRow>)>,
    /// Lazy rows of tickets that failed while others are not answered.
    pub unwritten: Vec<LazyRow>,
    /// What the room was told of paths that are not Up.
    pub told: BTreeMap<Box<str>, PathState>,
    pub replays: BTreeMap<Box<str>, Replay>,
    pub next_replay: u64,
    pub reads: BTreeMap<ReadId, Asked>,
    /// No ticket was submitted since the room was loaded or made.
    pub fresh: bool,
    /// It has to be in memory although nobody asks it anything.
    pub woken: bool,
    /// Failures since a ticket was done.
    pub troubles: u32,
    /// The entry in the shard's deadlines.
    pub timer: Option<Duration>,
    not_before: Duration,
    idle_since: Option<Duration>,
}

impl Slot {
    /// A slot whose room is being loaded, or will be when its shard is frozen no more.
    pub(crate) fn new(key: SlotKey, jid: BareJid, (shard, epoch): (Shard, Epoch), cx: &mut Cx<'_>) -> Self {
        let mut slot = Self {
            key,
            jid,
            shard,
            epoch,
            frozen: cx.shared.frozen.contains_key(&shard),
            state: State::Waiting,
            barrier: Barrier::default(),
            parked: Parked::default(),
            numbers: Numbers::default(),
            lazy: Lazy::default(),
            sent: VecDeque::new(),
            unwritten: Vec::new(),
            told: BTreeMap::new(),
            replays: BTreeMap::new(),
            next_replay: 0,
            reads: BTreeMap::new(),
            fresh: true,
            woken: false,
            troubles: 0,
            timer: None,
            not_before: Duration::ZERO,
            idle_since: None,
        };
        if !slot.frozen {
            slot.load(cx);
        }
        slot
    }

    pub(crate) fn room(&self) -> Option<&Room> {
        match &self.state {
            State::Live(room) | State::Closing(room) => Some(room),
            _ => None,
        }
    }

    /// Bytes of inputs that are not committed.
    pub(crate) fn bytes(&self) -> usize {
        self.barrier.bytes() + self.parked.bytes()
    }

    /// A stanza; refused when too many wait already.
    pub(crate) fn stanza(&mut self, stanza: Stanza, routed: Option<Routed>, cx: &mut Cx<'_>) {
        if routed.is_some_and(|routed| !self.numbers.come(routed)) {
            // It is bounded by what its source keeps, and small.
            return self.take(Item::routed(What::Repeat, routed, cx.now.mono), cx);
        }
        let item = Item::routed(What::Stanza(Arc::new(stanza)), routed, cx.now.mono);
        let waiting = self.barrier.stanzas() + self.parked.stanzas();
        let limit = cx.shared.settings.room_queue * if item.is_leave() { 2 } else { 1 };
        if waiting >= limit {
            refuse::refuse(&self.jid, &item, refuse::queue_full, cx.out);
        } else {
            self.take(item, cx);
        }
    }

    /// Answers those who have waited for too long.
    pub(crate) fn expire(&mut self, cx: &mut Cx<'_>) {
        for item in self.parked.expire(cx.now.mono, cx.shared.settings.parked) {
            refuse::refuse(&self.jid, &item, refuse::parked_too_long, cx.out);
        }
    }

    /// An input: handled now if there is a room, else parked.
    pub(crate) fn take(&mut self, item: Item, cx: &mut Cx<'_>) {
        if self.takes_inputs() {
            self.run(item, cx);
        } else {
            self.parked.push(item);
        }
    }

    /// Whether inputs go to the room, and not to those that wait.
    pub(crate) fn takes_inputs(&self) -> bool {
        matches!(self.state, State::Live(_)) && !self.frozen
    }

    /// The room takes what has waited, as long as it takes anything.
    pub(crate) fn run_parked(&mut self, cx: &mut Cx<'_>) {
        while self.takes_inputs() {
            let Some(item) = self.parked.pop() else { break };
            self.run(item, cx);
        }
    }

    /// The path to a domain changed its state.
    pub(crate) fn path(&mut self, remote: &str, state: PathState, cx: &mut Cx<'_>) {
        let State::Live(room) = &self.state else { return };
        if self.frozen {
            return;
        }
        if self.told.contains_key(remote) || room.remotes().any(|known| known == remote) {
            self.tell(remote, state, cx);
        }
    }

    pub(crate) fn tell(&mut self, remote: &str, state: PathState, cx: &mut Cx<'_>) {
        if state == PathState::Up {
            self.told.remove(remote);
        } else {
            self.told.insert(remote.into(), state);
        }
        self.act(Input::Path { remote: remote.into(), state }, None, cx);
    }

    /// A replay is wanted. It is asked for once, so it outlives the room's failures; a later one of the same domain
    /// replaces it.
    pub(crate) fn replay(&mut self, remote: Box<str>, after: Seq, cx: &mut Cx<'_>) {
        self.next_replay += 1;
        self.replays.insert(remote, Replay { after, begun: false, nth: self.next_replay });
        self.begin_replays(cx);
    }

    /// Tells the room of replays that it does not know of.
    pub(crate) fn begin_replays(&mut self, cx: &mut Cx<'_>) {
        if !self.takes_inputs() {
            return;
        }
        let mut begun = Vec::new();
        for (remote, replay) in self.replays.iter_mut().filter(|(_, replay)| !replay.begun) {
            replay.begun = true;
            begun.push((remote.clone(), replay.after));
        }
        for (remote, after) in begun {
            self.act(Input::Replay { remote, after }, None, cx);
        }
    }

    /// Whoever asked for replays and holds the groups is not there any more. A room that is not in memory states its groups when it
    /// is loaded.
    pub(crate) fn regroup(&mut self, cx: &mut Cx<'_>) {
        self.replays.clear();
        self.barrier.forget_replays();
        self.act(Input::Regroup, None, cx);
    }

    /// Rows that were read.
    pub(crate) fn page(&mut self, read: ReadId, rows: Vec<LogRow>, cx: &mut Cx<'_>) {
        if self.frozen {
            // It would make the room go on. It is read again if the room stays.
            return self.read_again(read, cx.now.mono);
        }
        cx.shared.reads.remove(&read);
        if let Some(asked) = self.reads.remove(&read) {
            self.act(Input::Page { read: asked.wanted.read, rows }, None, cx);
        }
    }

    pub(crate) fn page_failed(&mut self, read: ReadId, cx: &Cx<'_>) {
        self.read_again(read, cx.now.mono + RETRY);
    }

    fn read_again(&mut self, read: ReadId, at: Duration) {
        if let Some(asked) = self.reads.get_mut(&read) {
            asked.again = Some(at);
        }
    }

    /// A ticket is durable.
    pub(crate) fn done(&mut self, ticket: Ticket, at: (Lane, Batch), cx: &mut Cx<'_>) {
        self.answered(ticket);
        self.barrier.done(ticket, at);
        self.troubles = 0;
        match self.state {
            State::Failing { .. } => self.reload_if_answered(cx),
            _ => self.release(cx),
        }
    }

    /// A ticket is answered; what lazy rows it carried.
    pub(crate) fn answered(&mut self, ticket: Ticket) -> Option<Vec<LazyRow>> {
        let at = self.sent.binary_search_by_key(&ticket, |(ticket, _)| *ticket).ok()?;
        self.sent.remove(at).map(|(_, lazy)| lazy)
    }

    /// Does what is due.
    pub(crate) fn tick(&mut self, cx: &mut Cx<'_>) {
        let (now, settings) = (cx.now.mono, cx.shared.settings);
        self.expire(cx);
        if matches!(self.state, State::Resting(until) if until <= now) {
            self.load(cx);
        }
        if self.frozen {
            return;
        }
        if self.room_deadline().is_some_and(|at| at <= now) {
            self.act(Input::Tick, None, cx);
            let due = self.room_deadline().is_some_and(|at| at <= now);
            self.not_before = if due { now + BREATH } else { Duration::ZERO };
        }
        if self.lazy_deadline(&settings).is_some_and(|at| at <= now) {
            self.submit(Vec::new(), None, cx);
        }
        if let Some(room) = self.room().map(Room::id) {
            for (read, asked) in &mut self.reads {
                if asked.again.is_some_and(|at| at <= now) {
                    asked.again = None;
                    let Wanted { after, max, .. } = asked.wanted;
                    cx.out.push(Out::Read { room, read: *read, after, max });
                }
            }
        }
        if self.is_idle() && self.idle_since.is_some_and(|since| since + settings.idle <= now) {
            self.state = State::Gone;
        }
    }

    /// Something has happened: the time after which the room may be forgotten begins anew.
    pub(crate) fn touched(&mut self, now: Duration) {
        self.idle_since = self.is_idle().then_some(now);
    }

    /// Writes what may wait.
    pub(crate) fn flush(&mut self, cx: &mut Cx<'_>) {
        if matches!(self.state, State::Live(_)) && !self.lazy.is_empty() {
            self.submit(Vec::new(), None, cx);
        }
    }

    /// A tick has passed: the time goes on if it ran.
    pub(crate) fn ticked(&mut self, now: Duration) {
        self.idle_since = self.is_idle().then(|| self.idle_since.unwrap_or(now));
    }

    /// When [`Slot::tick`] is due.
    pub(crate) fn deadline(&self, settings: &Settings) -> Option<Duration> {
        let waits = !self.takes_inputs();
        let resting = match self.state {
            State::Resting(until) => Some(until),
            _ => None,
        };
        [
            self.room_deadline(),
            self.lazy_deadline(settings),
            self.parked.deadline(settings.parked).filter(|_| waits),
            resting,
            self.reads.values().filter_map(|asked| asked.again).min().filter(|_| !self.frozen),
            self.idle_since.map(|since| since + settings.idle),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    fn room_deadline(&self) -> Option<Duration> {
        match &self.state {
            State::Live(room) if !self.frozen => room.next_deadline().map(|at| at.max(self.not_before)),
            _ => None,
        }
    }

    /// Lazy rows of a room that is being loaded again wait for that.
    fn lazy_deadline(&self, settings: &Settings) -> Option<Duration> {
        matches!(self.state, State::Live(_)).then(|| self.lazy.deadline(settings.lazy)).flatten()
    }

    fn is_idle(&self) -> bool {
        let State::Live(room) = &self.state else { return false };
        !self.frozen
            && self.barrier.is_empty()
            && self.sent.is_empty()
            && self.lazy.is_empty()
            && self.reads.is_empty()
            && self.replays.is_empty()
            && room.is_idle()
    }
}
