//! What is sent again, when, and what watermarks say meanwhile.

use warren_egress::{Breakage, Egress, Outward};
use warren_model::{Batch, Lane, Path, RoomId, Seq};
use warren_xmpp::cast::ReplayMark;

use crate::world::{OURS, World, broken, member, room, settings};

/// Rooms 1 and 2 with a member each on an open path.
fn two_rooms(settings: warren_egress::Settings) -> World {
    let mut world = World::open(settings, &["x.lit"]);
    world.put(2, member(2, "x.lit", 1));
    world
}

/// A row is written and its ping is not answered.
fn lose(world: &mut World, n: u64, seq: u64) -> String {
    world.cast(n, Some(seq));
    world.write();
    world.wait(2_000);
    assert_eq!(world.write(), ["ping x.lit"]);
    world.last_ping("x.lit")
}

#[test]
fn watermarks_follow_the_answers() {
    let mut world = two_rooms(settings());
    assert_eq!(world.watermarks(9), ["x.lit 9"], "nothing is outstanding");
    assert!(world.watermarks(9).is_empty(), "once");
    world.cast(1, Some(10));
    assert!(world.watermarks(10).is_empty(), "queued");
    world.write();
    assert!(world.watermarks(10).is_empty(), "written is not delivered");
    world.wait(2_000);
    world.write();
    world.cast(2, Some(11));
    world.write();
    assert!(world.watermarks(11).is_empty());
    world.answer("x.lit");
    assert_eq!(world.watermarks(11), ["x.lit 10"]);
}

#[test]
fn an_unanswered_ping_breaks_the_chain() {
    let mut world = two_rooms(settings());
    lose(&mut world, 1, 10);
    lose(&mut world, 2, 11);
    world.cast(2, Some(12));
    world.write();
    world.wait(2_000);
    world.write();
    world.answer("x.lit");
    assert_eq!(world.events(), ["x.lit replay 1>9 2>10"], "the path was never Suspect");
    assert_eq!(world.watermarks(12), ["x.lit 9"]);
}

#[test]
fn a_room_is_held_until_its_replay_starts_and_others_are_live() {
    let mut world = two_rooms(settings());
    lose(&mut world, 1, 10);
    world.cast(1, Some(11));
    world.wait(2_000);
    // 11 is queued when the break is found: the replay brings it, so it must not come first.
    let ping = lose(&mut world, 1, 12);
    world.cast(1, Some(13));
    world.cast(2, Some(14));
    world.answer_id("x.lit", &ping);
    assert_eq!(world.events(), ["x.lit replay 1>9"]);
    world.cast(1, Some(15));
    world.cast(1, None);
    assert_eq!(world.write(), ["u2@x.lit/r 2/14", "u1@x.lit/r 1/-"]);
    world.mark(1, "x.lit", ReplayMark::End);
    world.cast(1, Some(16));
    assert!(world.write().is_empty(), "an End without its Start means nothing");
    world.replay(1, "x.lit", [10, 11, 12, 13, 15, 16]);
    world.cast(1, Some(17));
    let rows: Vec<_> = [10, 11, 12, 13, 15, 16, 17].map(|seq| format!("u1@x.lit/r 1/{seq}")).into();
    assert_eq!(world.write(), rows);
}

#[test]
fn a_gap_is_proven_by_the_ping_after_its_end() {
    let mut world = two_rooms(settings());
    lose(&mut world, 1, 10);
    lose(&mut world, 1, 11);
    let ping = lose(&mut world, 1, 12);
    world.answer_id("x.lit", &ping);
    world.events();
    world.mark(1, "x.lit", ReplayMark::Start);
    let only = warren_xmpp::cast::Cast { only: Some("x.lit".into()), ..crate::world::cast(1, Some(10)) };
    world.release(1, None, Outward::Cast(only.into()));
    world.write();
    world.wait(2_000);
    world.write();
    world.answer("x.lit");
    assert_eq!(world.watermarks(12), ["x.lit 9"], "the replay has not ended");
    world.mark(1, "x.lit", ReplayMark::End);
    world.write();
    assert!(world.watermarks(12).is_empty());
    world.wait(2_000);
    assert_eq!(world.write(), ["ping x.lit"]);
    world.answer("x.lit");
    assert_eq!(world.watermarks(12), ["x.lit 12"]);
}

#[test]
fn a_break_within_a_replay_starts_it_again_from_the_beginning() {
    let mut world = two_rooms(settings());
    lose(&mut world, 1, 10);
    let ping = lose(&mut world, 1, 11);
    world.answer_id("x.lit", &ping);
    world.replay(1, "x.lit", [10, 11]);
    world.write();
    world.wait(2_000);
    world.write();
    world.bounce("u1@x.lit/r", "recipient-unavailable", None);
    world.cast(1, Some(12));
    world.wait(1_000);
    world.write();
    world.answer("x.lit");
    assert_eq!(world.events(), ["x.lit replay 1>9", "x.lit Suspect", "x.lit Up", "x.lit replay 1>9"]);
    world.replay(1, "x.lit", [10, 11, 12]);
    world.write();
    world.wait(2_000);
    world.write();
    world.answer("x.lit");
    assert_eq!(world.watermarks(12), ["x.lit 12"]);
}

