//! A shard with a store beside it that does exactly what the test says.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use jid::BareJid;
use warren_model::{
    Affiliation, Batch, Birth, Epoch, FlavourHint, Generation, History, Incarnation, Lane, LogKind, LogRow, Now,
    PeerConfig, PeerRooms, PeerTimers, RoomConfig, RoomId, RoomRows, Routed, Row, Secret, Seq, Ticket, UnixMs, Vouch,
};
use warren_room::{Declared, Effect, ReadId, Site};
use warren_xmpp::Stanza;

use crate::{Epochs, In, Out, Settings, Shard};

pub const ROOM: &str = "balcony@rooms.lit";
pub const START: Duration = Duration::from_secs(1000);

pub struct Submitted {
    pub ticket: Ticket,
    room: RoomId,
    fresh: bool,
    routed: Option<Routed>,
    pub rows: Vec<Row>,
}

/// What the store holds of a room.
#[derive(Clone)]
struct Stored {
    rows: RoomRows,
    log: Vec<LogRow>,
}

pub struct World {
    pub shard: Shard,
    settings: Settings,
    pub now: Duration,
    stored: BTreeMap<RoomId, Stored>,
    batch: u64,
    /// Not answered, in order.
    pub queue: VecDeque<Submitted>,
    banned: BTreeSet<RoomId>,
    pub loads: VecDeque<BareJid>,
    pub reads: VecDeque<(RoomId, ReadId, Seq, usize)>,
    /// Everything but submissions, loads and reads, as text, since it was last looked at.
    pub said: Vec<String>,
    /// Positions of the messages that live casts showed, by room, and of everything else that has a position.
    pub shown: BTreeMap<RoomId, Vec<Seq>>,
    pub replayed: Vec<Seq>,
    pub trace: Vec<String>,
    /// What sources keep until it is handled.
    pub kept: BTreeMap<(Incarnation, u64), Stanza>,
    /// How often routed stanzas were given in and not answered yet.
    pub owed: BTreeMap<(Incarnation, u64), u32>,
    last_n: u64,
    /// Of the shard of the room.
    pub epoch: Epoch,
    /// Stanzas that came back.
    pub back: Vec<(BareJid, Stanza)>,
}

/// The site, perhaps with a peer that is suspended or not.
pub fn site(peer: Option<bool>) -> Site {
    let peer = peer.map(|suspended| PeerConfig {
        domain: "rooms.verona.lit".into(),
        vouch: Vouch::Any,
        rooms: PeerRooms::All,
        flavour: FlavourHint::Warren,
        timers: PeerTimers::default(),
        suspended,
    });
    Site {
        domain: "rooms.lit".into(),
        home_domains: ["capulet.lit".into(), "montague.lit".into()].into(),
        peers: peer.into_iter().map(|peer| (peer.domain.clone(), peer)).collect(),
        ..Site::default()
    }
}

pub fn settings() -> Settings {
    Settings { check_invariants: true, ..Settings::default() }
}

pub fn room(name: &str) -> BareJid {
    BareJid::new(name).unwrap()
}

pub fn declared(name: &str, birth: u128, generation: i64) -> Declared {
    let config = RoomConfig {
        title: format!("Balcony {generation}"),
        history: History { max_messages: 20, max_age: None },
        affiliations: [(room("owner@capulet.lit"), Affiliation::Owner)].into(),
        ..RoomConfig::default()
    };
    Declared {
        jid: room(name),
        birth: Birth(birth << 65 | 7),
        secret: Secret([7; 32]),
        uid: "uid-1".into(),
        generation: Generation(generation),
        config: Arc::new(config),
    }
}

impl World {
    pub fn new(settings: Settings) -> Self {
        Self {
            shard: Shard::new(settings, Epochs::all(Epoch(9)), Arc::new(site(None))),
            settings,
            now: START,
            stored: BTreeMap::new(),
            batch: 0,
            queue: VecDeque::new(),
            banned: BTreeSet::new(),
            loads: VecDeque::new(),
            reads: VecDeque::new(),
            said: Vec::new(),
            shown: BTreeMap::new(),
            replayed: Vec::new(),
            trace: Vec::new(),
            kept: BTreeMap::new(),
            owed: BTreeMap::new(),
            last_n: 0,
            epoch: Epoch(9),
            back: Vec::new(),
        }
    }

    /// The pod starts again, and finds what was stored.
    pub fn restart(&mut self, site: Site) {
        self.epoch.0 += 1;
        self.shard = Shard::new(self.settings, Epochs::all(self.epoch), Arc::new(site));
        self.queue.clear();
        self.loads.clear();
        self.reads.clear();
        self.banned.clear();
        self.owed.clear();
    }

