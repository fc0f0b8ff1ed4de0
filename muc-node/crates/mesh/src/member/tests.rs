//! What one pod does by itself.

use warren_model::Shard;
use warren_model::ids::SHARDS;

use super::*;

const TTL: Duration = Duration::from_secs(6);
const ME: Incarnation = Incarnation(1);
const OTHER: Incarnation = Incarnation(2);

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn pod(incarnation: Incarnation, beat: u64) -> PodSeen {
    let name = format!("muc-{incarnation}");
    PodSeen { incarnation, name: name.into(), address: "127.0.0.1:1".into(), beat, open: true }
}

fn view(pods: &[Incarnation], owner: Option<Incarnation>) -> View {
    View {
        pods: pods.iter().map(|p| pod(*p, 0)).collect(),
        shards: vec![(owner, Epoch(3)); SHARDS as usize],
        links: BTreeMap::new(),
    }
}

fn beaten(sent: Duration, pods: &[Incarnation]) -> Input {
    let beat = |pod| if pod == ME { u64::try_from(sent.as_millis()).unwrap() } else { 0 };
    Input::Beaten { sent, alive: true, pods: pods.iter().map(|p| pod(*p, beat(*p))).collect() }
}

/// After its first beat and view, with nothing to do.
fn settled(pods: &[Incarnation], owner: Incarnation) -> Member {
    let mut member = Member::new(ME, TTL, Vec::new());
    assert_eq!(member.poll(ms(0)), Some(Todo::Beat));
    assert_eq!((member.poll(ms(0)), member.next_deadline(ms(0))), (None, None), "nothing before the first beat");
    member.handle(beaten(ms(0), pods), ms(1));
    assert_eq!(member.poll(ms(1)), Some(Todo::ReadView));
    member.handle(Input::View(view(pods, Some(owner))), ms(2));
    assert!(matches!(member.poll(ms(2)), Some(Todo::Tell { .. })));
    assert_eq!((member.poll(ms(2)), member.next_deadline(ms(2))), (None, Some(ms(1000))));
    member
}

#[test]
fn the_view_is_read_when_pods_come_and_when_somebody_pokes_and_told_when_it_is_news() {
    let mut member = settled(&[ME], ME);
    assert_eq!(member.poll(ms(1000)), Some(Todo::Beat));
    member.handle(beaten(ms(1000), &[ME]), ms(1001));
    assert_eq!(member.poll(ms(1001)), None);
    member.handle(Input::Poke, ms(1100));
    assert_eq!(member.poll(ms(1100)), Some(Todo::ReadView));
    member.handle(Input::View(view(&[ME], Some(ME))), ms(1101));
    assert_eq!(member.poll(ms(1101)), None, "it is no news");
    assert_eq!(member.poll(ms(2000)), Some(Todo::Beat));
    member.handle(beaten(ms(2000), &[ME, OTHER]), ms(2001));
    assert_eq!(member.poll(ms(2001)), Some(Todo::ReadView));
    member.handle(Input::ViewFailed, ms(2002));
    assert_eq!((member.poll(ms(2002)), member.next_deadline(ms(2002))), (None, Some(ms(3000))));
    assert_eq!(member.poll(ms(3002)), Some(Todo::Beat));
    member.handle(Input::BeatFailed, ms(3003));
    assert_eq!(member.poll(ms(3003)), Some(Todo::ReadView), "we still act");
    member.handle(Input::View(view(&[ME, OTHER], Some(ME))), ms(3004));
    assert!(matches!(member.poll(ms(3004)), Some(Todo::Tell { .. })));
}

