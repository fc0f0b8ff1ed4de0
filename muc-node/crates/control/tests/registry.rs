//! What Apply takes and refuses, and how a set of manifests becomes calls.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::collections::BTreeSet;

use warren_control::{Address, Applied, Change, Refused, Registry, diff, renumber};
use warren_model::{
    Body, ComponentConfig, FlavourHint, Generation, Object, ObjectKind, ObjectName, PeerConfig, PeerRooms, PeerTimers,
    RoomConfig, ServiceConfig, ServiceTimers, Vouch,
};

fn object(kind: ObjectKind, name: &str, body: Body) -> Object {
    Object {
        name: ObjectName { kind, namespace: "default".to_owned(), name: name.to_owned() },
        uid: format!("uid-{name}"),
        generation: Generation(1),
        digest: "d1".to_owned(),
        body,
    }
}

fn service(name: &str, domain: &str) -> Object {
    let component = ComponentConfig { host: "localhost".to_owned(), port: 5347, secret: "sesame".to_owned() };
    let (home_domains, timers) = (BTreeSet::new(), ServiceTimers::default());
    let config = ServiceConfig { domain: domain.into(), home_domains, component, timers };
    object(ObjectKind::MucService, name, Body::Service(config))
}

fn peer(name: &str, domain: &str) -> Object {
    let config = PeerConfig {
        domain: domain.into(),
        vouch: Vouch::Any,
        rooms: PeerRooms::Listed,
        flavour: FlavourHint::Auto,
        timers: PeerTimers::default(),
        suspended: false,
    };
    object(ObjectKind::FederationPeer, name, Body::Peer(config))
}

fn room(name: &str, jid: &str) -> Object {
    let body = Body::Room { jid: jid.parse().unwrap(), config: RoomConfig::default(), destroy_on_delete: false };
    object(ObjectKind::FederatedRoom, name, body)
}

fn at(generation: i64, digest: &str, mut object: Object) -> Object {
    object.generation = Generation(generation);
    digest.clone_into(&mut object.digest);
    object
}

fn registry(objects: &[Object]) -> Registry {
    Registry::try_from(objects.to_vec()).unwrap()
}

#[test]
fn generations_only_rise_and_secrets_may_rotate() {
    let mut r = Registry::default();
    let tea = || room("tea", "tea@rooms.lit");
    assert_eq!(r.apply(at(3, "a", tea())), Ok(Applied::New));
    assert_eq!(r.apply(at(3, "a", tea())), Ok(Applied::Unchanged));
    assert_eq!(r.apply(at(3, "b", tea())), Ok(Applied::Changed), "a rotated secret");
    assert_eq!(r.apply(at(4, "b", tea())), Ok(Applied::Changed));
    let refused = r.apply(at(3, "c", tea())).unwrap_err();
    assert_eq!(refused.to_string(), "FederatedRoom default/tea: generation 3 is older than 4, which is applied");
    let listed: Vec<_> = r.list().map(|l| (l.uid.to_owned(), l.generation.0, l.digest.to_owned())).collect();
    assert_eq!(listed, [("uid-tea".to_owned(), 4, "b".to_owned())]);
}

#[test]
fn an_address_has_one_owner() {
    let mut r = registry(&[room("tea", "tea@rooms.lit"), peer("denmark", "talk.denmark.lit")]);
    let before = r.clone();
    let taken = r.apply(room("thief", "tea@rooms.lit")).unwrap_err();
    assert_eq!(
        taken.to_string(),
        "FederatedRoom default/thief: tea@rooms.lit belongs to FederatedRoom default/tea (uid uid-tea)"
    );
    assert!(r.apply(peer("other", "talk.denmark.lit")).is_err());
    let mut again = room("tea", "coffee@rooms.lit");
    "uid-2".clone_into(&mut again.uid);
    assert!(matches!(r.apply(again.clone()), Err(Refused::NameTaken { uid, .. }) if uid == "uid-tea"));
    let moved = at(2, "d2", room("tea", "coffee@rooms.lit"));
    assert!(matches!(r.apply(moved), Err(Refused::AddressChanged { .. })));
    let mut confused = room("tea", "tea@rooms.lit");
    confused.name.kind = ObjectKind::MucService;
    assert!(matches!(r.apply(confused), Err(Refused::WrongKind(_))));
    assert_eq!(r, before, "refused, nothing changes");

    assert!(r.remove(&again.name, "uid-2").is_none(), "not that one");
    assert!(r.remove(&again.name, "uid-tea").is_some());
    assert_eq!(r.apply(again), Ok(Applied::New));
}

