//! Rows to write, and everything there is to read.

use std::collections::BTreeMap;

use jid::{BareJid, Jid};
use warren_model::{
    Affiliation, AffiliationRow, Batch, Birth, Direction, Epoch, Flavour, FmucKeyRow, Generation, Lane, LogKind,
    LogRow, Object, ObjectKind, ObjectName, OccupantRow, Path, PeerConfig, PeerRooms, PeerTimers, PeeringRow,
    PeeringState, Role, RoomConfig, RoomId, RoomRow, RoomRows, Row, Secret, Seq, Shard, Ticket, UnixMs, Vouch,
};

use crate::{LaneRow, Reader, RoomSummary, Touched, Window, Work};

/// Epoch of rows in this suite: that of a take-over at [`NOW`].
pub const EPOCH: Epoch = Epoch(1_700_000_000);
/// When the suite takes over.
pub const NOW: UnixMs = UnixMs(1_700_000_000_000);
/// Loads all that the suite writes.
pub const ALL: Window = Window { messages: 10_000, keys: 10_000 };

/// A bare address.
pub fn bare(text: &str) -> BareJid {
    BareJid::new(text).expect("the suite's addresses are valid")
}

/// An address.
pub fn jid(text: &str) -> Jid {
    Jid::new(text).expect("the suite's addresses are valid")
}

/// Number `n` of the suite's rooms.
pub fn room(n: u64, address: &str) -> RoomRow {
    RoomRow {
        id: RoomId(n),
        jid: bare(address),
        birth: Birth(u128::MAX - u128::from(n)),
        secret: Secret([0xa5; 32]),
        object_uid: format!("uid-{n}"),
        generation: -3,
        config: vec![0, 255, 10],
        subject_seq: Seq(0),
        low: Seq(1),
        head: Seq(0),
    }
}

/// A groupchat message at a position.
pub fn message(seq: u64) -> LogRow {
    LogRow {
        seq: Seq(seq),
        epoch: EPOCH,
        kind: LogKind::Message,
        at: UnixMs(NOW.0.saturating_add(seq)),
        eff: UnixMs(NOW.0.saturating_sub(seq)),
        jid: Some(jid("romeo@montague.example/orchard")),
        nick: "Romeo".into(),
        ingress: None,
        id: None,
        payload: format!("<body>{seq}</body>").into_bytes(),
    }
}

/// A session.
pub fn occupant(address: &str, nick: &str, join: u64) -> OccupantRow {
    OccupantRow {
        jid: jid(address),
        nick: nick.into(),
        role: Role::Moderator,
        peering: None,
        peer_nick: None,
        peer_affiliation: Affiliation::None,
        join_seq: Seq(join),
        seq: Seq(join),
        presence: b"<show>away</show>".to_vec(),
    }
}

/// An affiliation.
pub fn affiliation(address: &str, value: Affiliation) -> AffiliationRow {
    AffiliationRow { jid: bare(address), value, reason: Some("because \u{1f41a}".to_owned()), managed: true }
}

/// A peering.
pub fn peering(peer: &str) -> PeeringRow {
    PeeringRow {
        peer: bare(peer),
        direction: Direction::Downlink,
        flavour: Flavour::Warren,
        state: PeeringState::Up,
        peer_session: Some(Birth(7)),
        rx_last: Some("id-1".into()),
        tx_acked: Seq(5),
        since: NOW,
    }
}

/// A foreign id.
pub fn key(id: &str, digest: u64, seq: u64) -> FmucKeyRow {
    FmucKeyRow { origin: bare("room@far.example"), id: id.into(), digest, seq: Seq(seq), at: NOW }
}

/// Rows of a room as a work; its ticket is of no matter.
pub fn work(room: u64, rows: Vec<Row>) -> Work {
    ticketed(0, room, rows)
}

/// Rows of a room as a work with a ticket.
pub fn ticketed(ticket: u64, room: u64, rows: Vec<Row>) -> Work {
    let room = RoomId(room);
    Work::Room { ticket: Ticket(ticket), room, shard: Shard(1), epoch: EPOCH, fresh: false, routed: None, rows }
}

/// A declared room, or a peer whose name has a `-`.
pub fn object(name: &str, generation: i64) -> Object {
    let peer = name.contains('-');
    Object {
        name: ObjectName {
            kind: if peer { ObjectKind::FederationPeer } else { ObjectKind::FederatedRoom },
            namespace: "verona".to_owned(),
            name: name.to_owned(),
        },
        uid: format!("uid of {name}"),
        generation: Generation(generation),
        digest: "d1ge57".to_owned(),
        body: if peer {
            warren_model::Body::Peer(PeerConfig {
                domain: "far.example".into(),
                vouch: Vouch::Domains(["far.example".into()].into()),
                rooms: PeerRooms::All,
                flavour: warren_model::FlavourHint::Warren,
                timers: PeerTimers::default(),
                suspended: true,
            })
        } else {
            warren_model::Body::Room {
                jid: bare(&format!("{name}@rooms.example")),
                config: RoomConfig {
                    title: "Plätze \"🌍\"".to_owned(),
                    password: Some("p4ss".to_owned()),
                    affiliations: BTreeMap::from([(bare("juliet@capulet.example"), Affiliation::Owner)]),
                    ..RoomConfig::default()
                },
                destroy_on_delete: true,
            }
        },
    }
}

/// All that reads of a store can show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Everything {
    /// All lanes.
    pub lanes: Vec<LaneRow>,
    /// All watermarks.
    pub watermarks: Vec<(Lane, Path, Batch)>,
    /// All batches.
    pub touched: Vec<Touched>,
    /// All objects.
    pub objects: Vec<Object>,
    /// All rooms of the domains asked for.
    pub rooms: Vec<RoomSummary>,
    /// Rooms with sessions.
    pub occupied: Vec<BareJid>,
    /// Each room, loaded, and its log.
    pub contents: Vec<(RoomRows, Vec<LogRow>)>,
}

/// Reads everything of the rooms of some domains.
pub fn everything(reader: &mut dyn Reader, domains: &[&str], window: Window) -> Everything {
    let lanes = reader.lanes().expect("lanes");
    let touched =
        lanes.iter().flat_map(|lane| reader.touched(lane.lane, Batch(0)).expect("touched")).collect::<Vec<_>>();
    let owed = reader.backlog().expect("backlog");
    let by_lane = |lane: &LaneRow| {
        let touched = reader.touched(lane.lane, Batch(0)).expect("touched").into_iter();
        touched.map(|touched| (lane.lane, touched)).collect::<Vec<_>>()
    };
    assert_eq!(owed.touched, lanes.iter().flat_map(by_lane).collect::<Vec<_>>(), "nothing has happened since");
    assert_eq!(owed.lanes, lanes);
    assert_eq!(owed.watermarks, reader.watermarks().expect("watermarks"));
    let rooms =
        domains.iter().flat_map(|domain| reader.rooms(domain, None, usize::MAX).expect("rooms")).collect::<Vec<_>>();
    let contents = rooms
        .iter()
        .map(|room| {
            let rows = reader.load_room(&room.jid, window).expect("load_room").expect("a room of the list is there");
            (rows, reader.page(room.id, Seq(0), usize::MAX).expect("page"))
        })
        .collect();
    Everything {
        watermarks: reader.watermarks().expect("watermarks"),
        objects: reader.objects().expect("objects"),
        occupied: reader.rooms_with_occupants(None).expect("rooms_with_occupants"),
        lanes,
        touched,
        rooms,
        contents,
    }
}
