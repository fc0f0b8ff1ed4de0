//! Random histories of one room: whatever users and peers send, the invariants hold after every input, the groups
//! that egress is told are the sessions that are here, and a room loaded from its rows is the room that wrote them.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use warren_model::config::{PeerConfig, PeerRooms, PeerTimers};
use warren_model::{
    Affiliation, Birth, Epoch, FederationConfig, FlavourHint, Generation, Lane, Now, RoomConfig, Row, Secret, Ticket,
    UnixMs, Uplink, Vouch,
};
use warren_room::{Declared, Effect, Input, Room, Site};
use warren_store::{Incarnation, Model, Window, Work};
use warren_xmpp::Stanza;
use warren_xmpp::cast::{GroupChange, PathState, SessionId};

const ROOM: &str = "rabbithole@rooms.wonderland.lit";
const MUC: &str = "<x xmlns='http://jabber.org/protocol/muc'/>";

/// The room, with a store behind it and a mirror of what egress knows.
struct World {
    room: Room,
    store: Model,
    lane: Lane,
    epoch: Epoch,
    site: Arc<Site>,
    now: Now,
    ticket: u64,
    members: BTreeMap<Box<str>, BTreeSet<SessionId>>,
}

fn site() -> Arc<Site> {
    let peer = |domain: &str, user: &str| {
        let config = PeerConfig {
            domain: domain.into(),
            vouch: Vouch::Domains([user.into()].into()),
            rooms: PeerRooms::All,
            flavour: FlavourHint::Auto,
            timers: PeerTimers::default(),
            suspended: false,
        };
        (Box::from(domain), config)
    };
    Arc::new(Site {
        domain: "rooms.wonderland.lit".into(),
        home_domains: ["wonderland.lit".into()].into(),
        peers: [peer("talk.denmark.lit", "denmark.lit"), peer("rooms.verona.lit", "verona.lit")].into(),
        ..Site::default()
    })
}

impl World {
    fn new() -> Self {
        let mut store = Model::default();
        let ownership = store.take_over(Incarnation(1), UnixMs(1));
        let config = RoomConfig {
            affiliations: [("alice@wonderland.lit".parse().unwrap(), Affiliation::Owner)].into(),
            federation: Some(FederationConfig {
                uplink: Some(Uplink { room: "tower@rooms.verona.lit".parse().unwrap() }),
                ..FederationConfig::default()
            }),
            ..RoomConfig::default()
        };
        let declared = Declared {
            jid: ROOM.parse().unwrap(),
            birth: Birth(7 << 100),
            secret: Secret([7; 32]),
            uid: "u".into(),
            generation: Generation(1),
            config: Arc::new(config),
        };
        let (site, now) = (site(), Now { mono: Duration::ZERO, wall: UnixMs(1_795_176_000_000) });
        let mut fx = Vec::new();
        let room = Room::create(declared, ownership.epoch, site.clone(), now, &mut fx);
        let (lane, epoch) = (ownership.lane, ownership.epoch);
        let mut world = Self { room, store, lane, epoch, site, now, ticket: 0, members: BTreeMap::new() };
        world.room.check_invariants();
        world.take(fx);
        world
    }

    fn take(&mut self, fx: Vec<Effect>) {
        let mut rows: Vec<Row> = Vec::new();
        let mut reads = Vec::new();
        for effect in fx {
            match effect {
                Effect::Persist(row) | Effect::Lazy(row) => rows.push(row),
                Effect::Regroup => self.members.clear(),
                Effect::Read { read, after, max } => reads.push((read, after, max)),
                Effect::Group { remote, change, .. } => {
                    let group = self.members.entry(remote).or_default();
                    match change {
                        GroupChange::Reset(members) => *group = members.iter().map(|m| m.session).collect(),
                        GroupChange::Put(member) => {
                            group.insert(member.session);
                        }
                        GroupChange::Remove(session) => {
                            assert!(group.remove(&session), "egress is told that somebody goes who never came");
                        }
                    }
                }
                _ => {}
            }
        }
        if !rows.is_empty() {
            self.ticket += 1;
            let work = Work::Room {
                ticket: Ticket(self.ticket),
                room: self.room.id(),
                shard: warren_model::Shard::of(self.room.jid()),
                epoch: self.epoch,
                fresh: false,
                routed: None,
                rows,
            };
            self.store.commit(self.lane, &[work]).expect("the room writes what the store takes");
        }
        for (read, after, max) in reads {
            let rows = self.store.page(self.room.id(), after, max);
            self.input(Input::Page { read, rows });
        }
    }

