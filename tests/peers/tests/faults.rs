//! What two servers lose between them, and what a component is told about it (servers.md 3, 4, 5 and 9), scaled
//! down from minutes to seconds. Each test has a world of its own, whose border it breaks.

use std::time::Duration;

use anyhow::{Result, ensure};
use futures::future::try_join;
use tokio::time::{Instant, sleep};
use warren_peers::{Every, Flow, SOON, alone};
use warren_testkit::peers::{Component, Mode, Site, User, World, component::ping};

/// 50 messages and 2 pings a second.
const EVERY: Every = Every { message: Duration::from_millis(20), ping: Duration::from_millis(500) };

/// Each way. A round trip is twice that.
const LATENCY: Duration = Duration::from_millis(150);

/// What was sent this short before a change of the border may pass it before or after; after the heal this long is
/// needed to open the streams again.
const MARGIN: Duration = Duration::from_millis(200);

/// One direction: a component at one site, a user at the other, a flow between them.
struct Way {
    component: Component,
    user: User,
    room: String,
    to: String,
    flow: Flow,
}

impl Way {
    /// Opens the path with a lone ping, so that the flow finds both streams open.
    async fn open(world: &World, from: Site) -> Result<Self> {
        let mut way = Self::cold(world, from, from.rooms()).await?;
        way.component.ping(from.other().domain(), "open", SOON).await?;
        Ok(way)
    }

    /// The path is not open yet.
    async fn cold(world: &World, from: Site, domain: &str) -> Result<Self> {
        let component = world.component_as(from, domain).await?;
        let user = world.user(from.other(), &format!("user-of-{}", domain.replace('.', "-"))).await?;
        let (room, to) = (format!("room@{domain}/cat"), user.jid().to_string());
        Ok(Self { component, user, room, to, flow: Flow::default() })
    }

    async fn send(&mut self, time: Duration) -> Result<()> {
        self.flow.send(&self.component, &self.room, &self.to, EVERY, time).await
    }

    /// Waits for what is still under way and counts everything.
    async fn settle(&mut self, time: Duration) {
        let (arrivals, answers) = tokio::join!(self.user.inbox().collect(time), self.component.inbox().collect(time));
        self.flow.arrivals(&arrivals);
        self.flow.answers(&answers);
        println!("{} to {}: {}", self.component.domain(), self.user.jid().domain(), self.flow.account());
    }
}

/// A fault without an end of the connection: everything is lost, nobody says so, and the first ping after the heal
/// is answered as if nothing had been.
fn silent(mode: Mode) {
    alone(World::builder(), async |world| {
        let (mut east, mut west) =
            try_join(Way::open(world, Site::Wonderland), Way::open(world, Site::Denmark)).await?;
        try_join(east.send(Duration::from_secs(1)), west.send(Duration::from_secs(1))).await?;
        sleep(MARGIN).await;

        let cut = Instant::now();
        world.border().set(mode);
        try_join(east.send(Duration::from_secs(3)), west.send(Duration::from_secs(3))).await?;
        sleep(MARGIN).await; // on a busy machine a server may be late
        let healed = Instant::now();
        world.border().heal();
        sleep(MARGIN).await;
        let resumed = Instant::now();
        try_join(east.send(Duration::from_secs(2)), west.send(Duration::from_secs(2))).await?;
        tokio::join!(east.settle(Duration::from_secs(1)), west.settle(Duration::from_secs(1)));

        for (from, way) in [("Prosody", &east), ("ejabberd", &west)] {
            let flow = &way.flow;
            let in_fault = flow.sent_between(cut, healed);
            ensure!(in_fault.len() > 100, "{from}: only {} messages in the fault", in_fault.len());
            // The first one after the heal may still go into a socket that is dead already.
            let lost: Vec<usize> = flow.lost();
            ensure!(
                in_fault.iter().all(|number| lost.contains(number)) && lost.len() <= in_fault.len() + 2,
                "{from}: {} in the fault: {flow:?}",
                in_fault.len()
            );
            ensure!(flow.bounced.is_empty(), "{from}: somebody noticed: {flow:?}");

            let unanswered = flow.pinged_between(cut, healed);
            ensure!(unanswered.len() >= 5, "{from}: only {} pings in the fault", unanswered.len());
            ensure!(
                unanswered.iter().all(|number| !flow.answered.contains_key(number)),
                "{from}: pings of the fault {unanswered:?}, answered {:?}",
                flow.answered
            );
            let after = flow.pinged_between(resumed, Instant::now());
            let results = flow.results();
            ensure!(
                after.iter().skip(1).all(|number| results.contains(number)),
                "{from}: pings after the heal {after:?}, results {results:?}"
            );
        }
        if mode == Mode::Hole {
            let counters = world.border().counters();
            ensure!(counters.swallowed_up > 10_000, "the hole swallowed {counters:?}");
        }
        Ok(())
    });
}