    /// With a room in it that is stored, and Romeo and Juliet inside.
    pub fn with_couple(settings: Settings) -> Self {
        let mut world = Self::new(settings);
        world.give(In::Declare(declared(ROOM, 1, 1)));
        world.join("romeo@montague.lit/garden", "Romeo");
        world.join("juliet@capulet.lit/window", "Juliet");
        world.drain();
        world.said.clear();
        world
    }

    pub fn give(&mut self, input: In) {
        self.trace.push(format!("{input:?}"));
        let mut out = Vec::new();
        let wall = UnixMs(1_700_000_000_000 + u64::try_from(self.now.as_millis()).unwrap());
        self.shard.handle(input, Now { mono: self.now, wall }, &mut out);
        for out in out {
            self.trace.push(format!("{out:?}"));
            self.hear(out);
        }
    }

    fn hear(&mut self, out: Out) {
        match out {
            Out::Load { room } => self.loads.push_back(room),
            Out::Submit { ticket, room, shard, epoch, fresh, routed, rows } => {
                assert_eq!(epoch, self.epoch);
                assert!(shard.0 < warren_model::ids::SHARDS && !rows.is_empty());
                if fresh {
                    self.banned.remove(&room);
                }
                self.queue.push_back(Submitted { ticket, room, fresh, routed, rows });
            }
            Out::Read { room, read, after, max } => self.reads.push_back((room, read, after, max)),
            Out::Release { room, effects, at, .. } => {
                let head = self.stored.get(&room).map_or(Seq(u64::MAX), |stored| stored.rows.room.head);
                for effect in effects {
                    match &effect {
                        Effect::Cast(cast) => {
                            assert!(cast.seq.is_none_or(|seq| seq <= head), "{cast:?} is shown before it is stored");
                            if let Some(seq) = cast.seq {
                                if cast.only.is_some() {
                                    self.replayed.push(seq);
                                } else {
                                    assert!(at.is_some(), "a new row without a batch: {cast:?}");
                                    self.shown.entry(room).or_default().push(seq);
                                }
                            }
                            self.said.push(format!("cast {}", text(&cast.variants.plain.bytes)));
                        }
                        Effect::Send { to, bytes, seq } => {
                            assert!(seq.is_none_or(|seq| seq <= head), "{effect:?} is shown before it is stored");
                            self.said.push(format!("to {to}: {}", text(bytes)));
                        }
                        Effect::Group { remote, version, change } => {
                            assert!(*version <= head);
                            self.said.push(format!("group {remote} {change:?}"));
                        }
                        Effect::Persist(_) | Effect::Lazy(_) | Effect::Read { .. } => panic!("{effect:?} is released"),
                        other => self.said.push(format!("{other:?}")),
                    }
                }
            }
            Out::Handled { source, n } => {
                let owed = self.owed.get_mut(&(source, n)).filter(|owed| **owed > 0);
                *owed.unwrap_or_else(|| panic!("{n} of {source} is answered too often")) -= 1;
                self.kept.remove(&(source, n));
                self.said.push(format!("handled {n}"));
            }
            Out::Unhandled { room, stanza } => {
                self.said.push(format!("back: {}", stanza.head.id.as_deref().unwrap_or_default()));
                self.back.push((room, stanza));
            }
            Out::Reply { to, bytes } => self.said.push(format!("reply to {to}: {}", text(&bytes))),
            other => self.said.push(format!("{other:?}")),
        }
    }

    pub fn stanza(&mut self, xml: &str) {
        let stanza = Stanza::parse(xml.as_bytes()).unwrap();
        let room = stanza.head.to.as_ref().unwrap().to_bare();
        self.give(In::Stanza { room, stanza, source: None });
    }

    /// A source routes this; the number it gets.
    pub fn route(&mut self, source: u128, xml: &str) -> u64 {
        self.last_n += 1;
        self.kept.insert((Incarnation(source), self.last_n), Stanza::parse(xml.as_bytes()).unwrap());
        self.route_again(source, self.last_n);
        self.last_n
    }

    /// A source sends this and all later ones again, as far as it does not know that they are handled.
    pub fn route_again(&mut self, source: u128, from: u64) {
        let source = Incarnation(source);
        let kept: Vec<_> = self.kept.range((source, from)..=(source, u64::MAX)).map(|(k, s)| (*k, s.clone())).collect();
        for ((source, n), stanza) in kept {
            let room = stanza.head.to.as_ref().unwrap().to_bare();
            *self.owed.entry((source, n)).or_default() += 1;
            self.give(In::Stanza { room, stanza, source: Some((source, n)) });
        }
    }

