//! Up, Suspect, Down; cold paths; the link itself; budgets; the audit.

use warren_egress::{Consumed, Outward, Settings};
use warren_model::Seq;
use warren_xmpp::cast::{GroupChange, PathState};

use crate::world::{OURS, World, member, settings};

#[test]
fn a_cold_path_is_opened_by_a_lone_ping() {
    let mut world = World::new(settings());
    world.egress.link_up(world.now);
    world.put(1, member(1, "x.lit", 1));
    world.cast(1, Some(10));
    assert_eq!(world.write(), ["ping x.lit"]);
    world.cast(1, Some(11));
    world.wait(4_000);
    assert!(world.write().is_empty());
    world.answer("x.lit");
    assert_eq!(world.write(), ["u1@x.lit/r 1/10", "u1@x.lit/r 1/11"]);
    assert!(world.events().is_empty(), "a path begins as Up");
}

#[test]
fn an_idle_path_cools_down() {
    let mut world = World::open(settings(), &["x.lit"]);
    world.cast(1, Some(10));
    world.write();
    world.wait(2_000);
    world.write();
    world.answer("x.lit");
    world.wait(599_000);
    world.cast(1, Some(11));
    assert_eq!(world.write(), ["u1@x.lit/r 1/11"]);
    world.wait(2_000);
    world.write();
    world.answer("x.lit");
    world.wait(601_000);
    world.cast(1, Some(12));
    assert_eq!(world.write(), ["ping x.lit"]);
    world.answer("x.lit");
    assert_eq!(world.write(), ["u1@x.lit/r 1/12"]);
}

#[test]
fn a_late_ping_makes_the_path_suspect_then_down_and_an_answer_up() {
    let mut world = World::open(settings(), &["x.lit"]);
    world.cast(1, Some(10));
    world.write();
    world.wait(2_000);
    world.write();
    world.wait(34_999);
    assert!(world.events().is_empty());
    world.wait(1);
    assert_eq!(world.events(), ["x.lit Suspect"]);
    assert_eq!(world.write(), ["ping x.lit"], "a probe");
    world.cast(1, Some(11));
    world.cast(1, None);
    assert_eq!(world.write(), ["u1@x.lit/r 1/-"], "rows are kept back, the transient goes");
    let mut probes = 0;
    for _ in 0..34 {
        world.wait(1_000);
        probes += world.write().len();
    }
    assert_eq!(probes, 2, "spaced: 5 s, 10 s, 20 s");
    assert!(world.events().is_empty());
    world.wait(1_000);
    assert_eq!(world.events(), ["x.lit Down"]);
    world.wait(600_000);
    assert!(world.events().is_empty(), "once only");
    world.write();
    world.answer("x.lit");
    assert_eq!(world.events(), ["x.lit Up", "x.lit replay 1>9"]);
}

#[test]
fn a_late_answer_is_no_break() {
    let mut world = World::open(settings(), &["x.lit"]);
    world.cast(1, Some(10));
    world.write();
    world.wait(2_000);
    world.write();
    let late = world.last_ping("x.lit");
    world.wait(36_000);
    world.cast(1, Some(11));
    world.answer_id("x.lit", &late);
    assert_eq!(world.events(), ["x.lit Suspect", "x.lit Up", "x.lit replay 1>10"], "10 has arrived");
}

#[test]
fn a_steadily_slow_path_stays_up() {
    let mut world = World::open(settings(), &["x.lit"]);
    let (mut answered, mut pings) = (0, std::collections::VecDeque::new());
    // Answers take 30 s.
    for second in 0..200 {
        world.cast(1, Some(10 + second));
        world.write();
        world.wait(1_000);
        if let Some((id, _)) = world.pings.pop() {
            pings.push_back((second, id));
        }
        if pings.front().is_some_and(|(sent, _)| *sent + 30 <= second) {
            let (_, id) = pings.pop_front().unwrap();
            world.answer_id("x.lit", &id);
            answered += 1;
        }
    }
    assert!(answered > 80);
    assert!(world.events().is_empty());
}

