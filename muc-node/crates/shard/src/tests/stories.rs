//! The barrier: what is shown when, what a failure means, bounds.

use std::time::Duration;

use warren_model::Seq;
use warren_xmpp::cast::PathState;

use super::world::{ROOM, World, declared, room, settings};
use crate::{Breakage, In, Settings};

const ROMEO: &str = "romeo@montague.lit/garden";
const JULIET: &str = "juliet@capulet.lit/window";

#[test]
fn nothing_is_shown_before_it_is_durable() {
    let mut world = World::new(settings());
    world.give(In::Declare(declared(ROOM, 1, 1)));
    assert!(world.load());
    world.join(ROMEO, "Romeo");
    world.join(JULIET, "Juliet");
    world.speak(ROMEO, "hello");
    world.iq(JULIET, "who");
    assert_eq!(world.queue.len(), 4);
    assert_eq!(world.heard(), "");
    assert!(world.shard.queued_bytes() > 0);

    world.commit();
    assert_eq!(
        world.heard(),
        "Regroup\nApplied { room: BareJid(\"balcony@rooms.lit\"), uid: \"uid-1\", generation: Generation(1) }",
        "nobody is there"
    );
    world.commit();
    assert!(world.heard().contains("to romeo@montague.lit/garden"));
    world.commit();
    assert!(!world.heard().contains("hello"));
    world.commit();
    let said = world.heard();
    let message = said.find("<body>hello</body>").unwrap();
    let answer = said.find("id='who'").unwrap();
    assert!(message < answer, "what wrote nothing waits too, and keeps its place: {said}");
    assert_eq!(world.shard.queued_bytes(), 0);

    world.iq(JULIET, "again");
    assert!(world.heard().contains("id='again'"), "nothing to wait for");
}

#[test]
fn after_a_failure_everything_is_handled_again_once() {
    let mut world = World::with_couple(settings());
    world.speak(ROMEO, "one");
    world.speak(JULIET, "two");
    world.iq(JULIET, "what");
    world.fail();
    assert_eq!(world.heard(), "");
    assert!(world.loads.is_empty(), "it is not known yet what became of the second one");
    assert!(world.shard.room(&room(ROOM)).is_none());
    world.speak(ROMEO, "three");
    world.commit();
    assert_eq!(world.loads.len(), 1);
    world.drain();
    let said = world.heard();
    let at = |what: &str| said.find(what).unwrap_or_else(|| panic!("{what} in {said}"));
    assert!(at("Reset") < at(">one<") && at(">one<") < at(">two<") && at(">two<") < at("id='what'"));
    assert!(at("id='what'") < at(">three<"));
    assert!(!said.contains("error"), "{said}");
    assert_eq!(world.log(ROOM).len(), 5);
    assert_eq!(world.shard.queued_bytes(), 0);
}

#[test]
fn what_fails_twice_is_refused_and_the_rest_goes_on() {
    let mut world = World::with_couple(settings());
    world.speak(ROMEO, "one");
    world.speak(JULIET, "two");
    world.fail();
    world.commit();
    world.load();
    world.fail();
    let said = world.heard();
    assert!(said.contains("reply to romeo@montague.lit/garden"), "{said}");
    assert!(said.contains("id='one'") && said.contains("resource-constraint") && said.contains("type='wait'"));
    world.drain();
    let said = world.heard();
    assert!(said.contains(">two<") && !said.contains(">one<") && !said.contains("error"), "{said}");
    assert_eq!(world.log(ROOM).len(), 3);
}

#[test]
fn a_declaration_that_cannot_be_stored_is_said_so() {
    let mut world = World::new(settings());
    world.give(In::Declare(declared(ROOM, 1, 1)));
    world.join(ROMEO, "Romeo");
    world.load();
    world.fail();
    world.commit();
    world.load();
    world.fail();
    assert!(world.heard().contains("Refused { room: BareJid(\"balcony@rooms.lit\"), uid: \"uid-1\""));
    world.drain();
    assert!(world.heard().contains("not-allowed"), "there is no room to join");
    assert_eq!(world.shard.rooms().count(), 0);
}

#[test]
fn a_leave_is_tried_for_longer() {
    let mut world = World::with_couple(settings());
    world.stanza(&format!("<presence from='{ROMEO}' to='{ROOM}/Romeo' type='unavailable'/>"));
    for _ in 0..5 {
        world.fail();
        if world.loads.is_empty() {
            world.next();
        }
        world.load();
    }
    world.drain();
    assert_eq!(world.stored_sessions(ROOM).len(), 1);
    assert!(!world.heard().contains("error"));
}

