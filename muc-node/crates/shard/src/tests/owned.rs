//! Shards come and go while stanzas do.

use std::sync::Arc;
use std::time::Duration;

use warren_model::{Epoch, Seq, Shard};
use warren_xmpp::cast::PathState;

use super::world::{ROOM, World, declared, message, room, settings, shard, site};
use crate::{Epochs, In};

const ROMEO: &str = "romeo@montague.lit/garden";
const JULIET: &str = "juliet@capulet.lit/window";

fn show(world: &mut World, show: &str) {
    world.stanza(&format!("<presence from='{ROMEO}' to='{ROOM}/Romeo'><show>{show}</show></presence>"));
}

fn frozen() -> String {
    format!("Frozen({:?})", shard())
}

#[test]
fn epochs_are_of_what_is_ours() {
    let last = Shard(warren_model::ids::SHARDS - 1);
    assert_eq!((Epochs::all(Epoch(3)).of(last), Epochs::none().of(last)), (Some(Epoch(3)), None));
    let some = Epochs::each([Epoch(7), Epoch(8)]);
    assert_eq!([0, 1, 2].map(|n| some.of(Shard(n))), [Some(Epoch(7)), Some(Epoch(8)), None]);
}

#[test]
fn what_is_decided_is_released_before_a_shard_stands_still() {
    let mut world = World::with_couple(settings());
    show(&mut world, "away");
    world.heard();
    world.route(1, &message(ROMEO, "one"));
    show(&mut world, "xa");
    world.give(In::Freeze(vec![shard()]));
    assert_eq!(world.queue.len(), 2, "what may wait does not any more");
    assert_eq!(world.heard(), "");

    world.speak(JULIET, "two");
    world.route(1, &message(ROMEO, "three"));
    world.give(In::Declare(declared(ROOM, 1, 2)));
    world.give(In::Freeze(vec![shard()]));
    world.commit();
    let said = world.heard();
    assert!(said.contains(">one<") && said.contains("handled 1") && said.contains("<show>xa</show>"), "{said}");
    world.commit();
    assert_eq!(world.heard(), frozen());
    assert!(world.queue.is_empty());
    world.give(In::Flush);
    world.pass(Duration::from_secs(5));
    assert_eq!(world.heard(), "");

    world.give(In::Disown(vec![shard()]));
    assert_eq!(world.heard(), "back: two", "its source keeps the other one");
    assert_eq!((world.shard.rooms().count(), world.shard.queued_bytes(), world.shard.next_deadline()), (0, 0, None));

    // The next owner has them all.
    world.restart(site(None));
    world.give_back();
    world.route_again(1, 0);
    world.drain();
    let said = world.heard();
    assert!(said.contains(">two<") && said.contains(">three<") && !said.contains(">one<"), "{said}");
    assert!(said.ends_with("handled 2"), "{said}");
}

#[test]
fn a_shard_that_stays_after_all_goes_on_where_it_was() {
    let mut world = World::with_couple(settings());
    world.give(In::Replay { room: room(ROOM), remote: "montague.lit".into(), after: Seq(1) });
    world.give(In::Freeze(vec![shard()]));
    assert!(world.heard().ends_with(&frozen()), "nobody waits for a replay");
    world.read();
    world.give(In::Replay { room: room(ROOM), remote: "capulet.lit".into(), after: Seq(0) });
    world.give(In::Path { remote: "montague.lit".into(), state: PathState::Down });
    world.give(In::Site(Arc::new(site(Some(false)))));
    world.speak(JULIET, "one");
    world.route(1, &message(ROMEO, "two"));
    world.give(In::Declare(declared(ROOM, 1, 2)));
    assert_eq!((world.heard().as_str(), world.queue.len(), world.reads.len()), ("", 0, 0));
    assert_eq!(world.shard.next_deadline(), Some(world.now + Duration::from_secs(12)), "only those who wait");

    world.give(In::Thaw(vec![shard()]));
    world.pass(Duration::ZERO);
    world.drain();
    let said = world.heard();
    let at = |what: &str| said.find(what).unwrap_or_else(|| panic!("{what} in {said}"));
    assert!(at(">one<") < at(">two<") && at(">two<") < at("generation: Generation(2)"), "{said}");
    for remote in ["montague.lit", "capulet.lit"] {
        at(&format!("Replay {{ remote: \"{remote}\", mark: End }}"));
    }
    assert_eq!(world.owed(), []);
    assert!(world.shard.next_deadline().is_some(), "the room knows that somebody cannot be reached");
    world.give(In::Path { remote: "montague.lit".into(), state: PathState::Up });
    assert_eq!(world.shard.next_deadline(), None);

    // It can be frozen again, and says so again; and again it hears what it has missed.
    world.give(In::Path { remote: "montague.lit".into(), state: PathState::Down });
    world.give(In::Freeze(vec![shard()]));
    world.give(In::Path { remote: "montague.lit".into(), state: PathState::Up });
    assert!(world.heard().ends_with(&frozen()));
    world.give(In::Thaw(vec![shard()]));
    assert_eq!(world.shard.next_deadline(), None);
}

