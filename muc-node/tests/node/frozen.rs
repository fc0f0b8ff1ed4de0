//! A node that is frozen in the middle of its work, and goes on when others have long taken over from it.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::time::sleep;

use crate::crowd::{Crowd, Pace, TTL};

const ROOMS: usize = 12;
const ROUNDS: usize = 10;
const BURST: usize = 400;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_frozen_owner_still_wants_to_log_is_nobodys_business() {
    let (crowd, first) = Crowd::gather(ROOMS, "frozen-0").await;
    let mut second = crowd.serve("frozen-1");
    let seed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().subsec_micros();
    println!("seed {seed}");
    let mut again = 0;
    for round in 1..=ROUNDS {
        crowd.even(&[&first, &second]).await;
        let owned = crowd.rooms_of(&second).await;
        assert!(owned.len() > ROOMS / 5, "it has its part of the rooms: {owned:?}");
        crowd.talk(Pace::Burst(BURST));
        // A burst takes 50 to 100 ms, its commits most of that.
        let moment = u64::from(seed.wrapping_mul(2_654_435_761).rotate_left(u32::try_from(round * 7).unwrap()) % 70);
        sleep(Duration::from_millis(moment)).await;
        let heard = crowd.heard();
        second.signal("-STOP");
        let frozen = Instant::now();
        // All of the burst, also what the frozen one had read and not handled.
        crowd.all_heard().await;
        let after = frozen.elapsed();
        sleep((2 * TTL).saturating_sub(frozen.elapsed())).await;
        let gone = crowd.record().presences.clone();
        assert_eq!(gone, [""; 0], "round {round}: nobody leaves");
        let (logs, events) = (crowd.logs().await, crowd.heard());
        second.signal("-CONT");
        let status = second.ended().await;
        assert_eq!(status.code(), Some(1), "{}", second.log());
        assert!(second.log().contains("another node has taken over"), "{}", second.log());
        // Whatever it was about to log or say.
        sleep(Duration::from_millis(300)).await;
        assert_eq!(crowd.logs().await, logs, "round {round}: it has logged something");
        assert_eq!(crowd.heard(), events, "round {round}: something that it said was heard");
        let twice = crowd.heard() - crowd.record().rooms.iter().map(|room| room.said).sum::<usize>();
        println!(
            "round {round}: frozen after {moment} ms, when {} of {BURST} had been heard; the rest after {after:?}, {} of it twice",
            heard + BURST - crowd.heard() + (twice - again),
            twice - again
        );
        again = twice;
        second = crowd.serve("frozen-1");
    }
    crowd.check().await;
    assert!(crowd.record().links.is_empty(), "the link stayed where it was");
}
