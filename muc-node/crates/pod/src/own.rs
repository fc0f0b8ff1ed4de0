//! What this pod owns: shards come and go, the link comes and goes, other pods come and go.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jid::BareJid;
use warren_egress::Egress;
use warren_mesh::View;
use warren_model::{Epoch, Incarnation, Now, Shard, Thing};
use warren_shard::In;

use crate::table::Owner;
use crate::{Entry, Frame, Moved, Pod, Request};

/// What is being moved away.
#[derive(Debug, Default)]
pub(crate) struct Leaving {
    /// Shards that are not at rest yet.
    waiting: BTreeSet<Shard>,
    /// Those that are, and that nobody was told of.
    frozen: Vec<Shard>,
    /// Whether the pod is about to end.
    end: End,
    /// This pod has given away what it hears of now.
    gives: bool,
}

/// How far the end of a pod is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum End {
    #[default]
    No,
    /// Everything is to come to rest.
    Draining,
    /// It has, and is being handed over.
    Drained,
}

impl Leaving {
    /// Whether everything is being handed over, which closes the lane: only watermarks are written there by then.
    pub(crate) fn has_drained(&self) -> bool {
        self.end == End::Drained
    }
}

impl Pod {
    /// The table was read.
    pub(super) fn view(&mut self, view: &View, now: Now) {
        self.view_wanted = false;
        let before = self.table.shards().to_vec();
        self.table.read(view);
        self.table_changed(&before, now);
    }

    /// Somebody knows better.
    pub(super) fn learn_shards(&mut self, entries: &[Entry<Shard>], now: Now) {
        let before = self.table.shards().to_vec();
        if entries.iter().filter(|entry| self.table.learn_shard(entry)).count() > 0 {
            self.table_changed(&before, now);
        }
    }

    /// Somebody knows better about links.
    pub(super) fn learn_links(&mut self, entries: &[Entry<warren_model::Path>], now: Now) {
        let before = self.table.shards().to_vec();
        if entries.iter().filter(|entry| self.table.learn_link(entry)).count() > 0 {
            self.table_changed(&before, now);
        }
    }

    /// Things of ours were moved, as planned.
    pub(super) fn moved(&mut self, moved: &[warren_store::Moved], now: Now) {
        let mut shards = Vec::new();
        let mut links = Vec::new();
        for moved in moved {
            let (owner, epoch) = (Some(moved.assignment.to), moved.epoch);
            match &moved.assignment.thing {
                Thing::Shard(shard) => {
                    let before = self.mine.get(shard).copied().unwrap_or_default();
                    shards.push(Moved { before, now: Entry { thing: *shard, owner, epoch } });
                }
                Thing::Link(link) => links.push(Entry { thing: link.clone(), owner, epoch }),
            }
        }
        let entries: Vec<Entry<Shard>> = shards.iter().map(|moved| moved.now.clone()).collect();
        let theirs: BTreeSet<Shard> = entries.iter().map(|entry| entry.thing).collect();
        // The owner of the link may rely on this only if nothing is missing there.
        let said = self.is_all_said(|shard| theirs.contains(&shard));
        let everybody: Vec<Incarnation> = self.sessions.iter().copied().chain([self.me]).collect();
        for pod in everybody {
            self.say(pod, if said { Frame::Moved(shards.clone()) } else { Frame::Shards(entries.clone()) });
            if !links.is_empty() {
                self.say(pod, Frame::Links(links.clone()));
            }
        }
        self.leaving.gives = true;
        self.learn_shards(&entries, now);
        self.learn_links(&links, now);
        self.leaving.gives = false;
    }