#[test]
fn everything_is_found_by_its_address() {
    let mut r =
        registry(&[service("rooms", "rooms.lit"), peer("denmark", "talk.denmark.lit"), room("tea", "tea@rooms.lit")]);
    assert_eq!(r.service("rooms.lit").unwrap().component.port, 5347);
    assert_eq!(r.peers().count(), 1);
    assert!(r.peer("rooms.lit").is_none(), "a service is no peer");
    assert_eq!(r.room(&"tea@rooms.lit".parse().unwrap()).unwrap().uid, "uid-tea");
    assert_eq!(r.rooms().count() + r.services().count(), 2);

    // A peer may change its domain; the old one is forgotten.
    assert_eq!(r.apply(at(2, "d2", peer("denmark", "talk.norway.lit"))), Ok(Applied::Changed));
    assert!(r.peer("talk.denmark.lit").is_none());
    assert!(r.holder(&Address::Peer("talk.norway.lit".into())).is_some());
}

#[test]
fn manifests_count_generations_as_an_api_server_does() {
    let stored = registry(&[at(4, "a", room("tea", "tea@rooms.lit")), at(2, "b", peer("denmark", "talk.denmark.lit"))]);
    let objects = vec![
        at(1, "A", room("tea", "tea@rooms.lit")),
        at(1, "b", peer("denmark", "talk.denmark.lit")),
        at(1, "c", room("new", "new@rooms.lit")),
    ];
    let generations: Vec<_> = renumber(&stored, objects).into_iter().map(|o| o.generation.0).collect();
    assert_eq!(generations, [5, 2, 1]);
}

fn calls(stored: &Registry, wanted: &[Object]) -> Vec<String> {
    let call = |c: &Change| match c {
        Change::Apply(o) => format!("+{}", o.name.name),
        Change::Remove { name, .. } => format!("-{}", name.name),
    };
    diff(stored, wanted).iter().map(call).collect()
}

fn carry_out(mut stored: Registry, wanted: &[Object]) -> Registry {
    for change in diff(&stored, wanted) {
        match change {
            Change::Apply(object) => drop(stored.apply(*object).unwrap()),
            Change::Remove { name, uid } => drop(stored.remove(&name, &uid).unwrap()),
        }
    }
    stored
}

#[test]
fn what_is_needed_comes_first_and_removals_last() {
    let old = [service("rooms", "rooms.lit"), peer("denmark", "talk.denmark.lit"), room("tea", "tea@rooms.lit")];
    let stored = registry(&old);
    assert!(diff(&stored, &old).is_empty());
    let wanted =
        [room("new", "new@rooms.lit"), peer("norway", "talk.norway.lit"), at(2, "d2", service("rooms", "rooms.lit"))];
    assert_eq!(calls(&stored, &wanted), ["+rooms", "+norway", "+new", "-tea", "-denmark"]);
    assert_eq!(carry_out(stored, &wanted), registry(&wanted));
    assert_eq!(calls(&registry(&old), &[]), ["-tea", "-denmark", "-rooms"]);
}

#[test]
fn what_gives_way_is_removed_first() {
    let stored =
        registry(&[room("tea", "tea@rooms.lit"), room("b", "b@rooms.lit"), peer("denmark", "talk.denmark.lit")]);
    let wanted =
        [room("cup", "tea@rooms.lit"), peer("a", "talk.denmark.lit"), at(2, "d2", peer("denmark", "talk.norway.lit"))];
    assert_eq!(calls(&stored, &wanted), ["-tea", "+denmark", "+a", "+cup", "-b"]);
    assert_eq!(carry_out(stored, &wanted), registry(&wanted));
}