#[test]
fn a_ticket_may_fail_in_a_shard_that_is_frozen() {
    let mut world = World::with_couple(settings());
    world.route(1, &message(ROMEO, "one"));
    world.give(In::Freeze(vec![shard()]));
    world.fail();
    assert_eq!(world.heard(), frozen(), "what it decided is not so, and nobody is told that it is");
    assert!(world.loads.is_empty());
    world.give(In::Thaw(vec![shard()]));
    world.drain();
    let said = world.heard();
    assert!(said.contains(">one<") && said.ends_with("handled 1"), "{said}");

    // What may wait is not forgotten: the room is loaded to write it.
    show(&mut world, "dnd");
    world.heard();
    world.give(In::Freeze(vec![shard()]));
    world.fail();
    assert_eq!(world.loads.len(), 1);
    world.fail_load();
    assert_eq!(world.heard(), "");
    world.pass(Duration::from_secs(1));
    world.load();
    assert_eq!(world.queue.len(), 1);
    world.commit();
    assert!(world.heard().ends_with(&frozen()));
}

#[test]
fn only_what_is_ours_is_frozen() {
    let mut world = World::new(settings());
    world.give(In::Freeze(vec![shard()]));
    assert_eq!(world.heard(), frozen(), "nobody is in memory");
    world.join(ROMEO, "Romeo");
    world.give(In::Wake { room: room(ROOM) });
    assert!(world.loads.is_empty());
    world.give(In::Thaw(vec![shard()]));
    assert_eq!(world.loads.len(), 1);

    // The answer comes into a frozen shard: the room is not there, but it is not ours to say so.
    world.give(In::Freeze(vec![shard()]));
    world.heard();
    world.load();
    assert_eq!(world.heard(), "");
    world.pass(Duration::from_secs(12));
    assert!(world.heard().contains("remote-server-timeout"));

    world.give(In::Disown(vec![shard()]));
    world.give(In::Freeze(vec![shard()]));
    world.give(In::Thaw(vec![shard()]));
    assert_eq!(world.heard(), "");
}

#[test]
fn what_is_not_ours_is_ignored() {
    let mut world = World::with_couple(settings());
    world.give(In::Disown(vec![shard()]));
    world.give(In::Wake { room: room(ROOM) });
    world.give(In::Declare(declared(ROOM, 1, 2)));
    world.give(In::Withdraw { room: room(ROOM), destroy: true, reason: None });
    world.give(In::Replay { room: room(ROOM), remote: "capulet.lit".into(), after: Seq(0) });
    world.route(1, &message(ROMEO, "one"));
    assert_eq!((world.heard().as_str(), world.loads.len()), ("", 0));
    world.speak(ROMEO, "two");
    assert_eq!(world.heard(), "back: two");
    world.own();
    world.give_back();
    world.route_again(1, 0);
    world.drain();
    let said = world.heard();
    assert!(said.contains(">one<") && said.contains(">two<"), "{said}");
}