    /// What sources keep although the store knows a later number: either it is stored too, or it left nothing and its answer is
    /// lost with the pod that did not give it.
    pub fn overtaken(&self) -> Vec<String> {
        let stored = self.stored.values().flat_map(|stored| &stored.rows.routed);
        stored
            .flat_map(|row| self.kept.range((row.source, 0)..=(row.source, row.n)))
            .filter_map(|(_, stanza)| stanza.head.id.as_ref().map(ToString::to_string))
            .collect()
    }

    /// The shard of the room comes to us under the next epoch; what was given in before is owed by nobody any more.
    pub fn own(&mut self) {
        self.epoch.0 += 1;
        self.owed.clear();
        self.banned.clear();
        self.give(In::Own(vec![(shard(), self.epoch)]));
    }

    /// What came back is given in again.
    pub fn give_back(&mut self) {
        for (room, stanza) in std::mem::take(&mut self.back) {
            self.give(In::Stanza { room, stanza, source: None });
        }
    }

    /// Routed stanzas that were given in and not answered.
    pub fn owed(&self) -> Vec<u64> {
        self.owed.iter().filter(|(_, owed)| **owed > 0).map(|((_, n), _)| *n).collect()
    }

    pub fn join(&mut self, from: &str, nick: &str) {
        self.join_at(ROOM, from, nick);
    }

    pub fn join_at(&mut self, room: &str, from: &str, nick: &str) {
        let x = "<x xmlns='http://jabber.org/protocol/muc'/>";
        self.stanza(&format!("<presence from='{from}' to='{room}/{nick}' id='join-{nick}'>{x}</presence>"));
    }

    pub fn speak(&mut self, from: &str, body: &str) {
        self.stanza(&message(from, body));
    }

    pub fn iq(&mut self, from: &str, id: &str) {
        let query = "<query xmlns='http://jabber.org/protocol/disco#info'/>";
        self.stanza(&format!("<iq from='{from}' to='{ROOM}' type='get' id='{id}'>{query}</iq>"));
    }

    /// Commits the oldest submission.
    pub fn commit(&mut self) -> bool {
        let Some(answer) = self.commit_silently() else { return false };
        self.give(answer);
        true
    }

    /// The same, but the answer is still on its way.
    pub fn commit_silently(&mut self) -> Option<In> {
        let Submitted { ticket, room, fresh, routed, rows } = self.queue.pop_front()?;
        if self.banned.contains(&room) && !fresh {
            return Some(In::Failed { ticket, why: "an earlier write failed".into() });
        }
        self.batch += 1;
        for row in rows {
            self.store(room, row);
        }
        if let Some(Routed { source, n }) = routed
            && let Some(stored) = self.stored.get_mut(&room)
        {
            let old = stored.rows.routed.iter().find(|old| old.source == source).map(|old| old.n);
            assert!(old < Some(n), "{n} of {source} is handled after {old:?}");
            stored.rows.routed.retain(|old| old.source != source);
            stored.rows.routed.push(Routed { source, n });
        }
        Some(In::Done { ticket, lane: Lane(3), batch: Batch(self.batch) })
    }

    /// Fails the oldest submission.
    pub fn fail(&mut self) -> bool {
        let Some(Submitted { ticket, room, .. }) = self.queue.pop_front() else { return false };
        // One that comes later and is fresh ends this; here all later ones are asked when their turn comes.
        if !self.queue.iter().any(|later| later.room == room && later.fresh) {
            self.banned.insert(room);
        }
        self.give(In::Failed { ticket, why: "no".into() });
        true
    }

