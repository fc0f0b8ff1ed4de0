//! Whoever holds the groups is new: what rooms say then, and what they forget.

use std::time::Duration;

use warren_model::Seq;
use warren_xmpp::cast::PathState;

use super::world::{ROOM, World, room, settings, shard};
use crate::In;

const ROMEO: &str = "romeo@montague.lit/garden";
const JULIET: &str = "juliet@capulet.lit/window";

fn replay(world: &mut World, after: u64) {
    world.give(In::Replay { room: room(ROOM), remote: "capulet.lit".into(), after: Seq(after) });
}

/// What a room says of two groups.
fn is_stated(said: &str) -> bool {
    let lines: Vec<_> = said.lines().collect();
    let group = |line: &str, remote: &str| line.starts_with(&format!("group {remote} Reset([Member"));
    matches!(lines[..], ["Regroup", a, b] if group(a, "capulet.lit") && group(b, "montague.lit"))
}

#[test]
fn groups_are_stated_behind_what_waits() {
    let mut world = World::with_couple(settings());
    world.give(In::Regroup);
    assert!(is_stated(&world.heard()));

    world.speak(ROMEO, "one");
    world.give(In::Regroup);
    world.speak(ROMEO, "two");
    assert_eq!(world.heard(), "");
    world.commit();
    let said = world.heard();
    let (one, stated) = said.split_once('\n').unwrap();
    assert!(one.contains(">one<") && is_stated(stated), "{said}");
    world.commit();
    assert!(world.heard().contains(">two<"));
}

#[test]
fn a_replay_that_runs_is_forgotten_and_the_next_one_is_not_mistaken_for_it() {
    let mut world = World::with_couple(settings());
    replay(&mut world, 0);
    assert_eq!(world.reads.len(), 1);
    world.give(In::Regroup);
    world.heard();
    world.speak(ROMEO, "one");
    world.commit();
    assert!(world.heard().contains(">one<"));
    world.read();
    assert_eq!((world.heard().as_str(), world.replayed.len()), ("", 0), "of the replay that was stopped");

    // It does not come back with the room either.
    replay(&mut world, 0);
    world.give(In::Regroup);
    world.speak(ROMEO, "two");
    world.fail();
    world.heard();
    world.drain();
    let said = world.heard();
    assert!(!said.contains("Replay") && said.contains(">two<"), "{said}");

    // The one that is asked for then runs to its end, once.
    replay(&mut world, 2);
    world.drain();
    let said = world.heard();
    assert_eq!((said.matches("mark: Start").count(), said.matches("mark: End").count()), (1, 1), "{said}");
    assert_eq!(world.replayed, [Seq(3), Seq(4)]);
}

#[test]
fn a_replay_that_ends_behind_the_barrier_does_not_end_the_next_one() {
    let mut world = World::with_couple(settings());
    replay(&mut world, 0);
    world.speak(ROMEO, "one");
    // Its last page comes while a commit is under way, so its end waits.
    world.read();
    assert!(!world.heard().contains("mark: End"));
    world.give(In::Regroup);
    replay(&mut world, 1);
    world.commit();
    world.speak(ROMEO, "two");
    world.fail();
    world.drain();
    let said = world.heard();
    let last = |mark: &str| said.rfind(mark).unwrap_or_else(|| panic!("{mark} in {said}"));
    assert!(last("Regroup") < last("mark: Start") && last("mark: Start") < last("mark: End"), "{said}");
}

#[test]
fn rooms_that_are_not_there_state_their_groups_when_they_come() {
    let mut world = World::with_couple(settings());
    replay(&mut world, 0);
    world.speak(ROMEO, "one");
    world.fail();
    world.give(In::Regroup);
    world.heard();
    world.load();
    world.give(In::Regroup);
    world.drain();
    let said = world.heard();
    assert!(said.starts_with("Regroup\ngroup ") && said.contains(">one<") && !said.contains("Replay"), "{said}");
    assert_eq!(said.matches("Regroup").count(), 2, "{said}");
}

#[test]
fn a_frozen_shard_states_its_groups_all_the_same() {
    let mut world = World::with_couple(settings());
    world.speak(ROMEO, "one");
    world.give(In::Freeze(vec![shard()]));
    replay(&mut world, 0);
    world.give(In::Regroup);
    world.commit();
    let said = world.heard();
    assert!(said.contains("Regroup") && said.ends_with(&format!("Frozen({:?})", shard())), "{said}");
    world.give(In::Regroup);
    assert!(is_stated(&world.heard()));
    world.give(In::Thaw(vec![shard()]));
    world.drain();
    assert_eq!(world.heard(), "", "the replay was asked for by somebody who is gone");
}

#[test]
fn all_paths_at_once_replace_what_was_known() {
    let mut world = World::with_couple(settings());
    let grace = Duration::from_mins(10);
    let paths =
        |all: &[(&str, PathState)]| In::Paths(all.iter().map(|(remote, state)| ((*remote).into(), *state)).collect());
    world.give(paths(&[("montague.lit", PathState::Down), ("escalus.lit", PathState::Down)]));
    assert_eq!(world.shard.next_deadline(), Some(world.now + grace));
    let due = world.now + grace;
    world.pass(grace / 2);
    // What stays as it was is not told again, so the time goes on.
    world.give(paths(&[("montague.lit", PathState::Down), ("capulet.lit", PathState::Suspect)]));
    assert_eq!(world.shard.next_deadline(), Some(due));
    world.give(paths(&[("capulet.lit", PathState::Down), ("verona.lit", PathState::Up)]));
    assert_eq!(world.shard.next_deadline(), Some(world.now + grace), "montague.lit is Up again");
    // Who comes from where it is Up now is not thought to be lost.
    world.give(paths(&[]));
    world.join("prince@escalus.lit/throne", "Prince");
    world.join("nurse@verona.lit/throne", "Nurse");
    world.speak(JULIET, "hello");
    world.drain();
    assert_eq!(world.shard.next_deadline(), None);
}
