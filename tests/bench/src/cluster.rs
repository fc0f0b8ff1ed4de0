//! Three real nodes on one PostgreSQL that keeps everything on the disk: how many messages go through, what one costs
//! at the node with the link and at another one, and how long a room is silent when a node is killed.

mod gap;
mod load;
mod site;

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use warren_test_postgres::{Durability, Server};

use crate::{Bound, Limit};
use gap::{Victim, kills};
use load::{Load, Numbers, run};
use site::Site;

const ROOMS: u32 = 300;
/// Rooms in which costs are compared: as many of the node with the link as of another one, so that commits have the
/// same size.
const COMPARED: usize = 60;
/// Everything that is compared is measured in turn, so often and for so long each time.
const ROUNDS: usize = 3;
const ROUND: Duration = Duration::from_millis(1500);
const ALL: Duration = Duration::from_secs(6);
const KILLS: u32 = 5;

pub fn bounds() -> Result<Vec<Bound>> {
    let postgres = Server::start(Durability::Disk)?;
    let mut site = Site::of_three(ROOMS, &postgres.database_url()?)?;
    let mut numbers = Numbers::default();
    let linked = site.linked()?;
    let rooms: Vec<u32> = (0..ROOMS).collect();
    let owners =
        rooms.iter().map(|room| site.owner(*room).context("a room without an owner")).collect::<Result<Vec<_>>>()?;
    let of = |node: usize| -> Vec<u32> {
        rooms.iter().copied().zip(&owners).filter(|(_, owner)| **owner == node).map(|(room, _)| room).collect()
    };
    let other = (linked + 1) % site.nodes.len();
    let (mut here, mut there) = (of(linked), of(other));
    ensure!(here.len().min(there.len()) >= COMPARED, "{} and {} rooms are too few", here.len(), there.len());
    here.truncate(COMPARED);
    there.truncate(COMPARED);

    let alone = Site::alone(ROOMS)?;
    let mut bounds = costs(&site, &alone, (&here, &there), (linked, other), &mut numbers)?;
    let single = run(&alone, &rooms, &mut numbers, ALL / 2)?;
    drop(alone);
    let all = run(&site, &rooms, &mut numbers, ALL)?;
    bounds.push(Bound {
        what: "3 nodes, 300 rooms x 3: durable messages/s",
        ratio: all.rate(),
        limit: Limit::Shown,
        figures: format!(
            "p50 {:.1} ms, p99 {:.1} ms, {ROOMS} under way; one node with SQLite {:.0}/s, p50 {:.1} ms, p99 {:.1} ms",
            all.percentile(50),
            all.percentile(99),
            single.rate(),
            single.percentile(50),
            single.percentile(99)
        ),
    });
    for (room, what) in [
        (here[0], "3 nodes, a message by itself, local: p50 in us"),
        (there[0], "3 nodes, a message by itself, routed: p50 in us"),
    ] {
        let lone = run(&site, &[room], &mut numbers, ROUND)?;
        bounds.push(Bound {
            what,
            ratio: lone.percentile(50) * 1e3,
            limit: Limit::Shown,
            figures: format!("p99 {:.1} ms, {:.0} messages/s", lone.percentile(99), lone.rate()),
        });
    }
    for (victim, what) in [
        (Victim::Owner, "kill -9 of the room's owner: the room's gap in ms"),
        (Victim::Link, "kill -9 of the node with the link: the room's gap in ms"),
    ] {
        let gaps = kills(&mut site, ROOMS, &mut numbers, victim, KILLS)?;
        let millis = |at: usize| gaps.get(at).map_or(0.0, |gap| gap.as_secs_f64() * 1e3);
        bounds.push(Bound {
            what,
            ratio: millis(gaps.len() / 2),
            limit: Limit::Shown,
            figures: format!(
                "median of {KILLS}, at most {:.0} ms; the TTL is the default, 6 s",
                millis(gaps.len() - 1)
            ),
        });
    }
    Ok(bounds)
}

/// What a delivery costs: of a room of the node with the link, of a room of another one, and of a node alone.
fn costs(
    site: &Site,
    alone: &Site,
    (here, there): (&[u32], &[u32]),
    (linked, other): (usize, usize),
    numbers: &mut Numbers,
) -> Result<Vec<Bound>> {
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let local = run(site, here, numbers, ROUND)?;
        let routed = run(site, there, numbers, ROUND)?;
        let single = run(alone, here, numbers, ROUND)?;
        rounds.push([local, routed, single]);
    }
    let median = |ratio: &dyn Fn(&[Load; 3]) -> f64| {
        let mut all: Vec<(f64, &[Load; 3])> = rounds.iter().map(|round| (ratio(round), round)).collect();
        all.sort_by(|a, b| a.0.total_cmp(&b.0));
        all.swap_remove(all.len() / 2)
    };
    let (growth, [local, routed, _]) = median(&|[local, routed, _]| routed.micros_of_all() / local.micros_of_all());
    let (shared, [cluster, _, single]) = median(&|[local, _, single]| local.micros_of_all() / single.micros_of_all());
    Ok(vec![
        Bound {
            what: "3 nodes: CPU of a delivery, routed : local",
            ratio: growth,
            limit: Limit::AtMost(3.0),
            figures: format!(
                "{:.1} us (link {:.1}, owner {:.1}; {:.0} messages/s) : {:.1} us ({:.0} messages/s)",
                routed.micros_of_all(),
                routed.micros(linked),
                routed.micros(other),
                routed.rate(),
                local.micros_of_all(),
                local.rate()
            ),
        },
        Bound {
            what: "CPU of a delivery, 3 nodes, local : 1 node with SQLite",
            ratio: shared,
            limit: Limit::AtMost(2.0),
            figures: format!(
                "{:.1} us ({:.0} messages/s) : {:.1} us ({:.0} messages/s); PostgreSQL's own not counted",
                cluster.micros_of_all(),
                cluster.rate(),
                single.micros_of_all(),
                single.rate()
            ),
        },
    ])
}