    fn store(&mut self, id: RoomId, row: Row) {
        if let Row::Room(row) = row {
            let stored = self.stored.entry(id).or_insert_with(|| Stored {
                rows: RoomRows {
                    room: row.clone(),
                    occupants: vec![],
                    affiliations: vec![],
                    peerings: vec![],
                    history: vec![],
                    subject: None,
                    fmuc_keys: vec![],
                    routed: vec![],
                },
                log: vec![],
            });
            let head = stored.rows.room.head.max(row.head);
            stored.rows.room = row;
            stored.rows.room.head = head;
            return;
        }
        if row == Row::RoomGone {
            self.stored.remove(&id);
            return;
        }
        let stored = self.stored.get_mut(&id).expect("rows of a room that is not stored");
        let rows = &mut stored.rows;
        match row {
            Row::Occupant(row) => {
                rows.occupants.retain(|old| (&old.jid, &old.nick) != (&row.jid, &row.nick));
                rows.occupants.push(row);
                rows.occupants.sort_by_key(|row| row.join_seq);
            }
            Row::OccupantGone { jid, nick } => rows.occupants.retain(|old| (&old.jid, &old.nick) != (&jid, &nick)),
            Row::Presence { jid, nick, presence } => {
                for old in rows.occupants.iter_mut().filter(|old| (&old.jid, &old.nick) == (&jid, &nick)) {
                    old.presence.clone_from(&presence);
                }
            }
            Row::Affiliation(row) => {
                rows.affiliations.retain(|old| old.jid != row.jid);
                rows.affiliations.push(row);
            }
            Row::AffiliationGone(jid) => rows.affiliations.retain(|old| old.jid != jid),
            Row::Log(row) => {
                assert_eq!(row.seq, rows.room.head.next(), "the log has a gap or a position twice");
                rows.room.head = row.seq;
                if row.kind == LogKind::Message {
                    rows.history.push(row.clone());
                }
                if row.kind == LogKind::Subject {
                    rows.subject = Some(row.clone());
                }
                stored.log.push(row);
            }
            Row::Peering(row) => {
                rows.peerings.retain(|old| old.peer != row.peer);
                rows.peerings.push(row);
            }
            Row::PeeringGone(peer) => rows.peerings.retain(|old| old.peer != peer),
            other => panic!("{other:?} is new here"),
        }
    }

    pub fn load(&mut self) -> bool {
        let Some(room) = self.loads.pop_front() else { return false };
        let rows = self.stored.values().find(|stored| stored.rows.room.jid == room).map(|stored| stored.rows.clone());
        self.give(In::Loaded { room, rows });
        true
    }

    pub fn fail_load(&mut self) -> bool {
        let Some(room) = self.loads.pop_front() else { return false };
        self.give(In::LoadFailed { room, why: "no".into() });
        true
    }

    pub fn read(&mut self) -> bool {
        let Some((room, read, after, max)) = self.reads.pop_front() else { return false };
        let log = self.stored.get(&room).map(|stored| stored.log.as_slice()).unwrap_or_default();
        let rows = log.iter().filter(|row| row.seq > after).take(max).cloned().collect();
        self.give(In::Page { room, read, rows });
        true
    }

    pub fn fail_read(&mut self) -> bool {
        let Some((room, read, _, _)) = self.reads.pop_front() else { return false };
        self.give(In::PageFailed { room, read, why: "no".into() });
        true
    }

    /// The store answers everything.
    pub fn drain(&mut self) {
        while self.load() || self.commit() || self.read() {}
    }

    /// Goes to the next deadline.
    pub fn next(&mut self) -> bool {
        let Some(at) = self.shard.next_deadline() else { return false };
        self.pass(at.saturating_sub(self.now));
        true
    }

    pub fn pass(&mut self, time: Duration) {
        self.now += time;
        self.give(In::Tick);
        assert!(self.shard.next_deadline().is_none_or(|at| at > self.now), "a deadline is left behind");
    }

    pub fn log(&self, name: &str) -> &[LogRow] {
        let jid = room(name);
        self.stored
            .values()
            .find(|stored| stored.rows.room.jid == jid)
            .map(|stored| stored.log.as_slice())
            .unwrap_or_default()
    }

    pub fn stored_sessions(&self, name: &str) -> Vec<(String, String)> {
        let jid = room(name);
        let stored = self.stored.values().find(|stored| stored.rows.room.jid == jid);
        let rows = stored.map(|stored| stored.rows.occupants.as_slice()).unwrap_or_default();
        rows.iter().map(|row| (row.nick.to_string(), row.jid.to_string())).collect()
    }

    pub fn id(&self, name: &str) -> Option<RoomId> {
        let jid = room(name);
        self.stored.iter().find(|(_, stored)| stored.rows.room.jid == jid).map(|(id, _)| *id)
    }

    /// What was said since the last look.
    pub fn heard(&mut self) -> String {
        std::mem::take(&mut self.said).join("\n")
    }
}

/// The shard of the room.
pub fn shard() -> warren_model::Shard {
    warren_model::Shard::of(&room(ROOM))
}

/// A message to the room.
pub fn message(from: &str, body: &str) -> String {
    format!("<message from='{from}' to='{ROOM}' type='groupchat' id='{body}'><body>{body}</body></message>")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
