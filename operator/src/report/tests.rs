use super::*;
use crate::build::PeerOfRoom;
use crate::validate::Refusal;
use warren_control::Refusal as NodeRefusal;
use warren_crds::status::LinkDirection;
use warren_model::{Body, Direction, Generation, Object, ObjectKind, RoomConfig, Shard};

fn time(seconds: i64) -> Time {
    Time(Timestamp::from_second(seconds).unwrap())
}

fn name() -> ObjectName {
    ObjectName { kind: ObjectKind::FederatedRoom, namespace: "chat".to_owned(), name: "tea".to_owned() }
}

fn room(required: bool) -> Item {
    let jid = jid();
    Item {
        name: name(),
        uid: "u".to_owned(),
        generation: Generation(2),
        deleting: false,
        paused: false,
        services: vec![("chat".to_owned(), "rooms".to_owned())],
        verdict: Verdict::Accepted(Box::new(Object {
            name: name(),
            uid: "u".to_owned(),
            generation: Generation(2),
            digest: "d".to_owned(),
            body: Body::Room { jid: jid.parse().unwrap(), config: RoomConfig::default(), destroy_on_delete: false },
        })),
        facts: Facts::Room {
            jid: Some(jid),
            peers: vec![PeerOfRoom {
                name: "denmark".to_owned(),
                domain: "talk.denmark.lit".to_owned(),
                direction: LinkDirection::Uplink,
                required,
            }],
        },
    }
}

fn jid() -> String {
    "tea@rooms.lit".to_owned()
}

fn known(item: &Item, state: Option<PeeringView>, now: i64) -> Known<'_> {
    let peerings = state.map(|state| PeeringReport {
        peer: "tea@talk.denmark.lit".parse().unwrap(),
        direction: Direction::Uplink,
        state,
    });
    let report = ObjectReport {
        name: name(),
        uid: "u".to_owned(),
        generation: Generation(2),
        digest: "d".to_owned(),
        peerings: peerings.into_iter().collect(),
        occupied: state.is_some(),
        connected: false,
        shard: Shard(0),
    };
    Known {
        item,
        programmed: Programmed::Yes,
        removed: None,
        view: View { nodes: true, silent: Duration::ZERO, current: true, report: Some(report) },
        programmed_rooms: 0,
        replicas: None,
        now: time(now),
    }
}

fn said(status: &FederatedRoomStatus, type_: &str) -> (String, String) {
    let c = get(&status.conditions, type_).unwrap();
    (c.status.clone(), c.reason.clone())
}

fn pair(status: &str, reason: &str) -> (String, String) {
    (status.to_owned(), reason.to_owned())
}

#[test]
fn the_same_facts_an_hour_later_are_the_same_status() {
    let item = room(true);
    for state in [None, Some(PeeringView::Joined), Some(PeeringView::Unreachable)] {
        let first = FederatedRoom::judge(&known(&item, state, 0), &FederatedRoomStatus::default());
        let again = FederatedRoom::judge(&known(&item, state, 3600), &first);
        assert_eq!(serde_json::to_string(&again).unwrap(), serde_json::to_string(&first).unwrap());
    }
}

#[test]
fn a_room_without_occupants_is_ready() {
    let item = room(true);
    let status = FederatedRoom::judge(&known(&item, None, 0), &FederatedRoomStatus::default());
    assert_eq!(said(&status, n::FEDERATED), pair("True", n::PEERINGS_IDLE));
    assert_eq!(said(&status, n::READY), pair("True", n::READY));
    assert_eq!((status.jid, status.peer_summary), (Some(jid()), Some("0/1".to_owned())));
    assert_eq!((status.observed_generation, status.config_version.as_deref()), (Some(2), Some("2")));
}

#[test]
fn only_required_peers_count_towards_ready() {
    use PeeringView as V;
    for (state, required, federated, ready) in [
        (V::Joined, true, pair("True", n::ALL_PEERS_JOINED), "True"),
        (V::Unreachable, true, pair("False", n::REQUIRED_PEER_UNREACHABLE), "False"),
        (V::Unreachable, false, pair("True", n::OPTIONAL_PEER_UNREACHABLE), "True"),
        (V::Connecting, true, pair("False", n::PEERS_PENDING), "False"),
        (V::Degraded, false, pair("False", n::PEERS_PENDING), "True"),
        (V::Rejected, false, pair("False", n::PEER_REJECTED), "True"),
        (V::Denied, true, pair("False", n::PEER_DENIED), "False"),
    ] {
        let item = room(required);
        let status = FederatedRoom::judge(&known(&item, Some(state), 0), &FederatedRoomStatus::default());
        assert_eq!(said(&status, n::FEDERATED), federated, "{state:?} {required}");
        assert_eq!(said(&status, n::READY).0, ready, "{state:?} {required}");
    }
}