#[test]
fn moves_come_in_lots_and_are_told_of() {
    let mut member = settled(&[ME, OTHER], ME);
    member.handle(Input::Ready([OTHER].into()), ms(3));
    assert_eq!(member.poll(ms(3)), Some(Todo::ReadView));
    member.handle(Input::View(view(&[ME, OTHER], Some(ME))), ms(4));
    let Some(Todo::Do(Step::Move(moves))) = member.poll(ms(4)) else { panic!("nothing is moved") };
    assert_eq!(moves.len(), 256);
    member.handle(Input::Poke, ms(5));
    assert_eq!(member.poll(ms(5)), Some(Todo::ReadView));
    // Meanwhile some of them are done: what is being read may not know.
    member.handle(Input::Moved(moves.iter().skip(1).map(|(thing, ..)| thing.clone()).collect()), ms(6));
    member.handle(Input::View(view(&[ME, OTHER], Some(ME))), ms(7));
    assert_eq!(member.poll(ms(7)), Some(Todo::ReadView));
    member.handle(Input::View(view(&[ME, OTHER], Some(ME))), ms(8));
    assert!(matches!(member.poll(ms(8)), Some(Todo::Tell { moved: 1, .. })), "so that what failed goes on");
    assert_eq!(member.poll(ms(8)), None, "one is under way");
    let (last, to, seen) = moves[0].clone();
    assert_eq!((to, seen), (OTHER, Epoch(3)));
    let Thing::Shard(Shard(n)) = last else { panic!("a link is moved") };
    let mut after = view(&[ME, OTHER], Some(ME));
    after.shards[n as usize] = (Some(OTHER), Epoch(4));
    member.handle(Input::Moved(vec![last]), ms(9));
    assert_eq!(member.poll(ms(9)), Some(Todo::ReadView));
    member.handle(Input::View(after), ms(10));
    assert!(matches!(member.poll(ms(10)), Some(Todo::Tell { .. })));
    assert!(matches!(member.poll(ms(10)), Some(Todo::Do(Step::Move(_)))));
}

#[test]
fn who_refuses_is_closed_soon_at_the_beat_that_was_read_then() {
    let mut member = settled(&[ME, OTHER], OTHER);
    member.handle(Input::Refused { pod: OTHER, by: ME }, ms(100));
    assert_eq!(member.poll(ms(100)), Some(Todo::Beat), "at once");
    let pods = |beat| vec![pod(ME, beat), pod(OTHER, 5)];
    member.handle(Input::Beaten { sent: ms(100), alive: true, pods: pods(2) }, ms(110));
    assert_eq!(member.poll(ms(1109)), Some(Todo::Beat));
    member.handle(Input::Beaten { sent: ms(1109), alive: true, pods: pods(3) }, ms(1110));
    assert_eq!((member.poll(ms(1110)), member.next_deadline(ms(1110))), (None, Some(ms(1310))));
    assert_eq!(member.poll(ms(1310)), Some(Todo::ReadView));
    member.handle(Input::View(view(&[ME, OTHER], Some(OTHER))), ms(1311));
    let Some(Todo::Do(Step::TakeOver { from: OTHER, beat: Some(5), assign })) = member.poll(ms(1311)) else {
        panic!("it is not taken over")
    };
    assert_eq!(assign.len(), 4096);
    // It was wrong: there is no second attempt at once.
    member.handle(Input::Did(Did::Nothing), ms(1312));
    assert_eq!(member.poll(ms(1312)), Some(Todo::Beat));
    assert_eq!(member.poll(ms(1312)), None);
}

#[test]
fn who_is_closed_hears_of_it_once_and_who_leaves_only_beats() {
    let mut member = settled(&[ME, OTHER], ME);
    member.handle(Input::Leaving, ms(10));
    assert_eq!(member.handover(ms(10)).len(), 4096);
    member.handle(Input::Ready([OTHER].into()), ms(11));
    assert_eq!(member.poll(ms(11)), Some(Todo::ReadView));
    member.handle(Input::View(view(&[ME, OTHER], Some(ME))), ms(12));
    assert_eq!(member.poll(ms(12)), None);
    assert_eq!(member.poll(ms(1000)), Some(Todo::Beat));
    member.handle(Input::Beaten { sent: ms(1000), alive: false, pods: Vec::new() }, ms(1001));
    assert!(member.is_closed() && !member.acts(ms(1001)));
    assert_eq!((member.poll(ms(1001)), member.poll(ms(1001))), (Some(Todo::Closed), None));
    assert_eq!(member.next_deadline(ms(1001)), None);
}

