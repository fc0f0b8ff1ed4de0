//! Stanzas that were routed here: each happens once, and its source is told when.

use std::time::Duration;

use warren_model::Incarnation;

use super::world::{ROOM, World, declared, message, settings, site};
use crate::{In, Settings};

const ROMEO: &str = "romeo@montague.lit/garden";
const JULIET: &str = "juliet@capulet.lit/window";

fn ask(id: &str) -> String {
    let query = "<query xmlns='http://jabber.org/protocol/disco#info'/>";
    format!("<iq from='{JULIET}' to='{ROOM}' type='get' id='{id}'>{query}</iq>")
}

#[test]
fn a_source_is_told_behind_what_its_stanza_led_to() {
    let mut world = World::with_couple(settings());
    world.route(1, &message(ROMEO, "one"));
    world.route(1, &ask("two"));
    world.route(2, &message(JULIET, "three"));
    assert_eq!(world.heard(), "");
    world.commit();
    let said = world.heard();
    let at = |what: &str| said.find(what).unwrap_or_else(|| panic!("{what} in {said}"));
    assert!(at(">one<") < at("handled 1") && at("handled 1") < at("id='two'") && at("id='two'") < at("handled 2"));
    assert_eq!(world.owed(), [3]);
    world.commit();
    assert!(world.heard().ends_with("handled 3"));
}

#[test]
fn a_repeat_changes_nothing_and_waits_for_the_first_one() {
    let mut world = World::with_couple(settings());
    let n = world.route(1, &message(ROMEO, "one"));
    world.route_again(1, n);
    world.route_again(1, n);
    assert_eq!((world.queue.len(), world.heard().as_str()), (1, ""));
    world.commit();
    let said = world.heard();
    assert_eq!((said.matches("handled 1").count(), said.matches("cast").count()), (3, 1), "{said}");

    // Numbers of different sources have nothing to do with each other.
    world.route(2, &message(ROMEO, "two"));
    world.give(In::Stanza {
        room: super::world::room(ROOM),
        stanza: warren_xmpp::Stanza::parse(message(JULIET, "three").as_bytes()).unwrap(),
        source: None,
    });
    world.drain();
    let said = world.heard();
    assert!(said.contains(">two<") && said.contains(">three<"));
}

#[test]
fn what_the_last_owner_stored_is_known_and_the_rest_is_handled() {
    let mut world = World::with_couple(settings());
    world.route(1, &message(ROMEO, "one"));
    world.route(1, &message(JULIET, "two"));
    assert!(world.commit_silently().is_some());
    world.restart(site(None));
    world.route_again(1, 0);
    assert_eq!(world.loads.len(), 1);
    assert_eq!(world.heard(), "");
    world.drain();
    let said = world.heard();
    let at = |what: &str| said.find(what).unwrap_or_else(|| panic!("{what} in {said}"));
    assert!(at("handled 1") < at(">two<") && at(">two<") < at("handled 2"), "{said}");
    assert!(!said.contains(">one<"), "its replay brings it: {said}");
    assert_eq!(world.log(ROOM).len(), 4);
    assert_eq!(world.owed(), []);
}

#[test]
fn what_is_handled_again_is_no_repeat_of_itself() {
    let mut world = World::with_couple(settings());
    world.route(1, &message(ROMEO, "one"));
    world.route(1, &ask("two"));
    world.route(1, &message(JULIET, "three"));
    world.route_again(1, 0);
    world.fail();
    world.commit();
    assert_eq!(world.heard(), "");
    // The room is not there yet.
    world.route_again(1, 0);
    world.drain();
    let said = world.heard();
    let at = |what: &str| said.find(what).unwrap_or_else(|| panic!("{what} in {said}"));
    assert!(at(">one<") < at("handled 1") && at("id='two'") < at("handled 2") && at(">three<") < at("handled 3"));
    for what in [">one<", "id='two'", ">three<"] {
        assert_eq!(said.matches(what).count(), 1, "{what} in {said}");
    }
    for n in 1..=3 {
        assert_eq!(said.matches(&format!("handled {n}")).count(), 3, "{said}");
    }
    assert_eq!(world.log(ROOM).len(), 4);
}

