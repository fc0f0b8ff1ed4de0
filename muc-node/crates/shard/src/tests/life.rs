//! Loading, parking, declaring, ending, forgetting.

use std::time::Duration;

use std::sync::Arc;

use warren_model::{FederationConfig, RoomConfig, Uplink};
use warren_room::Declared;

use super::world::{ROOM, World, declared, room, settings, site};
use crate::{Breakage, In, Settings};

const ROMEO: &str = "romeo@montague.lit/garden";

#[test]
fn a_room_that_does_not_exist_is_not_made_by_joining() {
    let mut world = World::new(settings());
    world.join(ROMEO, "Romeo");
    world.speak(ROMEO, "hello");
    world.iq(ROMEO, "q");
    world.stanza(&format!("<presence from='{ROMEO}' to='{ROOM}/Romeo' type='unavailable'/>"));
    world.stanza(&format!("<iq from='{ROMEO}' to='{ROOM}' type='result' id='r'/>"));
    world.stanza(&format!("<message from='{ROMEO}' to='{ROOM}' type='error' id='e'/>"));
    assert_eq!(world.loads.len(), 1);
    assert_eq!(world.heard(), "");
    world.load();
    let said = world.heard();
    let said: Vec<_> = said.lines().collect();
    assert_eq!(said.len(), 3);
    assert!(said[0].contains("not-allowed") && said[0].contains("type='cancel'"));
    assert!(said[1].contains("item-not-found") && said[2].contains("item-not-found"));
    assert_eq!((world.shard.next_deadline(), world.shard.queued_bytes()), (None, 0));
}

#[test]
fn a_request_waits_for_a_room_so_long_and_no_longer() {
    let mut world = World::with_couple(Settings { idle: Duration::ZERO, ..settings() });
    for (from, nick) in [(ROMEO, "Romeo"), ("juliet@capulet.lit/window", "Juliet")] {
        world.stanza(&format!("<presence from='{from}' to='{ROOM}/{nick}' type='unavailable'/>"));
    }
    world.drain();
    world.pass(Duration::ZERO);
    assert!(world.shard.room(&room(ROOM)).is_none(), "idle rooms are forgotten");
    world.heard();

    world.join(ROMEO, "Romeo");
    assert_eq!(world.loads.len(), 1);
    world.fail_load();
    world.pass(Duration::from_secs(1));
    assert_eq!(world.loads.len(), 1, "it is tried again");
    world.speak(ROMEO, "late");
    world.pass(Duration::from_secs(11));
    let said = world.heard();
    assert!(said.contains("join-Romeo") && said.contains("remote-server-timeout") && said.contains("type='wait'"));
    assert!(!said.contains("late"));
    world.pass(Duration::from_secs(1));
    assert!(world.heard().contains("id='late'"));
    assert_eq!(world.shard.queued_bytes(), 0);
    world.load();
    world.drain();
    assert_eq!(world.heard(), "Regroup", "what was answered is not handled any more");
    assert_eq!(world.stored_sessions(ROOM).len(), 0);
}

#[test]
fn a_store_that_is_down_ends_in_wait() {
    let mut world = World::with_couple(settings());
    world.speak(ROMEO, "one");
    world.fail();
    world.fail_load();
    for _ in 0..20 {
        world.pass(Duration::from_secs(1));
        world.fail_load();
    }
    let said = world.heard();
    assert!(said.contains("id='one'") && said.contains("remote-server-timeout"), "{said}");
    world.pass(Duration::from_secs(1));
    world.drain();
    assert!(world.shard.room(&room(ROOM)).is_some(), "its occupants are waiting");
}

#[test]
fn declarations_are_applied_when_they_are_durable() {
    let mut world = World::with_couple(settings());
    world.give(In::Declare(declared(ROOM, 2, 3)));
    assert_eq!(world.heard(), "");
    world.commit();
    assert!(world.heard().contains("generation: Generation(3)"));
    world.give(In::Declare(declared(ROOM, 2, 3)));
    world.give(In::Declare(declared(ROOM, 2, 2)));
    assert!(world.queue.is_empty(), "nothing new");
    assert_eq!(world.heard().matches("Generation(3)").count(), 2, "the one in force");
    world.give(In::Withdraw { room: room(ROOM), destroy: false, reason: None });
    world.drain();
    assert_eq!(world.shard.room(&room(ROOM)).unwrap().declared_by().0, "");
    world.give(In::Declare(declared(ROOM, 2, 4)));
    world.drain();
    assert!(world.heard().contains("Generation(4)"));
}