#[test]
fn lazy_rows_are_merged_written_soon_and_waited_for_by_nobody() {
    let mut world = World::with_couple(settings());
    for show in ["away", "xa"] {
        world.stanza(&format!("<presence from='{ROMEO}' to='{ROOM}/Romeo'><show>{show}</show></presence>"));
        assert!(world.heard().contains(&format!("<show>{show}</show>")));
    }
    assert!(world.queue.is_empty());
    let deadline = world.shard.next_deadline();
    assert_eq!(deadline, Some(world.now + Duration::from_secs(1)));
    world.next();
    assert_eq!(world.queue.len(), 1);
    assert_eq!(world.queue[0].rows.len(), 1);
    world.iq(JULIET, "q");
    assert!(world.heard().contains("id='q'"), "a lazy ticket holds nothing back");

    // It fails: the room is loaded again, and shows what was not written all the same.
    world.fail();
    world.load();
    world.join("nurse@capulet.lit/kitchen", "Nurse");
    assert_eq!(world.queue[0].rows.first().map(|row| format!("{row:?}").contains("Presence")), Some(true));
    world.commit();
    assert!(world.heard().contains("<show>xa</show>"));
    assert!(world.queue.is_empty());
}

#[test]
fn reads_wait_and_those_of_an_earlier_life_are_ignored() {
    let mut world = World::with_couple(settings());
    world.speak(ROMEO, "one");
    world.give(In::Replay { room: room(ROOM), remote: "capulet.lit".into(), after: Seq(0) });
    assert!(world.reads.is_empty());
    world.commit();
    assert_eq!(world.reads.len(), 1);
    world.speak(ROMEO, "two");
    world.fail();
    world.load();
    // The replay was asked for once, so it starts again by itself.
    assert_eq!(world.reads.len(), 2);
    assert_ne!(world.reads[0].1, world.reads[1].1);
    world.heard();
    world.read();
    assert_eq!(world.heard(), "", "of the room that was dropped");
    world.fail_read();
    assert!(world.reads.is_empty());
    world.drain();
    assert!(world.next());
    world.drain();
    let said = world.heard();
    assert!(said.contains("End") && !world.replayed.is_empty(), "{said}");
    assert_eq!(world.replayed, [Seq(1), Seq(2), Seq(3), Seq(4)]);
    assert_eq!(world.shown[&world.id(ROOM).unwrap()], [Seq(1), Seq(2), Seq(3), Seq(4)]);
}

#[test]
fn a_room_that_has_too_much_waiting_says_so() {
    let mut world = World::with_couple(Settings { room_queue: 3, ..settings() });
    for body in ["1", "2", "3", "4"] {
        world.speak(ROMEO, body);
    }
    let said = world.heard();
    assert!(said.contains("id='4'") && said.contains("resource-constraint") && said.contains("type='wait'"), "{said}");
    world.stanza(&format!("<presence from='{JULIET}' to='{ROOM}/Juliet' type='unavailable'/>"));
    world.drain();
    assert_eq!(world.log(ROOM).len(), 6);
    assert_eq!(world.stored_sessions(ROOM).len(), 1, "a leave finds room");
    world.speak(ROMEO, "5");
    world.drain();
    assert!(world.heard().contains(">5<"));
}

#[test]
fn after_the_fence_nothing_comes() {
    let mut world = World::with_couple(settings());
    world.speak(ROMEO, "one");
    world.give(In::Fenced);
    assert_eq!(world.heard(), "Dead");
    world.commit();
    world.speak(ROMEO, "two");
    world.give(In::Tick);
    assert_eq!(world.heard(), "");
    assert_eq!((world.shard.next_deadline(), world.shard.queued_bytes()), (None, 0));
}

#[test]
fn paths_are_told_to_those_whom_they_concern() {
    let mut world = World::with_couple(settings());
    let down = |remote: &str| In::Path { remote: remote.into(), state: PathState::Down };
    let grace = Duration::from_mins(10);
    world.give(down("escalus.lit"));
    assert_eq!(world.shard.next_deadline(), None);
    // Somebody comes from where it was Down before: the room hears of it.
    world.join("prince@escalus.lit/throne", "Prince");
    world.drain();
    assert_eq!(world.shard.next_deadline(), Some(world.now + grace));
    world.stanza(&format!("<presence from='prince@escalus.lit/throne' to='{ROOM}/Prince' type='unavailable'/>"));
    world.drain();
    // Nobody is here from there, but the room has to know that it is Up again.
    world.give(In::Path { remote: "escalus.lit".into(), state: PathState::Up });
    world.join("prince@escalus.lit/throne", "Prince");
    world.drain();
    assert_eq!(world.shard.next_deadline(), None);

    world.give(down("escalus.lit"));
    world.heard();
    world.pass(grace);
    world.drain();
    assert!(world.heard().contains("333"));
    assert_eq!(world.stored_sessions(ROOM).len(), 2);
}

#[test]
fn what_is_broken_on_purpose_is_broken() {
    let with = |breakage: Breakage| World::with_couple(Settings { breakage, ..settings() });
    let mut world = with(Breakage { inputs_not_kept: true, ..Breakage::default() });
    world.speak(ROMEO, "one");
    world.fail();
    world.drain();
    assert!(!world.heard().contains(">one<"));
    let broken = std::panic::catch_unwind(|| {
        let mut world = with(Breakage { barrier_off: true, ..Breakage::default() });
        world.speak(ROMEO, "one");
    });
    assert!(broken.is_err(), "the world sees what is shown too early");
}
