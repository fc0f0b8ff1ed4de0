//! Cases: what a room consists of.

use warren_model::{Affiliation, LogKind, Path, Role, RoomId, Row, Seq};

use super::rows::{ALL, affiliation, bare, jid, key, message, occupant, peering, room, work};
use super::{all, commit, own, positions, with_room};
use crate::{Backend, HISTORY_REACH, Incarnation, Routed, Window, Work};

pub(super) fn all_rows_come_back(store: &mut dyn Backend) {
    let lane = own(store);
    let address = "dòm-ünï-日本@rooms.example";
    let mut first = room(1 << 62, address);
    first.subject_seq = Seq(2);
    let mut foreign = occupant("Ünï@köln.example/日本 Ⅳ", "Ни\u{301}к 🐇", 7);
    foreign.peering = Some(bare("room@far.example"));
    foreign.peer_nick = Some("nick there".into());
    foreign.peer_affiliation = Affiliation::Outcast;
    let subject = {
        let mut row = message(2);
        row.kind = LogKind::Subject;
        row.jid = None;
        row.ingress = Some(bare("room@far.example"));
        row.id = Some("foreign 'id' \"\u{85}\"".into());
        row.nick = "".into();
        row.payload = vec![];
        row
    };
    let mut bare_peering = peering("a@far.example");
    (bare_peering.peer_session, bare_peering.rx_last) = (None, None);
    let mut no_reason = affiliation("capulet.example", Affiliation::Outcast);
    (no_reason.reason, no_reason.managed) = (None, false);
    let written = warren_model::RoomRows {
        room: warren_model::RoomRow { head: Seq(3), ..first.clone() },
        occupants: vec![foreign.clone(), occupant("a@b.example/c", "A", 8), occupant("b@b.example/c", "A", 8)],
        affiliations: vec![no_reason, affiliation("é@montague.example", Affiliation::Owner)],
        peerings: vec![bare_peering, peering("room@far.example")],
        history: vec![message(1), message(3)],
        subject: Some(subject.clone()),
        fmuc_keys: vec![key("😀", u64::MAX, 1), key("😀", 0, 3)],
        routed: vec![Routed { source: Incarnation(u128::MAX), n: 1 << 62 }],
    };
    let mut changes = vec![Row::Room(first)];
    changes.extend(written.occupants.iter().rev().cloned().map(Row::Occupant));
    changes.extend(written.affiliations.iter().rev().cloned().map(Row::Affiliation));
    changes.extend(written.peerings.iter().rev().cloned().map(Row::Peering));
    changes.extend([message(3), subject, message(1)].map(Row::Log));
    changes.extend(written.fmuc_keys.iter().rev().cloned().map(Row::FmucKey));
    let mut made = work(1 << 62, changes);
    if let Work::Room { routed, .. } = &mut made {
        *routed = written.routed.first().copied();
    }
    commit(store, lane, &[made]);
    assert_eq!(store.load_room(&bare(address), ALL).expect("load"), Some(written.clone()));
    assert_eq!(store.room_jid(RoomId(1 << 62)).expect("room_jid"), Some(bare(address)));
    let mut reader = store.reader().expect("reader");
    assert_eq!(reader.load_room(&bare(address), ALL).expect("load"), Some(written));
}

