//! Who gets what, in which order, and how much at once.

use std::time::Duration;

use bytes::Bytes;
use jid::Jid;
use smallvec::smallvec;
use warren_egress::{Outward, Settings};
use warren_model::Seq;
use warren_xmpp::cast::{Cast, GroupChange};

use crate::world::{World, cast, member, room, settings};

#[test]
fn a_cast_meets_the_members_of_its_moment() {
    let mut world = World::open(settings(), &["x.lit"]);
    world.cast(1, Some(10));
    world.put(1, member(2, "x.lit", 11));
    world.cast(1, Some(11));
    world.cast(1, Some(12));
    world.remove(1, 1, "x.lit");
    world.cast(1, Some(13));
    world.remove(1, 2, "x.lit");
    world.cast(1, Some(14));
    assert_eq!(
        world.write(),
        ["u1@x.lit/r 1/10", "u1@x.lit/r 1/11", "u1@x.lit/r 1/12", "u2@x.lit/r 1/12", "u2@x.lit/r 1/13"]
    );
}

#[test]
fn transient_casts_reach_everybody_present() {
    let mut world = World::open(settings(), &["x.lit"]);
    world.put(1, member(2, "x.lit", 99));
    world.cast(1, None);
    assert_eq!(world.write(), ["u1@x.lit/r 1/-", "u2@x.lit/r 1/-"]);
}

#[test]
fn paths_are_chosen_and_left_out() {
    let mut world = World::open(settings(), &["x.lit", "y.lit"]);
    world.release(1, Some(10), Outward::Cast(Cast { only: Some("y.lit".into()), ..cast(1, Some(10)) }.into()));
    world.release(1, None, Outward::Cast(Cast { except: smallvec!["y.lit".into()], ..cast(1, None) }.into()));
    let mut written = world.write();
    written.sort();
    assert_eq!(written, ["u1@x.lit/r 1/-", "u2@y.lit/r 1/10"]);
}

#[test]
fn sends_keep_their_place_among_casts() {
    let mut world = World::open(settings(), &["x.lit"]);
    world.cast(1, Some(10));
    world.send(1, "u9@x.lit/r", "history", Some(11));
    world.cast(1, Some(12));
    assert_eq!(world.write(), ["u1@x.lit/r 1/10", "u9@x.lit/r history", "u1@x.lit/r 1/12"]);
}

#[test]
fn a_reset_replaces_the_group() {
    let mut world = World::open(Settings { audit_window: Duration::ZERO, ..settings() }, &["x.lit"]);
    world.wait(1);
    let members = vec![member(70, "x.lit", 1), member(71, "x.lit", 2)];
    let remote: Box<str> = "x.lit".into();
    world.release(1, None, Outward::Group { remote, version: Seq(9), change: GroupChange::Reset(members) });
    world.cast(1, Some(10));
    assert_eq!(world.write(), ["u70@x.lit/r 1/10", "u71@x.lit/r 1/10"]);
}

#[test]
fn a_large_cast_is_written_in_pieces() {
    let mut world = World::open(settings(), &["x.lit"]);
    for n in 2..=1000 {
        world.put(1, member(n, "x.lit", 2));
    }
    world.cast(1, Some(10));
    let (mut out, mut pieces) = (Vec::new(), 0);
    while world.egress.ready() {
        let before = out.len();
        world.egress.write(&mut out, 4096, world.now);
        assert!(out.len() - before < 4096 + 200);
        pieces += 1;
    }
    assert_eq!(world.read(&out).len(), 1000);
    assert!(pieces > 10);
}

#[test]
fn a_large_send_is_cut_but_never_mixed() {
    let mut world = World::open(settings(), &["x.lit", "y.lit"]);
    let bytes = Bytes::from(vec![b'a'; 100_000]);
    world.release(1, None, Outward::Send { to: Jid::new("u1@x.lit/r").unwrap(), bytes: bytes.clone(), seq: None });
    world.cast(1, Some(10));
    let mut out = Vec::new();
    while world.egress.ready() {
        let before = out.len();
        world.egress.write(&mut out, 1000, world.now);
        assert!(out.len() - before < 1100);
    }
    let at = out.windows(bytes.len()).position(|w| w == bytes);
    assert!(at.is_some(), "all in one piece");
    let rest: Vec<u8> = out.into_iter().filter(|b| *b != b'a').collect();
    assert_eq!(rest.windows(4).filter(|w| w == b"1/10").count(), 2);
}

#[test]
fn paths_take_turns() {
    let mut world = World::open(Settings { quantum: 100, ..settings() }, &["x.lit", "y.lit"]);
    for seq in 10..14 {
        world.cast(1, Some(seq));
    }
    let order: String = world.write().iter().map(|line| if line.contains("x.lit") { 'x' } else { 'y' }).collect();
    assert_eq!(order, "xxyyxxyy", "two stanzas make a hundred bytes");
}

#[test]
fn a_ping_follows_the_last_stanza_or_the_interval_under_load() {
    let mut world = World::open(settings(), &["x.lit"]);
    world.cast(1, Some(10));
    assert_eq!(world.write().len(), 1);
    world.wait(1999);
    assert!(world.write().is_empty());
    world.wait(1);
    assert_eq!(world.write(), ["ping x.lit"]);
    world.answer("x.lit");
    world.wait(60_000);
    assert!(world.write().is_empty(), "an idle path is pinged once");

    let mut pings = 0;
    for seq in 0..100 {
        world.cast(1, Some(11 + seq));
        pings += world.write().iter().filter(|line| line.starts_with("ping")).count();
        world.wait(100);
    }
    assert_eq!(pings, 9, "one a second");
}

#[test]
fn transient_things_are_not_worth_a_ping() {
    let mut world = World::open(settings(), &["x.lit"]);
    world.cast(1, None);
    world.send(1, "u1@x.lit/r", "pm", None);
    world.release(1, None, Outward::Peer { peer: room(1), bytes: Bytes::from_static(b"<message to='p' id='p'/>") });
    world.write();
    world.wait(10_000);
    assert!(!world.write().contains(&"ping x.lit".to_owned()));
}

#[test]
fn a_closed_room_reaches_nobody() {
    let mut world = World::open(settings(), &["x.lit"]);
    world.cast(1, Some(10));
    world.release(1, None, Outward::Close);
    world.cast(1, Some(11));
    assert_eq!(world.write(), ["u1@x.lit/r 1/10"]);
}

#[test]
fn an_unused_path_is_forgotten() {
    let mut world = World::open(settings(), &["x.lit"]);
    world.remove(1, 1, "x.lit");
    world.wait(599_000);
    assert!(world.events().is_empty());
    world.wait(2_000);
    assert_eq!(world.events(), ["x.lit forgotten"]);
    world.put(1, member(1, "x.lit", 5));
    world.cast(1, Some(6));
    assert_eq!(world.write(), ["ping x.lit"]);
}

#[test]
fn strangers_cannot_fill_the_table() {
    let mut world = World::open(Settings { max_paths: 2, ..settings() }, &["x.lit"]);
    for n in 0..5 {
        world.send(1, &format!("u@stranger{n}.lit/r"), "error", None);
    }
    assert_eq!(world.write(), ["ping stranger0.lit"]);
    assert_eq!(world.egress.stats().transient_dropped, 4);
    world.put(1, member(9, "y.lit", 5));
    world.cast(1, Some(6));
    assert!(world.write().contains(&"ping y.lit".to_owned()), "members always have a path");
}