#[test]
fn what_the_store_calls_somebody_elses_is_not_refused() {
    let mut world = World::with_couple(settings());
    world.route(1, &message(ROMEO, "one"));
    world.route(1, &message(ROMEO, "two"));
    world.speak(JULIET, "three");
    world.heard();
    let first = world.queue.pop_front().unwrap().ticket;
    let second = world.queue.pop_front().unwrap().ticket;
    world.give(In::Disowned { ticket: first });
    world.give(In::Failed { ticket: second, why: "an earlier write failed".into() });
    assert_eq!(world.heard(), format!("Disowned({:?})\nback: three", shard()));
    assert_eq!(world.owed(), [1, 2], "their source keeps them");
    assert_eq!((world.shard.rooms().count(), world.shard.queued_bytes(), world.shard.next_deadline()), (0, 0, None));
    world.route(1, &message(ROMEO, "four"));
    assert_eq!((world.heard().as_str(), world.loads.len()), ("", 0));
}

#[test]
fn answers_that_come_too_late_change_nothing() {
    let mut world = World::with_couple(settings());
    world.give(In::Replay { room: room(ROOM), remote: "montague.lit".into(), after: Seq(0) });
    world.route(1, &message(ROMEO, "one"));
    world.speak(JULIET, "two");
    show(&mut world, "xa");
    world.heard();
    world.give(In::Disown(vec![shard()]));
    let late: Vec<_> = std::iter::from_fn(|| world.commit_silently()).collect();
    assert_eq!(late.len(), 2);
    for answer in late {
        world.give(answer);
    }
    world.read();
    world.give(In::Tick);
    assert_eq!((world.heard().as_str(), world.owed()), ("", vec![1]), "what a room has taken is not given back");
    assert_eq!((world.shard.queued_bytes(), world.shard.next_deadline()), (0, None));

    world.own();
    world.route_again(1, 0);
    world.drain();
    let said = world.heard();
    assert!(said.ends_with("handled 1") && !said.contains("cast"), "{said}");
}

#[test]
fn a_room_that_is_loaded_for_its_last_owner_is_not_taken_by_the_next() {
    let mut world = World::with_couple(settings());
    world.restart(site(None));
    world.give(In::Wake { room: room(ROOM) });
    world.speak(JULIET, "one");
    world.own();
    assert_eq!(world.heard(), "back: one");
    world.give(In::Wake { room: room(ROOM) });
    assert_eq!(world.loads.len(), 1, "the store has not answered the last one");
    world.loads.clear();
    world.give(In::Loaded { room: room(ROOM), rows: None });
    assert_eq!(world.loads.len(), 1, "the answer was too old");
    world.give_back();
    world.drain();
    assert!(world.heard().contains(">one<"));

    // The same when it goes twice, and when nobody wants it when the answer comes.
    world.restart(site(None));
    world.give(In::Wake { room: room(ROOM) });
    world.own();
    world.give(In::Wake { room: room(ROOM) });
    world.own();
    assert_eq!(world.loads.len(), 1);
    world.fail_load();
    assert_eq!((world.loads.len(), world.shard.next_deadline()), (0, None));
    world.give(In::Wake { room: room(ROOM) });
    world.drain();
    assert_eq!(world.shard.rooms().count(), 1);
}

#[test]
fn a_shard_is_owned_under_its_highest_epoch() {
    let mut world = World::with_couple(settings());
    world.give(In::Own(vec![(shard(), Epoch(9)), (shard(), Epoch(8))]));
    assert_eq!(world.shard.rooms().count(), 1, "it is known");
    world.own();
    assert_eq!(world.shard.rooms().count(), 0, "what it was may not be so");
    world.speak(ROMEO, "one");
    world.drain();
    assert!(world.heard().contains(">one<"));
    assert_eq!(world.log(ROOM).last().unwrap().epoch, Epoch(10));
}

#[test]
fn other_shards_do_not_notice() {
    let mut world = World::new(settings());
    let (a, b) = ("a@rooms.lit", "b@rooms.lit");
    assert_ne!(Shard::of(&room(a)), Shard::of(&room(b)));
    for (name, birth) in [(a, 1), (b, 2)] {
        world.give(In::Declare(declared(name, birth, 1)));
        world.join_at(name, ROMEO, "Romeo");
    }
    world.load();
    world.load();
    world.give(In::Freeze(vec![Shard::of(&room(a))]));
    world.give(In::Disown(vec![Shard::of(&room(a))]));
    world.drain();
    let said = world.heard();
    assert!(said.contains(b) && !said.contains(a), "{said}");
    assert_eq!(world.shard.rooms().map(|room| room.jid().to_string()).collect::<Vec<_>>(), [b]);
}