pub(super) fn rows_are_replaced_and_removed_by_key(store: &mut dyn Backend) {
    let lane = with_room(store);
    let one = bare("one@rooms.example");
    let mut changed = room(1, "one@rooms.example");
    (changed.low, changed.head, changed.config) = (Seq(9), Seq(20), vec![7]);
    let mut promoted = occupant("a@b.example/1", "A", 3);
    promoted.role = Role::None;
    let rows = vec![
        Row::Occupant(occupant("a@b.example/1", "A", 1)),
        Row::Occupant(occupant("a@b.example/1", "Other", 2)),
        Row::Occupant(promoted.clone()),
        Row::Affiliation(affiliation("a@b.example", Affiliation::Member)),
        Row::Affiliation(affiliation("a@b.example", Affiliation::Admin)),
        Row::Affiliation(affiliation("b@b.example", Affiliation::Admin)),
        Row::Peering(peering("x@far.example")),
        Row::Peering(peering("y@far.example")),
        Row::Room(changed.clone()),
    ];
    commit(store, lane, &[work(1, rows)]);
    changed.low = Seq(4);
    let rows = vec![
        Row::OccupantGone { jid: jid("a@b.example/1"), nick: "Other".into() },
        Row::OccupantGone { jid: jid("nobody@b.example/1"), nick: "Other".into() },
        Row::AffiliationGone(bare("b@b.example")),
        Row::AffiliationGone(bare("nobody@b.example")),
        Row::PeeringGone(bare("y@far.example")),
        Row::PeeringGone(bare("nobody@far.example")),
        Row::Presence { jid: jid("a@b.example/1"), nick: "A".into(), presence: b"new".to_vec() },
        Row::Presence { jid: jid("a@b.example/1"), nick: "Other".into(), presence: b"new".to_vec() },
        Row::Room(changed.clone()),
    ];
    commit(store, lane, &[work(1, rows), work(77, vec![Row::AffiliationGone(bare("b@b.example")), Row::RoomGone])]);
    let rows = store.load_room(&one, ALL).expect("load").expect("room");
    promoted.presence = b"new".to_vec();
    assert_eq!(rows.occupants, [promoted], "a lazy presence does not bring a session back");
    assert_eq!(rows.affiliations, [affiliation("a@b.example", Affiliation::Admin)]);
    assert_eq!(rows.peerings, [peering("x@far.example")]);
    changed.low = Seq(9);
    assert_eq!(rows.room, changed, "`low` never falls");
    // An address may change, and becomes free.
    commit(store, lane, &[work(1, vec![Row::Room(room(1, "new@rooms.example"))])]);
    commit(store, lane, &[work(2, vec![Row::Room(room(2, "one@rooms.example"))])]);
    let id =
        |store: &mut dyn Backend, at: &str| store.load_room(&bare(at), ALL).expect("load").map(|rows| rows.room.id.0);
    assert_eq!((id(store, "new@rooms.example"), id(store, "one@rooms.example")), (Some(1), Some(2)));
}

pub(super) fn history_is_in_order(store: &mut dyn Backend) {
    let lane = with_room(store);
    let one = bare("one@rooms.example");
    let rows = (1..=50).map(|seq| {
        let mut row = message(seq);
        if seq % 5 == 0 {
            row.kind = LogKind::Join;
        }
        Row::Log(row)
    });
    commit(store, lane, &[work(1, rows.collect())]);
    let window = Window { messages: 6, keys: 0 };
    let rows = store.load_room(&one, window).expect("load").expect("room");
    assert_eq!(positions(&rows.history), [43, 44, 46, 47, 48, 49]);
    assert_eq!(rows.room.head, Seq(50), "the head follows the log");
    assert_eq!(rows.subject, None);
    let none = store.load_room(&one, Window { messages: 0, keys: 0 }).expect("load").expect("room");
    assert_eq!(none.history, []);
    let mut page = |after, max| positions(&store.page(RoomId(1), Seq(after), max).expect("page"));
    assert_eq!(page(0, 3), [1, 2, 3]);
    assert_eq!(page(48, 10), [49, 50]);
    assert!(page(50, 10).is_empty() && page(u64::MAX, 10).is_empty() && page(0, 0).is_empty());
    let mut back = |before, max| positions(&store.page_back(RoomId(1), Seq(before), max).expect("page_back"));
    assert_eq!(back(u64::MAX, 2), [49, 50]);
    assert_eq!(back(3, 10), [1, 2]);
    assert!(back(0, 10).is_empty());
    // A stored head beyond the log counts: the log may have been trimmed.
    let mut beyond = room(1, "one@rooms.example");
    beyond.head = Seq(99);
    commit(store, lane, &[work(1, vec![Row::Room(beyond)])]);
    assert_eq!(store.load_room(&one, window).expect("load").expect("room").room.head, Seq(99));
}