#[test]
fn the_end_of_an_old_replay_does_not_end_the_new_one() {
    let mut world = two_rooms(settings());
    lose(&mut world, 1, 10);
    let ping = lose(&mut world, 1, 11);
    world.answer_id("x.lit", &ping);
    world.mark(1, "x.lit", ReplayMark::Start);
    world.bounce("u1@x.lit/r", "recipient-unavailable", None);
    world.mark(1, "x.lit", ReplayMark::End);
    world.wait(1_000);
    world.write();
    world.answer("x.lit");
    world.mark(1, "x.lit", ReplayMark::End);
    world.replay(1, "x.lit", [10, 11]);
    assert_eq!(world.write(), ["u1@x.lit/r 1/10", "u1@x.lit/r 1/11"]);
}

#[test]
fn start_from_the_store() {
    let mut world = World::new(settings());
    let path = Path::new(OURS, "x.lit");
    let missing = vec![(RoomId(1), room(1), Seq(5)), (RoomId(2), room(2), Seq(8))];
    world.egress.restore(&path, missing, vec![(Lane(7), Batch(70)), (Lane(8), Batch(80))], world.now);
    world.egress.restore(&Path::new(OURS, "y.lit"), vec![], vec![(Lane(7), Batch(71))], world.now);
    assert_eq!(world.watermarks(3), ["x.lit 3", "y.lit 3", "lane 7 y.lit 71"]);
    world.egress.link_up(world.now);
    assert_eq!(world.write(), ["ping x.lit"]);
    world.put(1, member(1, "x.lit", 1));
    world.cast(1, Some(9));
    world.answer("x.lit");
    assert_eq!(world.events(), ["x.lit replay 1>4 2>7"]);
    assert_eq!(world.watermarks(9), ["x.lit 8"], "nobody is behind y.lit");
    world.replay(1, "x.lit", [5, 6, 7, 8, 9]);
    world.replay(2, "x.lit", []);
    world.write();
    world.wait(2_000);
    world.write();
    assert!(world.watermarks(9).is_empty());
    world.answer("x.lit");
    assert_eq!(world.watermarks(9), ["x.lit 9", "lane 7 x.lit 70", "lane 8 x.lit 80"]);
}

#[test]
fn a_room_that_ended_is_not_waited_for() {
    let mut world = two_rooms(settings());
    lose(&mut world, 1, 10);
    let ping = lose(&mut world, 1, 11);
    world.answer_id("x.lit", &ping);
    assert_eq!(world.watermarks(11), ["x.lit 9"]);
    world.release(1, None, Outward::Close);
    assert_eq!(world.watermarks(11), ["x.lit 11"]);
}

#[test]
fn breakages_do_what_they_say() {
    let mut world = two_rooms(broken(Breakage { watermark_moved_on_write: true, ..Breakage::default() }));
    world.cast(1, Some(10));
    world.write();
    assert_eq!(world.watermarks(10), ["x.lit 10"]);

    let mut world = two_rooms(broken(Breakage { chain_ignored: true, ..Breakage::default() }));
    lose(&mut world, 1, 10);
    let ping = lose(&mut world, 1, 11);
    world.answer_id("x.lit", &ping);
    assert!(world.events().is_empty());
    assert_eq!(world.watermarks(11), ["x.lit 11"]);
}

#[test]
fn many_paths_give_their_watermarks_in_turn() {
    let mut egress = Egress::new([OURS.into()], warren_egress::Settings { watermarks_at_once: 3, ..settings() });
    let now = warren_model::Now::default();
    for n in 0..5 {
        egress.restore(&Path::new(OURS, format!("x{n}.lit")), vec![], vec![(Lane(7), Batch(1))], now);
    }
    let mut told: Vec<_> = Vec::new();
    for _ in 0..3 {
        let some = egress.watermarks(&[(Lane(1), Batch(0))]);
        assert!(some.len() <= 3);
        told.extend(some.into_iter().map(|(_, path, _)| path));
    }
    told.sort();
    told.dedup();
    assert_eq!(told.len(), 5);
}

