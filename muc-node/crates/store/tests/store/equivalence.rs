//! Random works on the model, on SQLite and on PostgreSQL give the same answers and the same reads.

use proptest::prelude::*;
use tempfile::TempDir;
use warren_model::{Affiliation, Batch, Epoch, Lane, LogKind, Path, RoomId, Row, Seq, Shard, Ticket, UnixMs};
use warren_store::conformance::rows::{
    EPOCH, NOW, affiliation, everything, jid, key, message, object, occupant, peering, room,
};
use warren_store::{
    Backend, CommitError, Incarnation, Model, Options, Postgres, PostgresOptions, Reader, Routed, Sqlite, Window, Work,
};
use warren_test_postgres::Server;

const DOMAINS: [&str; 2] = ["rooms.example", "other.example"];
const PATHS: [&str; 3] = ["a.example", "b.example", "c.example"];

#[derive(Clone, Debug)]
enum Op {
    Commit(Lane, Vec<Work>),
    After(u64, Vec<Work>),
    TakeOver(u64),
    TrimBatches(Lane, usize),
    TrimLog(Lane, u64, u64, usize),
}

fn row(id: u64) -> impl Strategy<Value = Row> {
    let address = prop::sample::select(vec!["x@rooms.example", "y@rooms.example", "x@other.example", "other.example"]);
    let user = prop::sample::select(vec!["u@a.example/1", "u@a.example/2", "é@b.example/1"]);
    let nick = prop::sample::select(vec!["A", "B"]);
    // Mostly the work's own id; sometimes another one, which is a mistake.
    let own = prop_oneof![30 => Just(id), 1 => Just(id + 1)];
    prop_oneof![
        4 => (own, address, 0..12u64, 0..12u64, 0..20u64).prop_map(|(id, at, subject, low, head)| {
            let mut r = room(id, at);
            (r.subject_seq, r.low, r.head) = (Seq(subject), Seq(low), Seq(head));
            Row::Room(r)
        }),
        1 => Just(Row::RoomGone),
        3 => (user.clone(), nick.clone(), 0..9u64, any::<bool>()).prop_map(|(user, nick, join, here)| {
            let mut o = occupant(user, nick, join);
            o.peering = (!here).then(|| peering("p@far.example").peer);
            Row::Occupant(o)
        }),
        1 => (user.clone(), nick.clone()).prop_map(|(u, n)| Row::OccupantGone { jid: jid(u), nick: n.into() }),
        1 => (user.clone(), nick, any::<u8>())
            .prop_map(|(u, n, p)| Row::Presence { jid: jid(u), nick: n.into(), presence: vec![p] }),
        1 => user.clone().prop_map(|u| Row::Affiliation(affiliation(jid(u).to_bare().as_str(), Affiliation::Admin))),
        1 => user.prop_map(|u| Row::AffiliationGone(jid(u).to_bare())),
        1 => prop::sample::select(vec!["p@far.example", "q@far.example"]).prop_map(|p| Row::Peering(peering(p))),
        1 => prop::sample::select(vec!["p@far.example", "q@far.example"])
            .prop_map(|p| Row::PeeringGone(peering(p).peer)),
        8 => (1..16u64, any::<bool>()).prop_map(|(seq, join)| {
            let mut l = message(seq);
            if join {
                l.kind = LogKind::Join;
            }
            Row::Log(l)
        }),
        2 => (prop::sample::select(vec!["k", "l"]), any::<u64>(), 0..4u64)
            .prop_map(|(id, digest, seq)| Row::FmucKey(key(id, digest | 1 << 62, seq))),
    ]
}