#[test]
fn who_has_seen_what_the_store_does_not_know_any_more_ends() {
    let mut member = settled(&[ME, OTHER], ME);
    assert_eq!(member.poll(ms(1000)), Some(Todo::Beat));
    member.handle(beaten(ms(1000), &[ME, OTHER]), ms(1001));
    assert_eq!(member.poll(ms(2000)), Some(Todo::Beat));
    let mut other = member.clone();
    // The beat before this one was lost, and this one counted to the same.
    let pods = vec![pod(ME, 1000), pod(OTHER, 0)];
    member.handle(Input::Beaten { sent: ms(2000), alive: true, pods }, ms(2001));
    assert!(member.has_lost() && member.is_closed() && !member.acts(ms(2001)));
    assert_eq!((member.poll(ms(2001)), member.poll(ms(2001))), (Some(Todo::Closed), None));
    other.handle(beaten(ms(2000), &[ME, OTHER]), ms(2001));
    other.handle(Input::Poke, ms(2002));
    assert_eq!(other.poll(ms(2002)), Some(Todo::ReadView));
    let mut earlier = view(&[ME, OTHER], Some(ME));
    earlier.shards[9] = (Some(OTHER), Epoch(2));
    other.handle(Input::View(earlier), ms(2003));
    assert!(other.has_lost() && other.is_closed());
    assert_eq!(other.poll(ms(2003)), Some(Todo::Closed));
}

#[test]
fn who_has_ended_is_forgotten_after_a_while_and_asked_for_again_if_it_could_not_be() {
    let mut member = settled(&[ME], ME);
    let mut sight = view(&[ME], Some(ME));
    sight.pods.push(PodSeen { open: false, ..pod(OTHER, 7) });
    let (mut forgotten, mut reads) = (Vec::new(), 0);
    for now in (1000..2_000_000).step_by(100) {
        while let Some(todo) = member.poll(ms(now)) {
            match todo {
                Todo::Beat => member.handle(beaten(ms(now), &[ME]), ms(now)),
                Todo::ReadView => {
                    reads += 1;
                    member.handle(Input::View(sight.clone()), ms(now));
                }
                Todo::Do(Step::Forget(OTHER)) => {
                    forgotten.push(now);
                    // The first time something is still to be delivered.
                    let did = if forgotten.len() == 1 { Did::Nothing } else { Did::Changed };
                    member.handle(Input::Did(did), ms(now));
                    if did == Did::Changed {
                        sight.pods.pop();
                    }
                }
                other => panic!("{other:?}"),
            }
        }
    }
    let [first, second] = forgotten.as_slice() else { panic!("{forgotten:?}") };
    assert!((600_000..615_000).contains(first) && (600_000..610_000).contains(&(second - first)), "{forgotten:?}");
    assert!(reads < 2000 / 6 + 5, "{reads} readings");
}

#[test]
fn an_answer_that_comes_too_late_is_none() {
    let mut member = settled(&[ME], ME);
    assert_eq!(member.poll(ms(1000)), Some(Todo::Beat));
    member.handle(Input::BeatFailed, ms(3000));
    assert_eq!(member.poll(ms(3000)), Some(Todo::Beat));
    member.handle(beaten(ms(1000), &[ME]), ms(3001));
    assert_eq!(member.acts_until(), Some(ms(4800)), "counted from the beat at 0");
    member.handle(beaten(ms(3000), &[ME]), ms(5001));
    assert_eq!(member.acts_until(), Some(ms(4800)), "beyond patience");
    assert_eq!(member.poll(ms(5002)), Some(Todo::Beat));
    member.handle(beaten(ms(5002), &[ME]), ms(5003));
    assert_eq!(member.acts_until(), Some(ms(9802)));
}