    fn input(&mut self, input: Input) {
        let mut fx = Vec::new();
        self.room.handle(input, self.now, &mut fx);
        self.take(fx);
    }

    fn check(&mut self) {
        let here: usize = self.room.roster().iter().filter(|(.., local)| *local).count();
        let known: usize = self.members.values().map(BTreeSet::len).sum();
        assert_eq!(here, known, "egress knows the sessions that are here");
        let window = Window { messages: warren_room::WINDOW, keys: 1000 };
        let rows = self.store.load_room(self.room.jid(), window).expect("the room is stored");
        let mut fx = Vec::new();
        let again = Room::load(rows, self.epoch, self.site.clone(), self.now, &mut fx);
        assert!(matches!(fx.first(), Some(Effect::Regroup)), "a loaded room states its groups before all else: {fx:?}");
        let sorted = |room: &Room| {
            let mut roster: Vec<String> = room.roster().iter().map(|entry| format!("{entry:?}")).collect();
            roster.sort();
            roster
        };
        assert_eq!(sorted(&again), sorted(&self.room), "a room loaded from its rows is the same room");
        assert_eq!(again.head(), self.room.head());
    }
}

#[derive(Clone, Debug)]
enum Step {
    Stanza(String),
    Pass(u64),
    Path(&'static str, PathState),
    Replay(&'static str),
    Regroup,
}

fn user() -> impl Strategy<Value = String> {
    (prop::sample::select(vec!["alice@wonderland.lit", "hatter@wonderland.lit", "hare@forest.lit"]), 0..2_u8)
        .prop_map(|(user, client)| format!("{user}/c{client}"))
}

fn nick() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["Alice", "Hatter", "Hare", "&lt;&apos;&amp;"])
}

fn remote() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["wonderland.lit", "forest.lit", "talk.denmark.lit", "rooms.verona.lit"])
}

/// What users send, sensible or not.
fn local() -> impl Strategy<Value = String> {
    let kinds = prop::sample::select(vec![
        format!("<presence {{a}} to='{ROOM}/{{n}}'>{MUC}</presence>"),
        format!("<presence {{a}} to='{ROOM}/{{n}}'><show>away</show></presence>"),
        format!("<presence {{a}} type='unavailable' to='{ROOM}/{{n}}'/>"),
        format!("<presence {{a}} to='{ROOM}'/>"),
        format!("<message {{a}} type='groupchat' id='i' to='{ROOM}'><body>b</body></message>"),
        format!("<message {{a}} type='groupchat' to='{ROOM}'><subject>s</subject></message>"),
        format!("<message {{a}} type='chat' id='p' to='{ROOM}/{{n}}'><body>b</body></message>"),
        format!(
            "<message {{a}} type='error' id='i' to='{ROOM}/{{n}}'><error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>"
        ),
        format!(
            "<iq {{a}} type='set' id='k' to='{ROOM}'><query xmlns='http://jabber.org/protocol/muc#admin'><item nick='{{n}}' role='none'/></query></iq>"
        ),
        format!(
            "<iq {{a}} type='set' id='b' to='{ROOM}'><query xmlns='http://jabber.org/protocol/muc#admin'><item jid='hare@forest.lit' affiliation='outcast'/></query></iq>"
        ),
        format!("<iq {{a}} type='get' id='g' to='{ROOM}/{{n}}'><ping xmlns='urn:xmpp:ping'/></iq>"),
        format!("<iq {{a}} type='result' id='zz' to='{ROOM}/{{n}}'/>"),
    ]);
    (kinds, user(), nick())
        .prop_map(|(kind, user, nick)| kind.replace("{a}", &format!("from='{user}'")).replace("{n}", nick))
}