#[test]
fn evidence_and_transport_conditions_are_told_apart() {
    for (condition, by, up) in [
        ("service-unavailable", None, true),
        ("feature-not-implemented", None, true),
        ("service-unavailable", Some("x.lit"), true),
        ("service-unavailable", Some(OURS), false),
        ("recipient-unavailable", None, false),
        ("remote-server-timeout", None, false),
        ("internal-server-error", None, false),
    ] {
        let mut world = World::open(settings(), &["x.lit"]);
        world.cast(1, Some(10));
        world.write();
        world.wait(2_000);
        world.write();
        world.answer_error("x.lit", condition, by);
        assert_eq!(world.state("x.lit") == PathState::Up, up, "{condition} {by:?}");
    }
}

#[test]
fn bounces_are_judged_by_condition_and_maker() {
    for (condition, by, up) in [
        ("service-unavailable", None, true),
        ("item-not-found", None, true),
        ("gone", Some(OURS), false),
        ("recipient-unavailable", None, false),
        ("remote-server-not-found", Some(OURS), false),
        ("remote-server-timeout", None, false),
    ] {
        let mut world = World::open(settings(), &["x.lit", "y.lit"]);
        world.bounce("u1@x.lit/r", condition, by);
        assert_eq!(world.state("x.lit") == PathState::Up, up, "{condition} {by:?}");
        assert_eq!(world.state("y.lit"), PathState::Up);
    }
}

#[test]
fn a_transport_condition_is_probed_at_once_and_a_refused_probe_is_down() {
    let mut world = World::open(settings(), &["x.lit"]);
    world.wait(5_000);
    world.bounce("u1@x.lit/r", "remote-server-timeout", None);
    assert_eq!(world.write(), ["ping x.lit"]);
    for _ in 0..4_500 {
        world.bounce("u1@x.lit/r", "remote-server-timeout", None);
    }
    assert!(world.write().is_empty(), "a storm changes nothing");
    world.answer_error("x.lit", "remote-server-timeout", None);
    assert_eq!(world.events(), ["x.lit Suspect", "x.lit Down"]);
    world.wait(4_999);
    assert!(world.write().is_empty());
    world.wait(1);
    assert_eq!(world.write(), ["ping x.lit"]);
}

#[test]
fn a_sign_of_life_brings_the_next_probe_forward() {
    let mut world = World::open(settings(), &["x.lit"]);
    world.bounce("u1@x.lit/r", "remote-server-timeout", None);
    world.wait(1_000);
    world.write();
    world.answer_error("x.lit", "remote-server-timeout", None);
    world.wait(1_500);
    assert!(world.write().is_empty());
    let hello = format!("<message from='u1@x.lit/r' to='room1@{OURS}' type='groupchat'/>");
    assert_eq!(world.stanza(&hello), Consumed::No);
    assert_eq!(world.write(), ["ping x.lit"]);
    assert_eq!(world.stanza(&hello), Consumed::No);
    assert!(world.write().is_empty(), "one a second at most");
    world.answer("x.lit");
    assert_eq!(world.state("x.lit"), PathState::Up);
}

#[test]
fn foreign_answers_are_not_ours() {
    let mut world = World::open(settings(), &["x.lit"]);
    world.cast(1, Some(10));
    world.write();
    world.wait(2_000);
    world.write();
    let id = world.last_ping("x.lit");
    for xml in [
        format!("<iq type='result' from='u@x.lit' to='{OURS}' id='{id}'/>"),
        format!("<iq type='result' from='x.lit' to='room1@{OURS}' id='{id}'/>"),
        format!("<iq type='result' from='x.lit' to='{OURS}' id='{id}0'/>"),
        format!("<iq type='get' from='x.lit' to='{OURS}' id='{id}'><ping xmlns='urn:xmpp:ping'/></iq>"),
    ] {
        assert_eq!(world.stanza(&xml), Consumed::No, "{xml}");
    }
    let wrong = format!("<iq type='result' from='y.lit' to='{OURS}' id='{id}'/>");
    assert_eq!(world.stanza(&wrong), Consumed::Yes, "nobody else's either");
    assert_eq!(world.watermarks(10), ["x.lit 9"]);
    world.answer_id("x.lit", &id);
    assert_eq!(world.watermarks(10), ["x.lit 10"]);
}