#[test]
fn black_hole_loses_everything_silently() {
    silent(Mode::Hole);
}

#[test]
fn stall_loses_everything_silently() {
    silent(Mode::Stall);
}

#[test]
fn first_ping_after_a_black_hole_is_answered() {
    alone(World::builder(), async |world| {
        for from in Site::ALL {
            let mut way = Way::open(world, from).await?;
            world.border().set(Mode::Hole);
            way.send(Duration::from_secs(1)).await?;
            sleep(MARGIN).await;
            world.border().heal();
            // The servers hear of the reset a moment later.
            sleep(MARGIN).await;
            let answer = way.component.ping(from.other().domain(), "first", SOON).await?;
            way.settle(Duration::from_secs(1)).await;
            ensure!(answer.attr("type") == Some("result"), "{from:?}: {}", String::from(&answer));
            ensure!(way.flow.lost().len() == way.flow.messages, "{from:?}: {:?}", way.flow);
        }
        Ok(())
    });
}

#[test]
fn reset_with_latency_loses_a_round_trip_with_every_ping_answered() {
    alone(World::builder(), async |world| {
        world.border().latency(LATENCY);
        // A ping a second, and the reset in the middle between two: no ping is under way.
        let every = Every { ping: Duration::from_secs(1), ..EVERY };
        let (mut east, mut west) =
            try_join(Way::open(world, Site::Wonderland), Way::open(world, Site::Denmark)).await?;
        let flow = async |time: Duration, east: &mut Way, west: &mut Way| {
            try_join(
                east.flow.send(&east.component, &east.room, &east.to, every, time),
                west.flow.send(&west.component, &west.room, &west.to, every, time),
            )
            .await
        };
        flow(Duration::from_millis(2_600), &mut east, &mut west).await?;
        world.border().reset_all();
        flow(Duration::from_millis(4_400), &mut east, &mut west).await?;
        tokio::join!(east.settle(Duration::from_secs(2)), west.settle(Duration::from_secs(2)));

        for (from, way) in [(Site::Wonderland, &east), (Site::Denmark, &west)] {
            let flow = &way.flow;
            let lost = flow.lost();
            // 150 ms at 50 messages a second, and what is written before the reset is heard of.
            ensure!((5..=15).contains(&lost.len()), "{from:?} lost {lost:?} of {}", flow.messages);
            ensure!(flow.bounced.is_empty(), "{from:?}: somebody noticed: {flow:?}");
            ensure!(flow.results().len() == flow.pings && flow.pings >= 7, "{from:?}: {:?}", flow.answered);
        }
        ensure!(!east.flow.in_order(), "Prosody kept the order over a reset: {:?}", east.flow.arrived);
        ensure!(west.flow.in_order(), "ejabberd broke the order over a reset: {:?}", west.flow.arrived);
        Ok(())
    });
}

#[test]
fn way_back_holed_delivers_everything_and_answers_nothing() {
    alone(World::builder(), async |world| {
        for from in Site::ALL {
            let mut way = Way::open(world, from).await?;
            world.outgoing(from.other()).set(Mode::Hole);
            way.send(Duration::from_secs(2)).await?;
            way.settle(Duration::from_secs(1)).await;
            world.border().heal();
            let flow = &way.flow;
            ensure!(flow.arrived.len() == flow.messages && flow.lost().is_empty(), "{from:?}: {flow:?}");
            ensure!(flow.answered.is_empty() && flow.bounced.is_empty() && flow.pings >= 4, "{from:?}: {flow:?}");
            // Both ways open again for the other direction's turn.
            way.component.ping(from.other().domain(), "healed", SOON).await.ok();
        }
        Ok(())
    });
}