/// What peers send, sensible or not.
fn federated() -> impl Strategy<Value = String> {
    let fmuc = "<fmuc xmlns='http://isode.com/protocol/fmuc' from='{u}'>{e}</fmuc>";
    let item = "<x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='none' role='participant'/>{s}</x>";
    let kinds = prop::sample::select(vec![
        format!("<presence from='{{p}}/{{n}}' to='{ROOM}/{{n}}'>{fmuc}{MUC}{item}</presence>"),
        format!("<presence from='{{p}}/{{n}}' to='{ROOM}/{{n}}'>{fmuc}{item}</presence>"),
        format!("<presence type='unavailable' from='{{p}}/{{n}}' to='{ROOM}/{{n}}'>{fmuc}{item}</presence>"),
        format!(
            "<message type='groupchat' from='{{p}}/{{n}}' to='{ROOM}'><body>b</body>{fmuc}<stanza-id xmlns='urn:xmpp:sid:0' by='{{p}}' id='1'/></message>"
        ),
        format!("<message type='groupchat' from='{{p}}/{{n}}' to='{ROOM}'><subject>t</subject>{fmuc}</message>"),
        format!(
            "<presence from='{{p}}' to='{ROOM}'><fmuc xmlns='http://isode.com/protocol/fmuc'>{{c}}</fmuc></presence>"
        ),
        format!(
            "<presence type='error' from='{{p}}' to='{ROOM}'><error type='wait'><remote-server-timeout xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></presence>"
        ),
    ]);
    let peer =
        prop::sample::select(vec!["elsinore@talk.denmark.lit", "tower@rooms.verona.lit", "globe@rooms.venice.lit"]);
    let about = prop::sample::select(vec![
        "hamlet@denmark.lit/a",
        "hamlet@denmark.lit/b",
        "juliet@verona.lit/a",
        "alice@wonderland.lit/c0",
        "nobody",
        "x@venice.lit/y",
    ]);
    let ext = prop::sample::select(vec![
        "",
        "<peering xmlns='urn:warren:fmuc:0' mode='primary'/><s xmlns='urn:warren:fmuc:0' session='1'/>",
        "<presence-session xmlns='urn:xmpp:presence-session:0' session='1' id='one'/><s xmlns='urn:warren:fmuc:0'/>",
        "<presence-session xmlns='urn:xmpp:presence-session:0' session='1' id='two'/><s xmlns='urn:warren:fmuc:0' p='one'/>",
        "<echo xmlns='urn:warren:fmuc:0'/>",
    ]);
    let control = prop::sample::select(vec![
        "<left/>",
        "<reject/>",
        "<resumed xmlns='urn:warren:fmuc:0' session='2'/>",
        "<resync xmlns='urn:warren:fmuc:0'/>",
        "<synced xmlns='urn:warren:fmuc:0'/>",
        "<gone xmlns='urn:warren:fmuc:0'/>",
        "<s xmlns='urn:warren:fmuc:0' h='aaaaaaaaaaaaaaaaaaaaaaaaaa'/>",
        "",
    ]);
    let status = prop::sample::select(vec!["", "<status code='303'/>", "<status code='307'/>", "<status code='x'/>"]);
    (kinds, peer, nick(), about, ext, control, status).prop_map(|(kind, peer, nick, about, ext, control, status)| {
        kind.replace("{p}", peer)
            .replace("{n}", nick)
            .replace("{u}", about)
            .replace("{e}", ext)
            .replace("{c}", control)
            .replace("{s}", status)
    })
}

fn step() -> impl Strategy<Value = Step> {
    let state = prop::sample::select(vec![PathState::Up, PathState::Suspect, PathState::Down]);
    prop_oneof![
        6 => local().prop_map(Step::Stanza),
        6 => federated().prop_map(Step::Stanza),
        2 => prop::sample::select(vec![1, 3, 11, 70, 700]).prop_map(Step::Pass),
        1 => (remote(), state).prop_map(|(remote, state)| Step::Path(remote, state)),
        1 => remote().prop_map(Step::Replay),
        1 => Just(Step::Regroup),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_comes_the_room_is_sound(steps in prop::collection::vec(step(), 1..60)) {
        let mut world = World::new();
        for step in steps {
            match step {
                Step::Stanza(xml) => {
                    let stanza = Stanza::parse(xml.as_bytes()).expect(&xml);
                    world.input(Input::Stanza(stanza.into()));
                }
                Step::Pass(seconds) => {
                    world.now.mono += Duration::from_secs(seconds);
                    world.now.wall = world.now.wall.plus(Duration::from_secs(seconds));
                    world.input(Input::Tick);
                    let due = world.room.next_deadline();
                    prop_assert!(due.is_none_or(|due| due > world.now.mono), "a deadline stays in the past: {due:?}");
                }
                Step::Path(remote, state) => world.input(Input::Path { remote: remote.into(), state }),
                Step::Replay(remote) => {
                    world.input(Input::Replay { remote: remote.into(), after: warren_model::Seq(0) });
                }
                Step::Regroup => world.input(Input::Regroup),
            }
            world.check();
        }
    }
}
