//! What must hold after every input, as predicates over the state. Checked when a run-time flag says so:
//! always in stories, properties and the simulator.

use std::collections::BTreeSet;

use warren_model::{Row, Seq};

use crate::io::Effect;
use crate::room::Room;

/// Panics with the name of the predicate that does not hold.
pub(crate) fn check(room: &Room, effects: &[Effect]) {
    for (name, holds) in [
        ("every occupant has a session", every_occupant_has_a_session(room)),
        ("no full JID has two nicks here", one_nick_per_session(room)),
        ("the effects append to the log without a gap, up to its head", log_is_dense(room, effects)),
        ("nothing is shown before it is in the log", nothing_ahead_of_the_log(room, effects)),
        ("history is in order", history_is_ordered(room)),
        ("peers' occupants have a peering", no_orphans(room)),
    ] {
        assert!(holds, "{}: {name}", room.jid());
    }
}

fn every_occupant_has_a_session(room: &Room) -> bool {
    room.occupants.iter().all(|occupant| !occupant.sessions.is_empty())
}

fn one_nick_per_session(room: &Room) -> bool {
    let mut seen = BTreeSet::new();
    room.occupants
        .local()
        .flat_map(|occupant| &occupant.sessions)
        .all(|session| seen.insert(session.jid.clone()) && room.occupants.by_jid(&session.jid).is_some())
}

fn log_is_dense(room: &Room, effects: &[Effect]) -> bool {
    let appended: Vec<Seq> = effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Persist(Row::Log(row)) => Some(row.seq),
            _ => None,
        })
        .collect();
    appended.windows(2).all(|pair| pair[1] == pair[0].next()) && appended.last().is_none_or(|last| *last == room.head)
}

fn nothing_ahead_of_the_log(room: &Room, effects: &[Effect]) -> bool {
    effects.iter().all(|effect| match effect {
        Effect::Cast(cast) => cast.seq.is_none_or(|seq| seq <= room.head),
        Effect::Send { seq, .. } => seq.is_none_or(|seq| seq <= room.head),
        Effect::Group { version, .. } => *version <= room.head,
        _ => true,
    })
}

fn history_is_ordered(room: &Room) -> bool {
    room.history.iter().zip(room.history.iter().skip(1)).all(|(a, b)| a.row.seq < b.row.seq && a.row.at <= b.row.at)
}

fn no_orphans(room: &Room) -> bool {
    room.occupants.iter().filter_map(|occupant| occupant.peer()).all(|peer| room.peerings.contains_key(peer))
}