#[test]
fn since_moves_with_the_state() {
    let item = room(false);
    let joined = FederatedRoom::judge(&known(&item, Some(PeeringView::Joined), 1), &FederatedRoomStatus::default());
    assert_eq!(joined.peers[0].since, Some(time(1)));
    let lost = FederatedRoom::judge(&known(&item, Some(PeeringView::Unreachable), 9), &joined);
    assert_eq!(lost.peers[0].since, Some(time(9)));
    // And people are told, of which peer.
    let told = |old: &FederatedRoomStatus, new: &FederatedRoomStatus| {
        let turns = FederatedRoom::turns(&known(&item, None, 9), old, new).into_iter();
        turns.map(|e| (e.reason, e.secondary.unwrap().name.unwrap())).collect::<Vec<_>>()
    };
    assert_eq!(told(&joined, &lost), [("PeerLost".to_owned(), "denmark".to_owned())]);
    assert_eq!(told(&lost, &joined), [("PeerJoined".to_owned(), "denmark".to_owned())]);
    assert_eq!(told(&lost, &lost), []);
}

#[test]
fn a_rolling_update_rewrites_no_room() {
    let item = room(false);
    let ready = FederatedRoom::judge(&known(&item, None, 0), &FederatedRoomStatus::default());
    let mut silent = known(&item, None, 30);
    silent.programmed = Programmed::NoNodes;
    silent.view = View { silent: Duration::from_secs(30), ..View::default() };
    assert_eq!(FederatedRoom::judge(&silent, &ready), ready);
    silent.view.silent = UNHOSTED;
    let lost = FederatedRoom::judge(&silent, &ready);
    assert_eq!(said(&lost, n::HOSTED), pair("Unknown", n::NO_OWNER));
    assert_eq!(said(&lost, n::READY), pair("Unknown", n::NO_OWNER));
    assert_eq!(said(&lost, n::PROGRAMMED), pair("True", n::PROGRAMMED), "it is in their store");
}

#[test]
fn a_refusal_and_a_node_that_refuses_are_told_apart() {
    let mut item = room(false);
    let mut node = known(&item, None, 0);
    let refusal = NodeRefusal {
        reason: "AddressTaken".to_owned(),
        message: "it belongs to another".to_owned(),
        field: "spec.localpart".to_owned(),
        holder: None,
    };
    node.programmed = Programmed::Rejected(refusal);
    let status = FederatedRoom::judge(&node, &FederatedRoomStatus::default());
    assert_eq!(said(&status, n::ACCEPTED), pair("True", n::ACCEPTED));
    assert_eq!(said(&status, n::READY), pair("False", n::NODE_REJECTED));
    let message = &get(&status.conditions, n::READY).unwrap().message;
    assert_eq!(message, "spec.localpart: it belongs to another (AddressTaken)");

    item.verdict = Verdict::Refused(Refusal { reason: "PeerNotFound".to_owned(), message: "field; remedy".to_owned() });
    let mut refused = known(&item, None, 5);
    refused.programmed = Programmed::Not;
    let status = FederatedRoom::judge(&refused, &FederatedRoomStatus::default());
    assert_eq!(said(&status, n::READY), pair("False", "PeerNotFound"));
    // Types stay: what was in the pods is there still.
    let ready = FederatedRoom::judge(&known(&room(false), None, 0), &FederatedRoomStatus::default());
    let status = FederatedRoom::judge(&refused, &ready);
    assert_eq!(said(&status, n::PROGRAMMED), pair("True", n::PROGRAMMED));
}

#[test]
fn events_are_for_turns() {
    let item = room(true);
    let facts = known(&item, None, 0);
    let ready = FederatedRoom::judge(&facts, &FederatedRoomStatus::default());
    let (first, about) = event::<FederatedRoom>(&facts, &FederatedRoomStatus::default(), &ready).unwrap();
    assert_eq!((first.reason.as_str(), about.name.as_deref()), (n::READY, Some("tea")));
    assert!(event::<FederatedRoom>(&facts, &ready, &ready).is_none());
    let lost = FederatedRoom::judge(&known(&item, Some(PeeringView::Unreachable), 9), &ready);
    let (second, _) = event::<FederatedRoom>(&facts, &ready, &lost).unwrap();
    assert!(matches!(second.type_, EventType::Warning));
    assert_eq!(second.reason, n::REQUIRED_PEER_UNREACHABLE);
}

/// 32 peers with the longest names and messages: an API server keeps this a hundred thousand times.
#[test]
fn the_worst_status_is_small() {
    let mut item = room(false);
    let peer = |i| PeerOfRoom {
        name: format!("{i:063}"),
        domain: "d".to_owned(),
        direction: LinkDirection::Downlink,
        required: true,
    };
    item.facts = Facts::Room { jid: Some("x".repeat(2000)), peers: (0..32).map(peer).collect() };
    item.verdict = Verdict::Refused(Refusal { reason: "InvalidObject".to_owned(), message: "m".repeat(9000) });
    let status = FederatedRoom::judge(&known(&item, None, 0), &FederatedRoomStatus::default());
    let size = serde_json::to_vec(&status).unwrap().len();
    assert!(size < 16 << 10, "{size} bytes");
}