#[test]
fn refused_bounces_at_once_and_is_back_within_seconds() {
    alone(World::builder(), async |world| {
        let (mut east, mut west) =
            try_join(Way::open(world, Site::Wonderland), Way::open(world, Site::Denmark)).await?;
        let cut = Instant::now();
        world.border().set(Mode::Refuse);
        try_join(east.send(Duration::from_secs(2)), west.send(Duration::from_secs(2))).await?;
        sleep(MARGIN).await;
        let healed = Instant::now();
        world.border().heal();
        try_join(east.send(Duration::from_secs(4)), west.send(Duration::from_secs(4))).await?;
        tokio::join!(east.settle(Duration::from_secs(1)), west.settle(Duration::from_secs(1)));

        for (from, way) in [(Site::Wonderland, &east), (Site::Denmark, &west)] {
            let flow = &way.flow;
            let refused = flow.sent_between(cut + MARGIN, healed);
            let delivered = refused.iter().filter(|number| flow.arrived.contains(number)).count();
            let bounced = refused.iter().filter(|number| flow.bounced.contains_key(number)).count();
            // One may get lost for each attempt.
            ensure!(delivered == 0 && bounced + 3 >= refused.len(), "{from:?}: {} refused: {flow:?}", refused.len());
            let back = flow.sent_between(healed + Duration::from_millis(2_500), Instant::now());
            ensure!(back.iter().all(|number| flow.arrived.contains(number)), "{from:?}: not back: {flow:?}");
            for error in flow.bounced.values() {
                match from {
                    Site::Wonderland => ensure!(
                        error.condition == "remote-server-not-found"
                            && error.kind == "cancel"
                            && error.by.as_deref() == Some(from.rooms()),
                        "{error:?}"
                    ),
                    Site::Denmark => ensure!(
                        error.condition == "remote-server-timeout" && error.kind == "wait" && error.by.is_none(),
                        "{error:?}"
                    ),
                }
            }
        }
        // Prosody has no penalty: what comes right after the heal arrives.
        let first = east.flow.sent_between(healed + MARGIN, Instant::now());
        ensure!(first.iter().all(|number| east.flow.arrived.contains(number)), "Prosody waits: {:?}", east.flow);
        Ok(())
    });
}

/// Sends into a connect that nobody answers, until the server gives up.
async fn never_answered(world: &World, from: Site, patience: Duration) -> Result<()> {
    let mut way = Way::cold(world, from, from.rooms()).await?;
    let start = Instant::now();
    way.send(Duration::from_secs(2)).await?;
    way.component.send(&ping(from.rooms(), from.other().domain(), "late")).await?;
    let deadline = patience + Duration::from_secs(10);
    let answer = way.component.expect("the ping's error", deadline, |stanza| stanza.attr("id") == Some("late")).await?;
    let took = start.elapsed();
    way.settle(Duration::from_secs(1)).await;
    let late = took.as_secs_f64() - patience.as_secs_f64();
    ensure!((-1.0..5.0).contains(&late), "{from:?} gave up after {took:?}");
    // It looks as if it came from the other side.
    ensure!(answer.attr("from") == Some(from.other().domain()), "{}", String::from(&answer));
    ensure!(way.flow.bounced.len() + 1 >= way.flow.messages, "{from:?}: {:?}", way.flow);
    let expected = match from {
        Site::Wonderland => ("remote-server-not-found", "cancel", Some(from.rooms())),
        Site::Denmark => ("remote-server-timeout", "wait", None),
    };
    for error in way.flow.bounced.values() {
        let found = (error.condition.as_str(), error.kind.as_str(), error.by.as_deref());
        ensure!(found == expected, "{from:?}: {error:?}");
    }
    Ok(())
}

#[test]
fn connect_never_answered_bounces_all_at_once() {
    // Prosody gives up after 90 s by default; ejabberd's 30 s cannot be changed.
    let world = World::builder().prosody(|config| config.global("s2s_timeout = 5"));
    alone(world, async |world| {
        world.border().set(Mode::Hole);
        let prosody = never_answered(world, Site::Wonderland, Duration::from_secs(5));
        let ejabberd = never_answered(world, Site::Denmark, Duration::from_secs(30));
        try_join(prosody, ejabberd).await.map(drop)
    });
}

#[test]
fn prosody_reorders_when_it_connects_and_a_lone_ping_cures_it() {
    let world = World::builder().component(Site::Wonderland, "calm.wonderland.lit");
    alone(world, async |world| {
        world.border().latency(LATENCY);
        let rash = async {
            let mut rash = Way::cold(world, Site::Wonderland, Site::Wonderland.rooms()).await?;
            rash.send(Duration::from_secs(5)).await?;
            rash.settle(Duration::from_secs(2)).await;
            anyhow::Ok(rash.flow)
        };
        let calm = async {
            let mut calm = Way::cold(world, Site::Wonderland, "calm.wonderland.lit").await?;
            calm.component.ping(Site::Denmark.domain(), "lone", SOON).await?;
            calm.send(Duration::from_secs(4)).await?;
            calm.settle(Duration::from_secs(1)).await;
            anyhow::Ok(calm.flow)
        };
        let (rash, calm) = try_join(rash, calm).await?;
        ensure!(rash.lost().is_empty() && rash.bounced.is_empty(), "{rash:?}");
        ensure!(!rash.in_order(), "Prosody kept the order while it connected: {:?}", rash.arrived);
        ensure!(calm.arrived.len() == calm.messages, "{calm:?}");
        ensure!(calm.in_order(), "the lone ping did not help: {:?}", calm.arrived);
        Ok(())
    });
}