pub(super) fn history_does_not_reach_back_for_ever(store: &mut dyn Backend) {
    let lane = with_room(store);
    let rows = vec![Row::Log(message(1)), Row::Log(message(2)), Row::Log(message(HISTORY_REACH + 2))];
    commit(store, lane, &[work(1, rows)]);
    let rows = store.load_room(&bare("one@rooms.example"), ALL).expect("load").expect("room");
    assert_eq!(positions(&rows.history), [HISTORY_REACH + 2]);
}

pub(super) fn removed_room_takes_everything_along(store: &mut dyn Backend) {
    let lane = with_room(store);
    let full = |n: u64, at: &str| {
        let rows = vec![
            Row::Room(room(n, at)),
            Row::Occupant(occupant("a@b.example/1", "A", 1)),
            Row::Affiliation(affiliation("a@b.example", Affiliation::Member)),
            Row::Peering(peering("x@far.example")),
            Row::Log(message(1)),
            Row::FmucKey(key("a", 1, 1)),
        ];
        work(n, rows)
    };
    commit(store, lane, &[full(1, "one@rooms.example"), full(2, "two@rooms.example")]);
    commit(store, lane, &[work(1, vec![Row::RoomGone]), work(1, vec![Row::RoomGone])]);
    assert_eq!(store.load_room(&bare("one@rooms.example"), ALL).expect("load"), None);
    assert_eq!(store.page(RoomId(1), Seq(0), 9).expect("page"), []);
    assert_eq!(store.fmuc_keys(RoomId(1), &bare("room@far.example"), "a").expect("keys"), []);
    let left = all(store);
    assert_eq!(left.occupied, [bare("two@rooms.example")]);
    assert_eq!(left.touched.len(), 1, "what a removed room wrote is delivered to nobody");
    assert_eq!(left.contents[0].1.len(), 1, "the other room has lost nothing");
    // Made again at the same address, and even with the same key: nothing is left of it. All in one group.
    commit(store, lane, &[work(2, vec![Row::RoomGone]), full(3, "two@rooms.example"), full(1, "one@rooms.example")]);
    let again = [
        work(3, vec![Row::RoomGone, Row::Room(room(3, "two@rooms.example")), Row::Log(message(1))]),
        work(1, vec![Row::Log(message(2))]),
    ];
    commit(store, lane, &again);
    let rows = store.load_room(&bare("two@rooms.example"), ALL).expect("load").expect("room");
    assert_eq!((rows.room.id, rows.occupants, rows.history.len()), (RoomId(3), vec![], 1));
}

pub(super) fn foreign_ids_are_remembered_once(store: &mut dyn Backend) {
    let lane = with_room(store);
    let keys = [key("a", 5, 1), key("b", 1, 2), key("a", u64::MAX, 3), key("c", 1, 4)];
    commit(store, lane, &[work(1, keys.iter().cloned().map(Row::FmucKey).collect())]);
    commit(store, lane, &[work(1, vec![Row::FmucKey(key("b", 1, 9))])]);
    let window = Window { messages: 0, keys: 3 };
    let rows = store.load_room(&bare("one@rooms.example"), window).expect("load").expect("room");
    assert_eq!(rows.fmuc_keys, keys[1..], "one that is there stays as it is");
    let mut find = |origin, id| store.fmuc_keys(RoomId(1), &bare(origin), id).expect("fmuc_keys");
    assert_eq!(find("room@far.example", "a"), [keys[0].clone(), keys[2].clone()]);
    assert_eq!(find("room@far.example", "z"), []);
    assert_eq!(find("room@other.example", "a"), []);
}