#[test]
fn a_row_left_to_the_replay_holds_the_watermark() {
    let mut world = two_rooms(settings());
    lose(&mut world, 1, 10);
    let ping = lose(&mut world, 1, 11);
    world.answer_id("x.lit", &ping);
    world.mark(1, "x.lit", ReplayMark::Start);
    let except = smallvec::smallvec!["x.lit".into()];
    world.release(
        1,
        Some(12),
        Outward::Cast(warren_xmpp::cast::Cast { except, ..crate::world::cast(1, Some(12)) }.into()),
    );
    assert_eq!(world.events(), ["x.lit replay 1>9"]);
    assert_eq!(world.watermarks(12), ["x.lit 9"]);
    for seq in [10, 11, 12] {
        let only = warren_xmpp::cast::Cast { only: Some("x.lit".into()), ..crate::world::cast(1, Some(seq)) };
        world.release(1, None, Outward::Cast(only.into()));
    }
    world.mark(1, "x.lit", ReplayMark::End);
    assert_eq!(world.write().len(), 3);
    assert!(world.watermarks(12).is_empty());
    world.wait(2_000);
    world.write();
    world.answer("x.lit");
    assert_eq!(world.watermarks(12), ["x.lit 12"]);
}

#[test]
fn a_row_left_to_no_replay_is_asked_for() {
    let mut world = two_rooms(settings());
    let except = smallvec::smallvec!["x.lit".into()];
    world.release(
        1,
        Some(12),
        Outward::Cast(warren_xmpp::cast::Cast { except, ..crate::world::cast(1, Some(12)) }.into()),
    );
    assert_eq!(world.events(), ["x.lit replay 1>11"]);
}

#[test]
fn a_replay_that_was_asked_for_too_late_is_not_taken_for_the_whole() {
    let mut world = two_rooms(settings());
    // The answers to a and c come, b is swallowed with row 10.
    let a = lose(&mut world, 1, 9);
    let _b = lose(&mut world, 1, 10);
    world.wait(33_000);
    world.cast(1, Some(11));
    world.write();
    let c = world.last_ping("x.lit");
    world.answer_id("x.lit", &a);
    world.answer_id("x.lit", &c);
    assert_eq!(world.events(), ["x.lit Suspect", "x.lit Up", "x.lit replay 1>10"]);
    world.replay(1, "x.lit", [11]);
    assert!(world.write().is_empty(), "row 10 must come first");
    assert_eq!(world.events(), ["x.lit replay 1>9"]);
    world.replay(1, "x.lit", [10, 11]);
    assert_eq!(world.write(), ["u1@x.lit/r 1/10", "u1@x.lit/r 1/11"]);
}

#[test]
fn a_room_that_is_loaded_again_is_asked_again() {
    let mut world = two_rooms(settings());
    lose(&mut world, 1, 10);
    let ping = lose(&mut world, 1, 11);
    world.answer_id("x.lit", &ping);
    world.mark(1, "x.lit", ReplayMark::Start);
    let change = warren_xmpp::cast::GroupChange::Reset(vec![member(9, "x.lit", 1)]);
    world.release(1, None, Outward::Group { remote: "x.lit".into(), version: Seq(1), change });
    assert_eq!(world.events(), ["x.lit replay 1>9", "x.lit replay 1>9"]);
    world.replay(1, "x.lit", [10, 11]);
    assert_eq!(world.write(), ["u9@x.lit/r 1/10", "u9@x.lit/r 1/11"]);
}

#[test]
fn the_past_of_a_path_may_become_known_while_it_is_in_use() {
    let mut world = two_rooms(settings());
    world.cast(1, Some(12));
    let path = Path::new(OURS, "x.lit");
    world.egress.restore(&path, vec![(RoomId(1), room(1), Seq(7))], vec![(Lane(7), Batch(70))], world.now);
    assert_eq!(world.events(), ["x.lit replay 1>6"]);
    assert!(world.write().is_empty(), "12 is part of the replay");
    world.replay(1, "x.lit", 7..=12);
    assert_eq!(world.write().len(), 6);
    world.wait(2_000);
    world.write();
    world.answer("x.lit");
    assert_eq!(world.watermarks(12), ["x.lit 12", "lane 7 x.lit 70"]);
}

#[test]
fn a_replay_is_not_stopped_by_the_budget() {
    let mut world = two_rooms(warren_egress::Settings { path_budget: 60_000, ..settings() });
    lose(&mut world, 1, 10);
    let ping = lose(&mut world, 1, 400);
    world.answer_id("x.lit", &ping);
    assert_eq!(world.events(), ["x.lit replay 1>9"]);
    world.replay(1, "x.lit", 10..=400);
    assert!(world.events().is_empty());
    assert_eq!(world.write().iter().filter(|line| line.starts_with("u1")).count(), 391);
}

#[test]
fn only_paths_with_rows_or_members_hold_the_past() {
    let mut world = two_rooms(settings());
    world.send(1, "u@stranger.lit/r", "error", None);
    assert_eq!(world.egress.paths().collect::<Vec<_>>(), [&Path::new(OURS, "x.lit")]);
}