#[test]
fn a_commit_that_is_only_seen_when_the_room_is_loaded_again_counts() {
    let mut world = World::with_couple(settings());
    world.route(1, &message(ROMEO, "one"));
    // An earlier owner had it in flight when this one loaded the room: so its position is taken.
    let answer = world.commit_silently();
    let Some(In::Done { ticket, .. }) = answer else { panic!("{answer:?}") };
    world.give(In::Failed { ticket, why: "the position is taken".into() });
    world.drain();
    let said = world.heard();
    assert!(said.contains("handled 1") && !said.contains(">one<"), "{said}");
    assert_eq!(world.log(ROOM).len(), 3);
}

#[test]
fn what_is_refused_is_dealt_with() {
    // There is no such room.
    let mut world = World::new(Settings { room_queue: 2, ..settings() });
    world.route(1, &message(ROMEO, "one"));
    world.route(1, &format!("<presence from='{ROMEO}' to='{ROOM}/Romeo' type='unavailable'/>"));
    world.load();
    let said = world.heard();
    assert!(said.contains("item-not-found") && said.contains("handled 1") && said.ends_with("handled 2"), "{said}");

    // It cannot be loaded in time.
    world.route(1, &message(ROMEO, "three"));
    world.fail_load();
    world.pass(Duration::from_secs(12));
    let said = world.heard();
    assert!(said.contains("remote-server-timeout") && said.ends_with("handled 3"), "{said}");
    world.give(In::Declare(declared(ROOM, 1, 1)));
    world.join(ROMEO, "Romeo");
    world.drain();

    // Its queue is full; and what was refused is not handled when it comes again.
    world.route(1, &message(ROMEO, "four"));
    world.route(1, &message(ROMEO, "five"));
    world.heard();
    let n = world.route(1, &message(ROMEO, "six"));
    let said = world.heard();
    assert!(said.contains("resource-constraint") && said.ends_with("handled 6"), "{said}");
    let refused = warren_xmpp::Stanza::parse(message(ROMEO, "six").as_bytes()).unwrap();
    world.kept.insert((Incarnation(1), n), refused);
    world.route_again(1, n);
    assert_eq!(world.owed(), [4, 5, 6], "behind those that wait");

    // The store does not take it.
    world.fail();
    world.commit();
    world.load();
    world.fail();
    let said = world.heard();
    assert!(said.contains("id='four'") && said.contains("resource-constraint"), "{said}");
    assert!(said.ends_with("handled 4"), "{said}");
    world.drain();
    let said = world.heard();
    assert!(said.contains(">five<") && !said.contains(">six<"), "{said}");
    assert_eq!(world.owed(), []);
    assert!(world.kept.is_empty());
}

#[test]
fn those_that_wait_for_the_room_are_no_repeats_of_one_that_found_no_place() {
    let mut world = World::with_couple(Settings { room_queue: 2, ..settings() });
    world.restart(site(None));
    for body in ["one", "two", "three"] {
        world.route(1, &message(ROMEO, body));
    }
    let said = world.heard();
    assert!(said.contains("id='three'") && said.ends_with("handled 3"), "{said}");
    world.drain();
    let said = world.heard();
    assert!(said.contains(">one<") && said.contains(">two<"), "{said}");
    assert_eq!(world.owed(), []);
}

#[test]
fn a_dead_shard_owes_nothing() {
    let mut world = World::with_couple(settings());
    world.route(1, &message(ROMEO, "one"));
    world.give(In::Fenced);
    world.commit();
    assert_eq!(world.heard(), "Dead");
    assert_eq!(world.owed(), [1]);
}