#[test]
fn a_short_reconnect_is_no_event() {
    let mut world = World::open(settings(), &["x.lit"]);
    world.wait(120_000);
    world.egress.link_down(world.now);
    world.wait(34_000);
    world.cast(1, Some(10));
    world.cast(1, None);
    assert!(world.write().is_empty());
    world.egress.link_up(world.now);
    assert_eq!(world.write(), ["ping x.lit"]);
    world.answer("x.lit");
    assert!(world.events().is_empty());
    assert_eq!(world.write(), ["u1@x.lit/r 1/10", "u1@x.lit/r 1/-"]);
}

#[test]
fn a_long_absence_of_the_link_is_told_and_never_becomes_down() {
    let mut world = World::open(settings(), &["x.lit"]);
    world.egress.link_down(world.now);
    world.wait(35_000);
    assert_eq!(world.events(), ["x.lit Suspect"]);
    world.cast(1, Some(10));
    world.cast(1, None);
    world.put(1, member(2, "x.lit", 11));
    world.put(1, member(3, "y.lit", 12));
    assert_eq!(world.events(), ["y.lit Suspect"]);
    world.wait(3_600_000);
    assert!(world.events().is_empty());
    world.egress.link_up(world.now);
    world.wait(10);
    world.write();
    world.answer("x.lit");
    world.answer("y.lit");
    assert_eq!(world.events(), ["x.lit Up", "x.lit replay 1>9", "y.lit Up"]);
}

#[test]
fn what_is_on_its_way_when_the_link_breaks_is_missing() {
    let mut world = World::open(settings(), &["x.lit"]);
    world.cast(1, Some(10));
    world.write();
    world.wait(2_000);
    world.write();
    let late = world.last_ping("x.lit");
    world.cast(1, Some(11));
    world.cast(1, None);
    world.egress.link_down(world.now);
    world.egress.link_up(world.now);
    world.answer_id("x.lit", &late);
    assert!(world.events().is_empty(), "an answer of the old stream proves nothing");
    assert_eq!(world.write(), ["ping x.lit"]);
    world.answer("x.lit");
    assert_eq!(world.events(), ["x.lit replay 1>9"]);
}

#[test]
fn a_full_path_becomes_suspect_and_its_rows_come_again() {
    let mut world = World::open(Settings { path_budget: 20_000, ..settings() }, &["x.lit", "y.lit"]);
    world.wait(1_000);
    for seq in 10..200 {
        world.cast(1, Some(seq));
        assert!(world.egress.queued_bytes() <= 40_000);
    }
    assert_eq!(world.events(), ["x.lit Suspect", "y.lit Suspect"]);
    let written = world.write();
    assert_eq!(written.len(), 2, "probes: {written:?}");
    world.answer("x.lit");
    assert_eq!(world.events(), ["x.lit Up", "x.lit replay 1>9"]);
}

#[test]
fn the_link_has_a_budget_too() {
    let mut world = World::open(Settings { link_budget: 20_000, ..settings() }, &["x.lit", "y.lit"]);
    for seq in 10..300 {
        world.send(1, "u1@x.lit/r", "large", Some(seq));
        assert!(world.egress.queued_bytes() <= 20_000);
    }
    world.send(1, "u2@y.lit/r", "small", Some(300));
    assert_eq!(world.events(), ["x.lit Suspect"], "the longest queue goes");
    assert!(world.write().contains(&"u2@y.lit/r small".to_owned()));
}