    /// Draws the conclusions from a newer table.
    fn table_changed(&mut self, before: &[Owner], now: Now) {
        let changed: BTreeSet<Shard> = (0_u32..)
            .zip(before.iter().zip(self.table.shards()))
            .filter(|(_, (old, new))| old != new)
            .map(|(shard, _)| Shard(shard))
            .collect();
        let mut lost = Vec::new();
        let mut gained = Vec::new();
        for shard in &changed {
            let owner = self.table.shard(*shard);
            let ours = (owner.who == Some(self.me)).then_some(owner.epoch);
            let known = self.mine.get(shard).copied();
            if known.is_some() && known != ours {
                self.mine.remove(shard);
                lost.push(*shard);
            }
            if let Some(epoch) = ours.filter(|_| known != ours) {
                self.mine.insert(*shard, epoch);
                gained.push((*shard, epoch));
            }
        }
        // Nobody takes anything from a pod that lives: it was closed, and must not pass on what it has read, which would
        // come behind what others have read since.
        let planned = |shard: Shard| self.leaving.end == End::No && self.shard.is_frozen(shard);
        let taken = |shard: &&Shard| self.table.shard(**shard).who != Some(self.me) && !planned(**shard);
        if !self.leaving.gives && lost.iter().any(|shard| taken(&shard)) {
            return self.requests.push(Request::Dead);
        }
        if !lost.is_empty() {
            self.leaving.waiting.retain(|shard| !lost.contains(shard));
            self.leaving.frozen.retain(|shard| !lost.contains(shard));
            let gone: BTreeSet<Shard> = lost.iter().copied().collect();
            self.say_no_more(|shard| gone.contains(&shard));
            self.shard(In::Disown(lost), now);
        }
        self.link_changed(now);
        self.attach();
        self.attach_waiting();
        if !gained.is_empty() {
            self.gain(gained, now);
        }
        if !changed.is_empty() {
            self.pass_again(|shard| changed.contains(&shard), now);
            self.catch_up(now);
        }
        self.look_behind();
        self.hear_held(now);
        self.leader_changed();
        self.call_again(now);
    }

    fn gain(&mut self, gained: Vec<(Shard, Epoch)>, now: Now) {
        let shards: BTreeSet<Shard> = gained.iter().map(|(shard, _)| *shard).collect();
        tracing::info!(shards = shards.len(), "rooms are ours");
        self.shard(In::Own(gained), now);
        if self.leaving.end == End::Draining {
            // They go to somebody else at once.
            self.freeze(shards, now);
            return;
        }
        let declared: Vec<_> = self.registry.rooms().filter(|room| shards.contains(&Shard::of(room.jid))).collect();
        let seeds = &mut self.seeds;
        let declared: Vec<_> = declared.iter().map(|room| crate::apply::declared(room, seeds.next())).collect();
        for room in declared {
            self.shard(In::Declare(room), now);
        }
        self.replay_early(now);
        // Those with somebody in them have deadlines, peers, and groups that the link must know.
        self.requests.push(Request::Occupied);
    }

    /// Rooms of the whole store with somebody in them; ours come into memory.
    pub(super) fn occupied(&mut self, rooms: Vec<BareJid>, now: Now) {
        for room in rooms {
            if self.mine.contains_key(&Shard::of(&room)) {
                self.shard(In::Wake { room }, now);
            }
        }
    }

    fn link_changed(&mut self, now: Now) {
        let owner = self.table.link(&self.link_name);
        let ours = (owner.who == Some(self.me)).then_some(owner.epoch);
        if ours == self.link_since {
            return;
        }
        if self.link_since.is_some() {
            self.link = false;
            self.egress.link_down(now);
            self.ear = None;
            self.requests.push(Request::Link(false));
        }
        self.link_since = ours;
        // Whatever another owner may have told of paths since, nothing of this is known any more.
        self.egress = Egress::new([self.site.domain.clone()], self.egress_settings());
        if ours.is_some() {
            tracing::info!(epoch = %owner.epoch, "the link is ours");
            self.listen();
            self.requests.push(Request::Link(true));
        }
    }

    pub(super) fn egress_settings(&self) -> warren_egress::Settings {
        warren_egress::Settings { timers: self.site.timers, ..self.egress_with.clone() }
    }

    /// There is a session with that pod.
    pub(super) fn connected(&mut self, pod: Incarnation, now: Now) {
        self.sessions.insert(pod);
        self.attach();
        let owned: Vec<bool> = self.table.shards().iter().map(|owner| owner.who == Some(pod)).collect();
        let theirs =
            |shard: Shard| usize::try_from(shard.0).ok().and_then(|at| owned.get(at)).copied().unwrap_or(false);
        self.pass_again(theirs, now);
        if self.leader() == Some(pod) {
            self.read_objects();
        }
        self.call_again(now);
    }

