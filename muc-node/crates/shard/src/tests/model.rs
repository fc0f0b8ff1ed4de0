//! Whatever the store does, in whatever order: what is released is what is stored, and every message is stored once
//! or refused.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use warren_model::{LogKind, Seq};
use warren_xmpp::cast::PathState;

use super::world::{ROOM, World, declared, message, room, settings, shard, site};
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
    /// All paths, each Up or not; groups are stated anew, and replays are asked for where something may be missing.
    Attach(bool, bool),
    Commit,
    Fail,
    Load,
    FailLoad,
    Read,
    FailRead,
    Pass(u16),
    /// A source sends again what it does not know to be handled, all or the newer half.
    Again(u8, bool),
    /// The pod dies, perhaps after some commits of which it did not hear, and another one goes on.
    FailOver(u8),
    /// The same within one pod: the shard goes, and comes back before the answers about its tickets do.
    Seize(u8),
    Freeze,
    Thaw,
    /// A planned move, to the same pod.
    Move,
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
        1 => (any::<bool>(), any::<bool>()).prop_map(|(a, b)| Op::Attach(a, b)),
        8 => Just(Op::Commit),
        4 => Just(Op::Fail),
        5 => Just(Op::Load),
        1 => Just(Op::FailLoad),
        3 => Just(Op::Read),
        1 => Just(Op::FailRead),
        2 => (0..3000_u16).prop_map(Op::Pass),
        2 => (0..2_u8, any::<bool>()).prop_map(|(source, all)| Op::Again(source, all)),
        1 => (0..3_u8).prop_map(Op::FailOver),
        1 => (0..3_u8).prop_map(Op::Seize),
        2 => Just(Op::Freeze),
        3 => Just(Op::Thaw),
        1 => Just(Op::Move),
    ]
}

fn user(n: u8) -> (String, String) {
    (format!("user{n}@home{}.lit/phone", n % 2), format!("Nick{n}"))
}

/// What came of a run.
struct Ran {
    world: World,
    /// Who said which message.
    spoken: Vec<u8>,
    /// How much had been said, and the newest row, when the pod that is there took over.
    since: Option<(usize, Seq)>,
    /// Messages that may have been refused by a pod that died before it said so.
    overtaken: Vec<String>,
    /// How much had been said when the owner that is there began.
    begun: usize,
}

/// The room has another owner: who was sent to the last one goes to this one.
fn begin(world: &mut World) -> usize {
    let begun = world.said.len();
    // Whether it is a repeat is known when it is there.
    world.give(In::Wake { room: room(ROOM) });
    while world.load() {}
    world.give_back();
    world.route_again(0, 0);
    world.route_again(1, 0);
    begun
}

/// Who routes the stanzas of a user; one user's come from nowhere.
fn source(user: u8) -> Option<u128> {
    (user < 3).then_some(u128::from(user % 2))
}

fn send(world: &mut World, user: u8, xml: &str) {
    match source(user) {
        Some(source) => drop(world.route(source, xml)),
        None => world.stanza(xml),
    }
}

