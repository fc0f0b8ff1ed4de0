//! Rooms that move between nodes while everybody talks: nobody notices more than a short silence.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::crowd::{Crowd, Pace};

const ROOMS: usize = 100;
/// Somebody says something in one of the rooms: 500 messages a second.
const PACE: Duration = Duration::from_millis(2);
/// What the usual time between two messages in a room may be exceeded by, when its owner stops; for 99 of 100 rooms. On a
/// machine that has nothing else to do: on another one everything takes longer, which the time before the stop tells.
const SILENCE: Duration = Duration::from_millis(200);
/// After this time a ping has proven what was said before (every second), and that is written (every second).
const PROVEN: Duration = Duration::from_secs(4);
/// So many times at least, and at most until it was once as quick as that.
const ROUNDS: std::ops::RangeInclusive<usize> = 3..=6;
/// From SIGTERM to the end of a node that has no link. Not even 10 s on a busy machine: that is what it gives up after.
const END: Duration = Duration::from_secs(5);

/// For each room the longest time between two messages heard since `from`, beyond the usual one; sorted.
fn silences(crowd: &Crowd, rooms: &[usize], from: Instant) -> Vec<Duration> {
    let record = crowd.record();
    let usual = PACE * u32::try_from(ROOMS).unwrap();
    let longest = rooms.iter().map(|n| {
        let heard = record.rooms[*n].heard.iter().map(|(at, _)| *at);
        // The last one before counts too.
        let before = heard.clone().rfind(|at| *at < from);
        let times: Vec<Instant> = before.into_iter().chain(heard.filter(|at| *at >= from)).collect();
        let longest = times.windows(2).map(|pair| pair[1] - pair[0]).max().expect("it is heard again");
        longest.saturating_sub(usual)
    });
    let mut longest: Vec<Duration> = longest.collect();
    longest.sort();
    longest
}

/// Median, the time that 99 of 100 do not exceed, and the longest.
fn figures(sorted: &[Duration]) -> (Duration, Duration, Duration) {
    let at = |percent: usize| sorted[(sorted.len() * percent).div_ceil(100).max(1) - 1];
    (at(50), at(99), at(100))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rooms_of_a_stopped_node_go_on_elsewhere_at_once() {
    let (crowd, first) = Crowd::gather(ROOMS, "moves-0").await;
    crowd.talk(Pace::Every(PACE));
    sleep(Duration::from_secs(1)).await;
    let all: Vec<usize> = (0..ROOMS).collect();
    let joined = Instant::now();
    let (mut second, third) = (crowd.serve("moves-1"), crowd.serve("moves-2"));
    crowd.even(&[&first, &second, &third]).await;
    let took = joined.elapsed();
    crowd.all_heard().await;
    let (median, p99, max) = figures(&silences(&crowd, &all, joined));
    warren_testkit::figure!(
        "two fresh nodes have their part after {took:?}; silence: median {median:?}, p99 {p99:?}, max {max:?}"
    );
    assert_eq!(crowd.record().presences, [""; 0], "by planned moves");
    let mut good = false;
    for round in 1..=*ROUNDS.end() {
        if good && round > *ROUNDS.start() {
            break;
        }
        let moved = crowd.rooms_of(&second).await;
        assert!(moved.len() > ROOMS / 5, "it has its part of the rooms: {moved:?}");
        let before = Instant::now();
        sleep(Duration::from_secs(1)).await;
        let (_, usual, _) = figures(&silences(&crowd, &moved, before));
        let stopped = Instant::now();
        second.signal("-TERM");
        assert!(second.ended().await.success(), "{}", second.log());
        let took = stopped.elapsed();
        sleep(Duration::from_secs(1)).await;
        crowd.all_heard().await;
        let (median, p99, max) = figures(&silences(&crowd, &moved, stopped));
        warren_testkit::figure!(
            "round {round}: the owner of {} rooms ended in {took:?}; silence beyond the usual one: median {median:?}, \
             p99 {p99:?}, max {max:?}; before the stop p99 {usual:?}",
            moved.len()
        );
        assert!(
            took < END,
            "the rooms waited for nothing, and the node for what never came: {took:?}\n{}",
            second.log()
        );
        good |= p99 <= SILENCE + 4 * usual;
        second = crowd.serve("moves-1");
        crowd.even(&[&first, &second, &third]).await;
    }
    crowd.hush().await;
    assert!(crowd.record().links.is_empty(), "the link stayed where it was");
    // As it did, nothing was lost on it, and nothing had to be said again.
    for (n, room) in crowd.record().rooms.iter().enumerate() {
        assert!(room.heard.iter().map(|(_, n)| *n).eq(0..room.said), "room {n}: {:?}", room.heard);
        assert_eq!(room.bob, room.said, "room {n}");
    }
    crowd.check().await;
    assert!(good, "in no round was p99 within {SILENCE:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_nodes_restart_while_everybody_talks() {
    let (crowd, first) = Crowd::gather(ROOMS, "roll-0").await;
    crowd.talk(Pace::Every(2 * PACE));
    let mut nodes = [first, crowd.serve("roll-1"), crowd.serve("roll-2")];
    crowd.even(&[&nodes[0], &nodes[1], &nodes[2]]).await;
    // What is not proven to have arrived is said once more by the next link: the joins must be, or they look like news.
    sleep(PROVEN).await;
    // The first one has the link; wherever that goes, it is stopped there once more.
    for at in [0, 1, 2] {
        let stopped = Instant::now();
        nodes[at].signal("-TERM");
        assert!(nodes[at].ended().await.success(), "{}", nodes[at].log());
        warren_testkit::figure!("node {at} ended in {:?}", stopped.elapsed());
        nodes[at] = crowd.serve(&format!("roll-{at}"));
        crowd.even(&[&nodes[0], &nodes[1], &nodes[2]]).await;
        assert_eq!(crowd.record().presences, [""; 0], "after the restart of node {at}");
    }
    crowd.hush().await;
    let links = crowd.record().links.clone();
    assert!(!links.is_empty(), "the link had to move");
    for (ended, again) in links {
        warren_testkit::figure!("the link was away for {:?}", again - ended);
    }
    let (said, heard) = {
        let record = crowd.record();
        let sum = |of: fn(&crate::crowd::RoomTalk) -> usize| record.rooms.iter().map(of).sum::<usize>();
        (sum(|room| room.said), sum(|room| room.heard.len()))
    };
    warren_testkit::figure!("{said} messages, of which {} were heard twice", heard - said);
    crowd.check().await;
}