    /// The session with that pod is gone, with all that was on its way.
    pub(super) fn disconnected(&mut self, pod: Incarnation) {
        self.sessions.remove(&pod);
        self.forget_ahead(pod);
        self.acks.remove(&pod);
        self.deaf_to(pod);
        self.detach_from(pod);
        self.calls_failed(pod);
        self.asks_failed(pod);
    }

    /// These are to be moved: they come to rest.
    pub(super) fn freeze(&mut self, shards: impl IntoIterator<Item = Shard>, now: Now) {
        // Those that are frozen already are at rest, or say so.
        let goes_on = |shard: &Shard| self.mine.contains_key(shard) && !self.shard.is_frozen(*shard);
        let ours: Vec<Shard> = shards.into_iter().filter(goes_on).collect();
        self.leaving.waiting.extend(&ours);
        self.shard(In::Freeze(ours), now);
    }

    /// Everything is to be moved.
    pub(super) fn drain(&mut self, now: Now) {
        self.leaving.end = End::Draining;
        let all: Vec<Shard> = self.mine.keys().copied().collect();
        self.freeze(all, now);
    }

    /// These stay after all.
    pub(super) fn thaw(&mut self, shards: Vec<Shard>, now: Now) {
        if self.leaving.end != End::No {
            // What was not moved singly is handed over with everything else.
            return;
        }
        self.leaving.waiting.retain(|shard| !shards.contains(shard));
        self.leaving.frozen.retain(|shard| !shards.contains(shard));
        self.shard(In::Thaw(shards), now);
    }

    pub(super) fn frozen(&mut self, shard: Shard) {
        if self.leaving.waiting.remove(&shard) {
            self.leaving.frozen.push(shard);
        }
    }

    /// A move that we had given up has happened after all. Who sent us something for its rooms has kept it, and sends it to
    /// the next owner when the table says who that is.
    pub(super) fn disowned(&mut self, shard: Shard) {
        tracing::warn!(%shard, "a shard has moved away although it was not known that it would");
        // Until it is known who has it.
        let epoch = self.table.shard(shard).epoch;
        self.table.learn_shard(&Entry { thing: shard, owner: None, epoch });
        self.mine.remove(&shard);
        self.leaving.waiting.remove(&shard);
        self.leaving.frozen.retain(|frozen| *frozen != shard);
        self.say_no_more(|gone| gone == shard);
        self.want_view();
    }

    /// Tells of what has come to rest, when all of it has.
    pub(super) fn at_rest(&mut self) {
        if !self.leaving.waiting.is_empty() {
            return;
        }
        let frozen = std::mem::take(&mut self.leaving.frozen);
        if self.leaving.end == End::Draining {
            self.leaving.end = End::Drained;
            self.requests.push(Request::Drained);
        } else if !frozen.is_empty() {
            self.requests.push(Request::Frozen(frozen));
        }
    }

    /// Says something to a pod, ourselves among them.
    pub(super) fn say(&mut self, to: Incarnation, frame: Frame) {
        if to == self.me {
            self.inbox.push_back(frame);
        } else if self.sessions.contains(&to) {
            self.requests.push(Request::Frame(to, frame));
        }
    }

    /// Says something to all other pods.
    pub(super) fn tell_all(&mut self, frame: &Frame) {
        for pod in self.sessions.clone() {
            self.say(pod, frame.clone());
        }
    }

    /// Asks for the table, once.
    pub(super) fn want_view(&mut self) {
        if !std::mem::replace(&mut self.view_wanted, true) {
            self.requests.push(Request::View);
        }
    }

    /// Another site: the registry has changed.
    pub(super) fn set_site(&mut self, site: Arc<warren_room::Site>, now: Now) {
        let timers = self.site.timers;
        self.site = site;
        if self.site.timers != timers {
            self.egress.set_timers(self.site.timers, now);
        }
        self.shard(In::Site(self.site.clone()), now);
    }

    /// What was handled, to those who wait for it.
    pub(super) fn acknowledge(&mut self) {
        for (source, numbers) in std::mem::take(&mut self.acks) {
            if source == self.me {
                self.handled(&numbers);
            } else {
                self.say(source, Frame::Handled(numbers));
            }
        }
    }
}

/// Acknowledgements to be said, by source.
pub(crate) type Acks = BTreeMap<Incarnation, Vec<u64>>;