#[test]
fn transient_floods_are_dropped() {
    let mut world = World::open(Settings { path_budget: 20_000, ..settings() }, &["x.lit"]);
    world.wait(1_000);
    for n in 0..1000 {
        world.cast(1, None);
        world.put(1, member(2 + n, "x.lit", 5));
        assert!(world.egress.queued_bytes() <= 20_000);
    }
    assert!(world.egress.stats().transient_dropped > 100);
    world.cast(1, Some(10));
    world.write();
    world.answer("x.lit");
    assert_eq!(world.events(), ["x.lit Suspect", "x.lit Up", "x.lit replay 1>9"]);
    world.replay(1, "x.lit", [10]);
    assert_eq!(world.write().len(), 1001, "no change of the group is ever lost");
}

#[test]
fn everybody_is_audited_once_after_the_link_came_up() {
    let mut world = World::open(settings(), &["x.lit"]);
    world.put(1, member(2, "x.lit", 5));
    world.put(2, member(3, "y.lit", 5));
    world.egress.link_down(world.now);
    world.egress.link_up(world.now);
    world.put(1, member(4, "x.lit", 50));
    world.wait(100);
    assert_eq!(world.write(), ["ping x.lit", "ping y.lit"]);
    world.answer("x.lit");
    world.wait(100);
    assert_eq!(world.write(), ["u1@x.lit/r audit", "u2@x.lit/r audit"]);
    world.wait(2_000);
    assert_eq!(world.write(), ["ping x.lit"], "the fence");
    world.answer("x.lit");
    world.answer("y.lit");
    world.wait(100);
    assert_eq!(world.write(), ["u3@y.lit/r audit"]);
    world.wait(600_000);
    let rest = world.write();
    assert!(!rest.iter().any(|line| line.ends_with("audit")), "{rest:?}");
}

#[test]
fn rooms_loaded_after_a_start_are_audited() {
    let reset = |n| Outward::Group {
        remote: "x.lit".into(),
        version: Seq(9),
        change: GroupChange::Reset(vec![member(n, "x.lit", 1)]),
    };
    let mut world = World::new(settings());
    world.release(1, None, reset(1));
    world.wait(1_000);
    world.egress.link_up(world.now);
    world.wait(100);
    world.write();
    world.answer("x.lit");
    world.release(2, None, reset(2));
    world.wait(1_000);
    assert_eq!(world.write(), ["u1@x.lit/r audit", "u2@x.lit/r audit"]);
    world.wait(2_000);
    world.write();
    world.answer("x.lit");
    world.wait(600_000);
    world.release(3, None, reset(3));
    world.wait(10_000);
    assert!(world.write().is_empty(), "the window is over");
}

#[test]
fn the_audit_keeps_its_rate_and_survives_a_break() {
    let mut world = World::open(Settings { audit_per_second: 10, ..settings() }, &["x.lit"]);
    for n in 1..=5 {
        for m in 0..10 {
            world.put(n, member(100 * u32::try_from(n).unwrap() + m, "x.lit", 5));
        }
    }
    world.egress.link_down(world.now);
    world.egress.link_up(world.now);
    world.wait(10);
    world.write();
    world.answer("x.lit");
    let mut audited = 0;
    for second in 1..=3 {
        world.wait(1_000);
        audited += world.write().iter().filter(|line| line.ends_with("audit")).count();
        assert!(audited <= 11 * second, "{audited} after {second} s");
    }
    world.bounce("u1@x.lit/r", "remote-server-timeout", None);
    world.wait(1_000);
    world.write();
    world.answer("x.lit");
    let mut again = 0;
    for _ in 0..60 {
        world.wait(1_000);
        again += world.write().iter().filter(|line| line.ends_with("audit")).count();
        if !world.pings.is_empty() {
            world.answer("x.lit");
        }
    }
    assert!(again >= 51 - audited, "{audited}, then {again}");
    assert!(again + audited <= 102, "those without proof come again, once");
}
