//! What a room does: its effects go behind the barrier and leave in order.

use std::collections::BTreeMap;
use std::sync::Arc;

use warren_model::{Generation, Routed, Row, Ticket};
use warren_room::{Declared, Effect, Input, Room, Site};
use warren_xmpp::cast::{PathState, ReplayMark};

use crate::barrier::{Entry, Wanted};
use crate::io::Out;
use crate::item::{Item, What};
use crate::refuse;
use crate::slot::{Asked, Cx, Slot, State};

impl Slot {
    /// Handles an input. The room must be live.
    pub(crate) fn run(&mut self, item: Item, cx: &mut Cx<'_>) {
        match &item.what {
            What::Repeat => self.repeat(&item, cx),
            What::Stanza(_) if item.routed.is_some_and(|routed| self.numbers.is_stored(routed)) => {
                self.repeat(&item, cx);
            }
            What::Stanza(stanza) => {
                if !cx.shared.paths.is_empty()
                    && let Some(from) = &stanza.head.from
                {
                    self.tell_newcomer(from.domain().as_str(), cx);
                }
                self.act(Input::Stanza(stanza.clone()), Some(item), cx);
            }
            What::Declare(declared) => {
                let declared = declared.clone();
                self.declare(declared, item, cx);
            }
            What::Withdraw { destroy: true, reason } => {
                self.act(Input::Destroy { reason: reason.clone() }, Some(item), cx);
            }
            What::Withdraw { destroy: false, .. } => {
                let Some(room) = self.room() else { return };
                let (_, generation) = room.declared_by();
                let config = Arc::new(room.config().clone());
                // Everything stays as it is, but no object stands for it any more.
                self.act(Input::Config { uid: String::new(), generation, config }, Some(item), cx);
            }
        }
    }

    /// Whoever routed it is told when nothing of the first one waits any more.
    fn repeat(&mut self, item: &Item, cx: &mut Cx<'_>) {
        let item = Item::routed(What::Repeat, item.routed, item.arrived);
        self.settle(Vec::new(), Entry { item: Some(item), ..Entry::default() }, cx);
    }

    /// A room learns of the path of a domain when somebody from there turns up.
    fn tell_newcomer(&mut self, remote: &str, cx: &mut Cx<'_>) {
        if let Some(state) = cx.shared.paths.get(remote).copied()
            && !self.told.contains_key(remote)
        {
            self.tell(remote, state, cx);
        }
    }

    /// The site's configuration changed.
    pub(crate) fn site(&mut self, site: Arc<Site>, cx: &mut Cx<'_>) {
        if self.frozen {
            return;
        }
        self.act(Input::Site(site), None, cx);
        // It may have made the room join a peer.
        self.tell_all(cx);
    }

    /// All paths that are not Up and on which the room has somebody.
    pub(crate) fn tell_all(&mut self, cx: &mut Cx<'_>) {
        let Some(room) = self.room().filter(|_| !cx.shared.paths.is_empty()) else { return };
        let news: BTreeMap<Box<str>, PathState> = room
            .remotes()
            .filter(|remote| !self.told.contains_key(*remote))
            .filter_map(|remote| Some((remote.into(), *cx.shared.paths.get(remote)?)))
            .collect();
        for (remote, state) in news {
            self.tell(&remote, state, cx);
        }
    }

    fn declare(&mut self, declared: Declared, item: Item, cx: &mut Cx<'_>) {
        let Some(room) = self.room() else { return };
        let (uid, generation) = room.declared_by();
        let known = uid == declared.uid
            && (generation > declared.generation
                || generation == declared.generation && *room.config() == *declared.config);
        if known {
            let applied = (declared.uid, generation);
            self.settle(Vec::new(), Entry { item: Some(item), applied: Some(applied), ..Entry::default() }, cx);
            return;
        }
        let Declared { uid, generation, config, .. } = declared;
        let applied = (uid.clone(), generation);
        let mut effects = Vec::new();
        if let State::Live(room) = &mut self.state {
            room.handle(Input::Config { uid, generation, config }, cx.now, &mut effects);
        }
        self.settle(effects, Entry { item: Some(item), applied: Some(applied), ..Entry::default() }, cx);
        // A declaration may name a peer.
        self.tell_all(cx);
    }

    /// Makes the room, since the store has none.
    pub(crate) fn create(&mut self, declared: &Declared, item: Item, cx: &mut Cx<'_>) {
        let mut effects = Vec::new();
        let applied: (String, Generation) = (declared.uid.clone(), declared.generation);
        let room = Room::create(declared.clone(), self.epoch, cx.shared.site.clone(), cx.now, &mut effects);
        self.live(room, cx);
        self.settle(effects, Entry { item: Some(item), applied: Some(applied), ..Entry::default() }, cx);
        self.tell_all(cx);
    }