fn run(ops: &[Op]) -> Ran {
    let parked = Duration::from_secs(4);
    let idle = Duration::from_secs(3);
    let mut world = World::new(Settings { parked, idle, room_queue: 12, ..settings() });
    world.give(In::Declare(declared(ROOM, 1, 1)));
    world.drain();
    let (mut spoken, mut generation, mut since, mut overtaken) = (Vec::new(), 1, None, Vec::new());
    let mut begun = 0;
    for op in ops {
        match op {
            Op::Join(n) => {
                let (from, nick) = user(*n);
                let x = "<x xmlns='http://jabber.org/protocol/muc'/>";
                send(&mut world, *n, &format!("<presence from='{from}' to='{ROOM}/{nick}'>{x}</presence>"));
            }
            Op::Leave(n) => {
                let (from, nick) = user(*n);
                send(&mut world, *n, &format!("<presence from='{from}' to='{ROOM}/{nick}' type='unavailable'/>"));
            }
            Op::Show(n, show) => {
                let ((from, nick), show) = (user(*n), ["away", "xa", "dnd"][usize::from(*show)]);
                let show = format!("<show>{show}</show>");
                send(&mut world, *n, &format!("<presence from='{from}' to='{ROOM}/{nick}'>{show}</presence>"));
            }
            Op::Speak(n) => {
                spoken.push(*n);
                send(&mut world, *n, &message(&user(*n).0, &format!("m{}-", spoken.len())));
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
            Op::Attach(first, second) => {
                let states = [*first, *second].map(|up| if up { PathState::Up } else { PathState::Suspect });
                let paths = (0..).zip(states).map(|(d, state): (u8, _)| (format!("home{d}.lit").into(), state));
                world.give(In::Paths(paths.collect()));
                world.give(In::Regroup);
                begun = world.said.len();
            }
            Op::Commit => drop(world.commit()),
            Op::Fail => drop(world.fail()),
            Op::Load => drop(world.load()),
            Op::FailLoad => drop(world.fail_load()),
            Op::Read => drop(world.read()),
            Op::FailRead => drop(world.fail_read()),
            Op::Pass(ms) => world.pass(Duration::from_millis(u64::from(*ms))),
            Op::Again(source, all) => {
                let kept: Vec<u64> =
                    world.kept.keys().filter(|(of, _)| of.0 == u128::from(*source)).map(|(_, n)| *n).collect();
                let from = kept.get(if *all { 0 } else { kept.len() / 2 }).copied();
                world.route_again(u128::from(*source), from.unwrap_or(u64::MAX));
            }
            Op::FailOver(unheard) => {
                for _ in 0..*unheard {
                    drop(world.commit_silently());
                }
                overtaken.extend(world.overtaken());
                world.restart(site(None));
                since = Some((world.said.len(), world.log(ROOM).last().map_or(Seq(0), |row| row.seq)));
                begun = begin(&mut world);
            }
            Op::Seize(committed) => {
                let mut late = Vec::new();
                for _ in 0..*committed {
                    late.extend(world.commit_silently());
                }
                let lost = world.queue.drain(..).map(|lost| lost.ticket);
                late.extend(lost.map(|ticket| In::Failed { ticket, why: "it was not ours any more".into() }));
                overtaken.extend(world.overtaken());
                world.own();
                since = Some((world.said.len(), world.log(ROOM).last().map_or(Seq(0), |row| row.seq)));
                for answer in late {
                    world.give(answer);
                }
                assert_eq!(world.said[since.unwrap_or_default().0..], [""; 0], "answers that nobody waits for");
                begun = begin(&mut world);
            }
            Op::Freeze => world.give(In::Freeze(vec![shard()])),
            Op::Thaw => world.give(In::Thaw(vec![shard()])),
            Op::Move => {
                let frozen = |world: &World| world.said.iter().filter(|said| said.starts_with("Frozen")).count();
                world.give(In::Thaw(vec![shard()]));
                let before = frozen(&world);
                world.give(In::Freeze(vec![shard()]));
                while frozen(&world) == before {
                    assert!(world.load() || world.commit() || world.next(), "the shard never stands still");
                }
                assert!(world.queue.is_empty());
                world.give(In::Disown(vec![shard()]));
                assert_eq!((world.shard.rooms().count(), world.shard.queued_bytes()), (0, 0));
                world.own();
                begun = begin(&mut world);
            }
        }
    }
    world.give(In::Thaw(vec![shard()]));
    // In the end the store works.
    world.drain();
    for _ in 0..50 {
        if !world.next() {
            break;
        }
        world.drain();
    }
    Ran { world, spoken, since, overtaken, begun }
}

fn check(ops: &[Op]) {
    let Ran { world, spoken, since, overtaken, begun } = run(ops);
    assert_eq!(world.shard.queued_bytes(), 0);
    assert_eq!(world.shard.next_deadline(), None);
    assert!(world.queue.is_empty() && world.loads.is_empty() && world.reads.is_empty());

    assert_eq!((world.owed(), world.kept.len()), (vec![], 0), "every source knows what became of its stanzas");

    // Each row of the log was shown, in order; some by more than one cast, next to each other. What a pod that died
    // did not show is for replays.
    let log = world.log(ROOM);
    let mut shown = world.shown.values().flatten().copied().collect::<Vec<_>>();
    shown.dedup();
    assert!(shown.is_sorted(), "{shown:?}");
    let (since, unshown) = since.unwrap_or_default();
    let messages = log.iter().filter(|row| row.kind == LogKind::Message && row.seq > unshown);
    for row in messages {
        assert!(shown.contains(&row.seq), "{row:?} was never shown");
    }

    // Each message is in the log once or its sender knows that it is not; those of a source are in its order.
    let mut newest = [Seq(0); 2];
    for (n, user) in (1..).zip(&spoken) {
        let id = format!("id='m{n}-'");
        let (bodies, known) = (format!(">m{n}-<"), format!("m{n}-"));
        let rows: Vec<Seq> = log
            .iter()
            .filter(|row| row.kind == LogKind::Message && contains(&row.payload, &known))
            .map(|row| row.seq)
            .collect();
        let stored = rows.len();
        let refused = world.said.iter().filter(|said| said.contains(&id) && said.contains("type='error'")).count();
        let live = world
            .trace
            .iter()
            .filter(|line| line.starts_with("Release") && line.contains("only: None") && line.contains(&bodies))
            .count();
        let lost = stored + refused == 0 && (source(*user).is_none() && since > 0 || overtaken.contains(&known));
        assert!(stored + refused == 1 || lost, "message {n}: stored {stored} times, refused {refused} times");
        assert!(live >= stored || rows[0] <= unshown, "message {n} was stored and not shown");
        if let (Some(source), Some(row)) = (source(*user), rows.first()) {
            let newest = &mut newest[usize::try_from(source).unwrap()];
            assert!(*newest < *row, "message {n} has overtaken another one of its source");
            *newest = *row;
        }
    }

    // What was asked to be replayed was.
    for remote in ["home0.lit", "home1.lit"] {
        let marks = |mark: &str| {
            let mark = format!("Replay {{ remote: \"{remote}\", mark: {mark} }}");
            world.said[begun..].iter().rposition(|said| *said == mark)
        };
        let takes_over = |op: &Op| matches!(op, Op::FailOver(_) | Op::Seize(_) | Op::Move | Op::Attach(..));
        let ops = &ops[ops.iter().rposition(takes_over).unwrap_or(0)..];
        let asked = ops.iter().any(|op| matches!(op, Op::Replay(d) if remote == format!("home{d}.lit")));
        assert!(!asked || marks("End").is_some(), "{remote} waits for its replay");
        // Or it was forgotten with the groups.
        let forgotten = world.said[begun..].iter().rposition(|said| said == "Regroup");
        assert!(marks("Start") <= marks("End").max(forgotten));
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
        prop_assert_eq!(run(&ops).world.trace, run(&ops).world.trace);
    }
}