fn work() -> impl Strategy<Value = Work> {
    let rows = |id| prop::collection::vec(row(id), 0..5);
    let routed = || {
        prop::option::weighted(0.2, (0..2u128, 0..9u64)).prop_map(|from| {
            let (source, n) = from?;
            Some(Routed { source: Incarnation(source), n })
        })
    };
    let room_work = (1..4u64).prop_flat_map(move |id| {
        let epoch = prop_oneof![20 => Just(Epoch(u32::MAX)), 1 => Just(EPOCH)];
        (rows(id), epoch, routed(), 0..2u32).prop_map(move |(rows, epoch, routed, shard)| {
            let (ticket, room, shard) = (Ticket(0), RoomId(id), Shard(shard));
            Work::Room { ticket, room, shard, epoch, fresh: false, routed, rows }
        })
    });
    let names = || prop::sample::select(vec!["one", "two-peer", "three"]);
    prop_oneof![
        10 => room_work,
        1 => (1..4u64, prop::sample::select(PATHS.to_vec()), 0..9u64).prop_map(|(lane, remote, batch)| {
            Work::Watermark { lane: Lane(lane), path: Path::new(DOMAINS[0], remote), batch: Batch(batch) }
        }),
        1 => (names(), 0..9i64)
            .prop_map(|(name, g)| Work::Object { ticket: Ticket(0), object: Box::new(object(name, g)) }),
        1 => names().prop_map(|name| Work::ObjectGone { ticket: Ticket(0), name: object(name, 0).name }),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    // Lane 0 stands for the one that is open, the others for those that were opened first.
    let lane = || prop_oneof![12 => Just(Lane(0)), 1 => (1..4u64).prop_map(Lane)];
    prop_oneof![
        20 => (lane(), prop::collection::vec(work(), 0..5)).prop_map(|(lane, works)| Op::Commit(lane, works)),
        4 => (0..6u64, prop::collection::vec(work(), 0..3)).prop_map(|(known, works)| Op::After(known, works)),
        1 => (0..9u64).prop_map(Op::TakeOver),
        2 => (lane(), 0..3usize).prop_map(|(lane, n)| Op::TrimBatches(lane, n)),
        2 => (lane(), 1..4u64, 0..16u64, 0..4usize).prop_map(|(lane, id, to, max)| Op::TrimLog(lane, id, to, max)),
    ]
}

/// What two backends must agree on; the words of a rejection are their own.
fn essence<T>(answer: Result<T, CommitError>) -> Result<T, CommitError> {
    answer.map_err(|e| match e {
        CommitError::Rejected { index, .. } => CommitError::Rejected { index, why: String::new() },
        e => e,
    })
}

fn apply(store: &mut dyn Backend, ops: &[Op]) -> Vec<String> {
    let mut lanes = vec![store.take_over(Incarnation(9), NOW).unwrap().lane];
    // Two rooms to begin with, or most works would be rejected.
    for (id, at) in [(1, "x@rooms.example"), (2, "x@other.example")] {
        let rows = vec![Row::Room(room(id, at))];
        let (room, epoch) = (RoomId(id), Epoch(u32::MAX));
        let made = Work::Room { ticket: Ticket(0), room, shard: Shard(0), epoch, fresh: true, routed: None, rows };
        store.commit(lanes[0], &[made]).unwrap();
    }
    let mut answers = Vec::new();
    for op in ops {
        let known = lanes.clone();
        let at = |lane: Lane| match lane {
            Lane(0) => known[known.len() - 1],
            Lane(n) => (1..).zip(&known).find(|(count, _)| *count == n).map_or(lane, |(_, lane)| *lane),
        };
        answers.push(match op {
            Op::Commit(lane, works) => {
                let mut works = works.clone();
                for work in &mut works {
                    if let Work::Watermark { lane, .. } = work {
                        *lane = at(*lane);
                    }
                }
                format!("{:?}", essence(store.commit(at(*lane), &works)))
            }
            Op::After(known, works) => {
                let (lane, known) = (at(Lane(0)), Some(Batch(*known)));
                format!("{:?}", essence(store.commit_after(lane, known, works)))
            }
            Op::TakeOver(ahead) => {
                let taken = store.take_over(Incarnation(1), UnixMs(NOW.0 + ahead * 1000)).unwrap();
                lanes.push(taken.lane);
                format!("{taken:?}")
            }
            Op::TrimBatches(lane, n) => {
                let awaited: Vec<_> = PATHS[..*n].iter().map(|remote| Path::new(DOMAINS[0], *remote)).collect();
                format!("{:?}", essence(store.trim_batches(at(*lane), &awaited)))
            }
            Op::TrimLog(lane, id, to, max) => {
                format!("{:?}", essence(store.trim_log(at(*lane), RoomId(*id), Seq(*to), *max)))
            }
        });
    }
    answers
}

fn details(reader: &mut dyn Reader) -> String {
    let mut all = vec![format!("{:#?}", everything(reader, &DOMAINS, Window { messages: 3, keys: 2 }))];
    for remote in PATHS {
        all.push(format!("{:?}", reader.rooms_with_occupants(Some(&Path::new(DOMAINS[0], remote))).unwrap()));
    }
    for id in 1..5 {
        let keys = reader.fmuc_keys(RoomId(id), &key("k", 0, 0).origin, "k").unwrap();
        let back = reader.page_back(RoomId(id), Seq(9), 2).unwrap();
        all.push(format!("{:?}{keys:?}{back:?}", reader.room_jid(RoomId(id)).unwrap()));
    }
    all.join("\n")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn sqlite_does_as_the_model_does(ops in prop::collection::vec(op(), 1..40)) {
        let dir = TempDir::new().unwrap();
        let mut model = Model::new();
        let mut sqlite = Sqlite::open(dir.path().join("s.db"), Options::default()).unwrap();
        let (expected, found) = (apply(&mut model, &ops), apply(&mut sqlite, &ops));
        prop_assert_eq!(expected, found);
        prop_assert_eq!(details(&mut model), details(&mut sqlite));
    }

    #[test]
    fn postgres_does_as_the_model_does(ops in prop::collection::vec(op(), 1..40)) {
        let mut model = Model::new();
        let mut postgres = Postgres::open(&Server::shared().database().unwrap(), PostgresOptions::default()).unwrap();
        let (expected, found) = (apply(&mut model, &ops), apply(&mut postgres, &ops));
        prop_assert_eq!(expected, found);
        prop_assert_eq!(details(&mut model), details(&mut postgres));
    }
}