pub(super) fn log_is_trimmed_in_steps(store: &mut dyn Backend) {
    let lane = own(store);
    let mut row = room(1, "one@rooms.example");
    row.subject_seq = Seq(2);
    let rows = std::iter::once(Row::Room(row)).chain((1..=10).map(|s| Row::Log(message(s)))).collect();
    commit(store, lane, &[work(1, rows)]);
    let left = |store: &mut dyn Backend| {
        let low = store.load_room(&bare("one@rooms.example"), ALL).expect("load").expect("room").room.low;
        (low.0, positions(&store.page(RoomId(1), Seq(0), 99).expect("page")))
    };
    let trim =
        |store: &mut dyn Backend, through, max| store.trim_log(lane, RoomId(1), Seq(through), max).expect("trim");
    assert_eq!(trim(store, 7, 3), 3);
    assert_eq!(left(store), (5, vec![2, 5, 6, 7, 8, 9, 10]), "the subject stays");
    assert_eq!(trim(store, 7, 0), 0);
    assert_eq!(trim(store, 7, 3), 3);
    assert_eq!(trim(store, 7, 3), 0);
    assert_eq!(left(store), (8, vec![2, 8, 9, 10]));
    assert_eq!(trim(store, u64::MAX, usize::MAX), 3);
    assert_eq!(left(store), (11, vec![2]));
    assert_eq!(store.trim_log(lane, RoomId(9), Seq(9), 9).expect("trim"), 0);
    let rows = store.load_room(&bare("one@rooms.example"), ALL).expect("load").expect("room");
    assert_eq!(rows.subject.map(|row| row.seq), Some(Seq(2)));
}

pub(super) fn rooms_are_listed(store: &mut dyn Backend) {
    let lane = own(store);
    let made = ["b@rooms.example", "ä@rooms.example", "a@rooms.example", "a@other.example", "rooms.example"];
    let works: Vec<_> = (1..).zip(made).map(|(n, at)| work(n, vec![Row::Room(room(n, at))])).collect();
    commit(store, lane, &works);
    let list = |store: &mut dyn Backend, after: Option<&str>, max| {
        let rooms = store.rooms("rooms.example", after.map(bare).as_ref(), max).expect("rooms");
        rooms.iter().map(|r| r.jid.to_string()).collect::<Vec<_>>()
    };
    let sorted = ["rooms.example", "a@rooms.example", "b@rooms.example", "ä@rooms.example"];
    assert_eq!(list(store, None, 99), sorted);
    assert_eq!(list(store, None, 2), sorted[..2]);
    assert_eq!(list(store, Some(sorted[0]), 2), sorted[1..3]);
    assert_eq!(list(store, Some("aa@rooms.example"), 99), sorted[2..]);
    assert_eq!(store.rooms("other.example", None, 9).expect("rooms")[0].config, [0, 255, 10]);
    assert!(store.rooms("nowhere.example", None, 9).expect("rooms").is_empty());

    let mut vouched = occupant("a@b.example/1", "A", 1);
    vouched.peering = Some(bare("room@far.example"));
    let works = [
        work(1, vec![Row::Occupant(vouched)]),
        work(3, vec![Row::Occupant(occupant("a@b.example/1", "A", 1)), Row::Occupant(occupant("b.example", "B", 2))]),
        work(4, vec![Row::Occupant(occupant("a@b.example/1", "A", 1))]),
    ];
    commit(store, lane, &works);
    let here = |store: &mut dyn Backend, path: Option<Path>| {
        let rooms = store.rooms_with_occupants(path.as_ref()).expect("rooms_with_occupants");
        rooms.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(here(store, None), ["a@other.example", "a@rooms.example", "b@rooms.example"]);
    assert_eq!(here(store, Some(Path::new("rooms.example", "b.example"))), ["a@rooms.example"]);
    assert!(here(store, Some(Path::new("rooms.example", "c.example"))).is_empty());
}