    /// The room takes one input, if it is live.
    pub(crate) fn act(&mut self, input: Input, item: Option<Item>, cx: &mut Cx<'_>) {
        let State::Live(room) = &mut self.state else { return };
        let mut effects = Vec::new();
        room.handle(input, cx.now, &mut effects);
        self.settle(effects, Entry { item, ..Entry::default() }, cx);
    }

    /// Sorts the effects of one input into what is written, what waits for that, and what nothing waits for.
    pub(crate) fn settle(&mut self, effects: Vec<Effect>, mut entry: Entry, cx: &mut Cx<'_>) {
        let breakage = cx.shared.settings.breakage;
        entry.handled = entry.item.as_ref().and_then(|item| item.routed);
        let (mut rows, mut lazy) = (Vec::new(), Vec::new());
        for effect in effects {
            match effect {
                Effect::Persist(row) => rows.push(row),
                Effect::Lazy(row) => lazy.push(row),
                Effect::Read { read, after, max } => entry.reads.push(Wanted { read, after, max }),
                other => {
                    match &other {
                        Effect::Close => entry.close = true,
                        Effect::Replay { remote, mark: ReplayMark::End } => {
                            entry.ended.extend(self.replays.get(remote).map(|replay| (remote.clone(), replay.nth)));
                        }
                        _ => {}
                    }
                    entry.effects.push(other);
                }
            }
        }
        if !rows.is_empty() {
            entry.own = self.submit(rows, entry.handled, cx);
            entry.own.into_iter().for_each(|ticket| self.barrier.open(ticket));
        }
        for row in lazy {
            self.lazy.put(row, cx.now.mono);
        }
        if breakage.inputs_not_kept {
            entry.item = None;
        }
        if breakage.barrier_off {
            let early = Entry {
                effects: std::mem::take(&mut entry.effects),
                reads: std::mem::take(&mut entry.reads),
                ..Entry::default()
            };
            self.finish(early, cx);
        } else if breakage.h_before_commit {
            let (early, effects) = entry.effects.drain(..).partition(|effect| matches!(effect, Effect::Peer { .. }));
            entry.effects = effects;
            self.finish(Entry { effects: early, ..Entry::default() }, cx);
        }
        if entry.close {
            self.state = match std::mem::replace(&mut self.state, State::Gone) {
                State::Live(room) => State::Closing(room),
                other => other,
            };
        }
        self.barrier.push(entry);
        self.release(cx);
    }

    /// Hands rows to the lane, behind the lazy ones that came before them. With no rows it is for those alone. `None`: there is no
    /// room.
    pub(crate) fn submit(&mut self, rows: Vec<Row>, routed: Option<Routed>, cx: &mut Cx<'_>) -> Option<Ticket> {
        let room = self.room()?.id();
        let ticket = cx.shared.ticket(self.key);
        let lazy = self.lazy.take();
        let rows = if lazy.is_empty() { rows } else { lazy.iter().map(|lazy| lazy.row.clone()).chain(rows).collect() };
        self.sent.push_back((ticket, lazy));
        let (shard, epoch, fresh) = (self.shard, self.epoch, std::mem::take(&mut self.fresh));
        cx.out.push(Out::Submit { ticket, room, shard, epoch, fresh, routed, rows });
        Some(ticket)
    }

    /// Lets go what nothing holds back.
    pub(crate) fn release(&mut self, cx: &mut Cx<'_>) {
        while let Some(entry) = self.barrier.ready() {
            let close = entry.close;
            self.finish(entry, cx);
            if close {
                return self.ended(cx);
            }
        }
    }

    fn finish(&mut self, entry: Entry, cx: &mut Cx<'_>) {
        let Some(room) = self.room().map(Room::id) else { return };
        let Entry { at, effects, reads, applied, handled, ended, .. } = entry;
        if !effects.is_empty() {
            cx.out.push(Out::Release { room, jid: self.jid.clone(), at, effects });
        }
        for (remote, nth) in ended {
            if self.replays.get(&remote).is_some_and(|replay| replay.nth == nth) {
                self.replays.remove(&remote);
            }
        }
        for wanted in reads {
            let read = cx.shared.read(self.key);
            cx.out.push(Out::Read { room, read, after: wanted.after, max: wanted.max });
            self.reads.insert(read, Asked { wanted, again: None });
        }
        if let Some((uid, generation)) = applied {
            cx.out.push(Out::Applied { room: self.jid.clone(), uid, generation });
        }
        refuse::handled(handled, cx.out);
    }
}
