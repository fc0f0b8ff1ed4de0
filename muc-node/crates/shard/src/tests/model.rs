//! Whatever the store does, in whatever order: what is released is what is stored, and every message is stored once
//! or refused.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use warren_model::{LogKind, Seq};
use warren_xmpp::cast::PathState;

use super::world::{ROOM, World, declared, room, settings};
use crate::{In, Settings};

#[derive(Clone, Debug)]
enum Op {
    Join(u8),
    Leave(u8),
    Show(u8, u8),
    Speak(u8),
    Ask(u8),
    Declare,
    Replay(u8),
    Path(u8, bool),
    Commit,
    Fail,
    Load,
    FailLoad,
    Read,
    FailRead,
    Pass(u16),
}

fn op() -> impl Strategy<Value = Op> {
    let user = 0..4_u8;
    prop_oneof![
        3 => user.clone().prop_map(Op::Join),
        2 => user.clone().prop_map(Op::Leave),
        2 => (user.clone(), 0..3_u8).prop_map(|(u, s)| Op::Show(u, s)),
        8 => user.clone().prop_map(Op::Speak),
        2 => user.clone().prop_map(Op::Ask),
        1 => Just(Op::Declare),
        1 => (0..2_u8).prop_map(Op::Replay),
        1 => (0..2_u8, any::<bool>()).prop_map(|(d, up)| Op::Path(d, up)),
        8 => Just(Op::Commit),
        4 => Just(Op::Fail),
        5 => Just(Op::Load),
        1 => Just(Op::FailLoad),
        3 => Just(Op::Read),
        1 => Just(Op::FailRead),
        2 => (0..3000_u16).prop_map(Op::Pass),
    ]
}

fn user(n: u8) -> (String, String) {
    (format!("user{n}@home{}.lit/phone", n % 2), format!("Nick{n}"))
}

fn run(ops: &[Op]) -> (World, u32) {
    let parked = Duration::from_secs(4);
    let idle = Duration::from_secs(3);
    let mut world = World::new(Settings { parked, idle, room_queue: 12, ..settings() });
    world.give(In::Declare(declared(ROOM, 1, 1)));
    world.drain();
    let (mut sent, mut generation) = (0, 1);
    for op in ops {
        match op {
            Op::Join(n) => {
                let (from, nick) = user(*n);
                world.join(&from, &nick);
            }
            Op::Leave(n) => {
                let (from, nick) = user(*n);
                world.stanza(&format!("<presence from='{from}' to='{ROOM}/{nick}' type='unavailable'/>"));
            }
            Op::Show(n, show) => {
                let ((from, nick), show) = (user(*n), ["away", "xa", "dnd"][usize::from(*show)]);
                world.stanza(&format!("<presence from='{from}' to='{ROOM}/{nick}'><show>{show}</show></presence>"));
            }
            Op::Speak(n) => {
                sent += 1;
                world.speak(&user(*n).0, &format!("m{sent}-"));
            }
            Op::Ask(n) => world.iq(&user(*n).0, "ask"),
            Op::Declare => {
                generation += 1;
                world.give(In::Declare(declared(ROOM, 1, generation)));
            }
            Op::Replay(d) => {
                world.give(In::Replay { room: room(ROOM), remote: format!("home{d}.lit").into(), after: Seq(0) });
            }
            Op::Path(d, up) => {
                let state = if *up { PathState::Up } else { PathState::Suspect };
                world.give(In::Path { remote: format!("home{d}.lit").into(), state });
            }
            Op::Commit => drop(world.commit()),
            Op::Fail => drop(world.fail()),
            Op::Load => drop(world.load()),
            Op::FailLoad => drop(world.fail_load()),
            Op::Read => drop(world.read()),
            Op::FailRead => drop(world.fail_read()),
            Op::Pass(ms) => world.pass(Duration::from_millis(u64::from(*ms))),
        }
    }
    // In the end the store works.
    world.drain();
    for _ in 0..50 {
        if !world.next() {
            break;
        }
        world.drain();
    }
    (world, sent)
}

fn check(ops: &[Op]) {
    let (world, sent) = run(ops);
    assert_eq!(world.shard.queued_bytes(), 0);
    assert_eq!(world.shard.next_deadline(), None);
    assert!(world.queue.is_empty() && world.loads.is_empty() && world.reads.is_empty());

    // Each row of the log was shown, in order; some by more than one cast, next to each other.
    let log = world.log(ROOM);
    let mut shown = world.shown.values().flatten().copied().collect::<Vec<_>>();
    shown.dedup();
    assert!(shown.is_sorted(), "{shown:?}");
    let messages = log.iter().filter(|row| row.kind == LogKind::Message);
    for row in messages {
        assert!(shown.contains(&row.seq), "{row:?} was never shown");
    }

    // Each message is in the log once or its sender knows that it is not.
    for n in 1..=sent {
        let id = format!("id='m{n}-'");
        let (bodies, known) = (format!(">m{n}-<"), format!("m{n}-"));
        let stored = log.iter().filter(|row| row.kind == LogKind::Message && contains(&row.payload, &known)).count();
        let refused = world.said.iter().filter(|said| said.contains(&id) && said.contains("type='error'")).count();
        let live = world
            .trace
            .iter()
            .filter(|line| line.starts_with("Release") && line.contains("only: None") && line.contains(&bodies))
            .count();
        assert_eq!(stored + refused, 1, "message {n}: stored {stored} times, refused {refused} times");
        assert!(live >= stored, "message {n} was stored and not shown");
    }

    // What was asked to be replayed was.
    for remote in ["home0.lit", "home1.lit"] {
        let marks = |mark: &str| {
            let mark = format!("Replay {{ remote: \"{remote}\", mark: {mark} }}");
            world.said.iter().rposition(|said| *said == mark)
        };
        let asked = ops.iter().any(|op| matches!(op, Op::Replay(d) if remote == format!("home{d}.lit")));
        assert!(!asked || marks("End").is_some(), "{remote} waits for its replay");
        assert!(marks("Start") <= marks("End"));
    }

    // What the room believes is what the store holds.
    if let Some(room) = world.shard.room(&room(ROOM)) {
        let mut roster: Vec<_> = room.roster().into_iter().map(|(nick, jid, ..)| (nick, jid.to_string())).collect();
        let mut stored = world.stored_sessions(ROOM);
        roster.sort();
        stored.sort();
        assert_eq!(roster, stored);
        assert_eq!(room.head(), log.last().map_or(Seq(0), |row| row.seq));
    } else {
        assert_eq!(world.stored_sessions(ROOM), []);
    }
}

fn contains(bytes: &[u8], what: &str) -> bool {
    bytes.windows(what.len()).any(|window| window == what.as_bytes())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn what_is_released_is_what_is_stored(ops in vec(op(), 1..120)) {
        check(&ops);
    }

    #[test]
    fn the_same_inputs_give_the_same_outputs(ops in vec(op(), 1..60)) {
        prop_assert_eq!(run(&ops).0.trace, run(&ops).0.trace);
    }
}