#[test]
fn a_destroyed_room_is_gone_and_its_address_is_free() {
    let mut world = World::with_couple(settings());
    let first = world.id(ROOM).unwrap();
    world.give(In::Withdraw { room: room(ROOM), destroy: true, reason: Some("dawn".into()) });
    world.speak(ROMEO, "too late");
    assert_eq!(world.heard(), "");
    world.commit();
    let said = world.heard();
    assert!(said.contains("dawn") && said.ends_with("Close"), "{said}");
    assert_eq!(world.loads.len(), 1);
    world.load();
    assert!(world.heard().contains("item-not-found"));
    assert_eq!(world.shard.rooms().count(), 0);

    world.give(In::Declare(declared(ROOM, 2, 1)));
    world.join(ROMEO, "Romeo");
    world.drain();
    assert_ne!(world.id(ROOM), Some(first));
    assert_eq!(world.stored_sessions(ROOM).len(), 1);

    // A destruction that fails has not happened.
    world.give(In::Withdraw { room: room(ROOM), destroy: true, reason: None });
    world.speak(ROMEO, "still");
    world.heard();
    world.fail();
    world.load();
    let said = world.heard();
    assert!(said.starts_with("Regroup\ngroup montague.lit Reset([") && said.lines().count() == 2, "{said}");
    world.drain();
    assert!(world.heard().contains("Close"));
}

#[test]
fn a_room_without_anybody_leaves_the_memory() {
    let idle = Duration::from_mins(5);
    let mut world = World::new(Settings { idle, ..settings() });
    world.give(In::Declare(declared(ROOM, 1, 1)));
    world.drain();
    world.pass(idle / 2);
    world.iq(ROMEO, "q");
    world.pass(idle / 2);
    assert!(world.shard.room(&room(ROOM)).is_some());
    world.join(ROMEO, "Romeo");
    world.drain();
    assert_eq!(world.shard.next_deadline(), None, "a room with somebody in it costs no timer");
    world.pass(idle * 2);
    world.stanza(&format!("<presence from='{ROMEO}' to='{ROOM}/Romeo' type='unavailable'/>"));
    world.drain();
    assert!(world.next());
    assert_eq!(world.shard.rooms().count(), 0);
    assert_eq!(world.shard.next_deadline(), None);
}

#[test]
fn rooms_do_not_wait_for_each_other() {
    let mut world = World::new(settings());
    for (name, birth) in [("a@rooms.lit", 1), ("b@rooms.lit", 2)] {
        world.give(In::Declare(declared(name, birth, 1)));
        world.drain();
    }
    world.join_at("a@rooms.lit", ROMEO, "Romeo");
    world.join_at("b@rooms.lit", ROMEO, "Romeo");
    world.heard();
    world.fail();
    assert!(!world.heard().contains("b@"));
    world.commit();
    assert!(world.heard().contains("b@rooms.lit"));
    assert_eq!(world.shard.rooms().map(|room| room.jid().to_string()).collect::<Vec<_>>(), ["b@rooms.lit"]);
    world.drain();
    assert_eq!(world.shard.rooms().count(), 2);
}

/// Declares the room with an uplink, and lets Romeo in.
fn join_with_uplink(world: &mut World) {
    let uplink = Uplink { room: room("balcony@rooms.verona.lit") };
    let federation = Some(FederationConfig { uplink: Some(uplink), ..FederationConfig::default() });
    let declared = declared(ROOM, 1, 1);
    let config = Arc::new(RoomConfig { federation, ..(*declared.config).clone() });
    world.give(In::Site(Arc::new(site(Some(false)))));
    world.give(In::Declare(Declared { config, ..declared }));
    world.drain();
    world.heard();
    world.join(ROMEO, "Romeo");
}

#[test]
fn peers_hear_nothing_before_it_is_durable() {
    let mut world = World::new(settings());
    join_with_uplink(&mut world);
    assert_eq!(world.heard(), "");
    world.drain();
    assert!(world.heard().contains("Peer { peer: BareJid(\"balcony@rooms.verona.lit\")"));

    let breakage = Breakage { h_before_commit: true, ..Breakage::default() };
    let mut world = World::new(Settings { breakage, ..settings() });
    join_with_uplink(&mut world);
    let said = world.heard();
    assert!(said.starts_with("Peer") && !said.contains("cast"), "{said}");
}

#[test]
fn a_peer_that_was_suspended_meanwhile_stays_so_when_the_room_is_loaded() {
    let mut world = World::new(settings());
    join_with_uplink(&mut world);
    world.drain();
    world.restart(site(Some(true)));
    world.give(In::Wake { room: room(ROOM) });
    world.heard();
    world.drain();
    let said = world.heard();
    assert!(said.contains("unavailable"), "{said}");
    for _ in 0..5 {
        world.next();
        world.drain();
    }
    let later = world.heard();
    assert!(!later.contains("Peer"), "{later}");
}
