//! Facts about real Prosody and ejabberd that the design stands on, as tests.
//!
//! Here is what the tests share: one world for all tests of a binary, stanzas as text, and a flow of numbered
//! messages with an account of what became of each.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::OnceLock,
    time::Duration,
};

use anyhow::Result;
use tokio::{
    runtime::Runtime,
    time::{Instant, sleep_until},
};
use warren_testkit::peers::{Arrival, Component, StanzaError, World, WorldBuilder, body_of, component::ping, error_of};

/// How long a stanza may take that nothing delays, on a busy machine.
pub const SOON: Duration = Duration::from_secs(10);

/// How long we wait for what must not come. Servers answer within 20 ms.
pub const QUIET: Duration = Duration::from_millis(500);

/// No test takes longer.
const LIMIT: Duration = Duration::from_secs(110);

fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a tokio runtime")
    })
}

/// Runs a test against the one world of this test binary, which the first test starts.
///
/// # Panics
/// When the test fails, when it takes too long, or when the world does not start.
pub fn shared(builder: impl FnOnce() -> WorldBuilder, test: impl AsyncFnOnce(&'static World) -> Result<()>) {
    static WORLD: tokio::sync::OnceCell<World> = tokio::sync::OnceCell::const_new();
    run(async {
        let world = WORLD.get_or_try_init(|| async { builder().start().await }).await?;
        test(world).await
    });
}

/// Runs a test against a world of its own: for those that break it.
///
/// # Panics
/// When the test fails, when it takes too long, or when the world does not start.
pub fn alone(builder: WorldBuilder, test: impl AsyncFnOnce(&World) -> Result<()>) {
    run(async {
        let world = builder.start().await?;
        test(&world).await
    });
}

/// Runs a test.
///
/// # Panics
/// When the test fails or takes too long.
pub fn run(test: impl Future<Output = Result<()>>) {
    let outcome = runtime().block_on(async { tokio::time::timeout(LIMIT, test).await });
    match outcome {
        Ok(Ok(())) => {}
        Ok(Err(error)) => panic!("{error:#}"),
        Err(elapsed) => panic!("not done after {LIMIT:?}: {elapsed}"),
    }
}

/// A groupchat message with a body.
pub fn groupchat(from: &str, to: &str, id: &str) -> String {
    format!("<message type='groupchat' from='{from}' to='{to}' id='{id}'><body>{id}</body></message>")
}

/// What became of a flow of messages `m0`, `m1` … and pings `p0`, `p1` …
#[derive(Default)]
pub struct Flow {
    /// How many messages were sent.
    pub messages: usize,
    /// How many pings were sent.
    pub pings: usize,
    /// When each was sent.
    pub sent: BTreeMap<String, Instant>,
    /// Numbers of the messages that arrived, as they arrived.
    pub arrived: Vec<usize>,
    /// Messages that came back with an error.
    pub bounced: BTreeMap<usize, StanzaError>,
    /// Pings answered, with the answer's type and time.
    pub answered: BTreeMap<usize, (String, Instant)>,
    /// When the next message and the next ping are due: the rhythm goes on over several calls.
    due: Option<(Instant, Instant)>,
}

impl Flow {
    /// Sends groupchat messages from `room` and pings from the component's bare domain, evenly spread, for
    /// a time. May be called several times: numbers go on.
    ///
    /// # Errors
    /// When the component's connection ends.
    pub async fn send(&mut self, by: &Component, room: &str, to: &str, every: Every, time: Duration) -> Result<()> {
        let domain = to.split_once('@').map_or(to, |(_, rest)| rest.split('/').next().unwrap_or(rest));
        let start = Instant::now();
        let (mut message_due, mut ping_due) = self.due.unwrap_or((start, start));
        (message_due, ping_due) = (message_due.max(start), ping_due.max(start));
        loop {
            let due = message_due.min(ping_due);
            if due >= start + time {
                self.due = Some((message_due, ping_due));
                sleep_until(start + time).await;
                return Ok(());
            }
            sleep_until(due).await;
            // A message before a ping of the same moment: so the ping stands behind something.
            let id = if due == message_due {
                let id = format!("m{}", self.messages);
                by.send(&groupchat(room, to, &id)).await?;
                self.messages += 1;
                message_due += every.message;
                id
            } else {
                let id = format!("p{}", self.pings);
                by.send(&ping(by.domain(), domain, &id)).await?;
                self.pings += 1;
                ping_due += every.ping;
                id
            };
            self.sent.insert(id, Instant::now());
        }
    }

    /// Adds what the receiver has read.
    pub fn arrivals(&mut self, arrivals: &[Arrival]) {
        let bodies = arrivals.iter().filter_map(|arrival| body_of(&arrival.stanza));
        self.arrived.extend(bodies.filter_map(|body| body.strip_prefix('m')?.parse::<usize>().ok()));
    }

    /// Adds what came back to the sender.
    pub fn answers(&mut self, answers: &[Arrival]) {
        for Arrival { at, stanza } in answers {
            let id = stanza.attr("id").unwrap_or_default();
            let number = id.get(1..).and_then(|rest| rest.parse::<usize>().ok());
            match (stanza.name(), number, error_of(stanza)) {
                ("message", Some(number), Some(error)) => drop(self.bounced.insert(number, error)),
                ("iq", Some(number), _) => {
                    let kind = stanza.attr("type").unwrap_or_default().to_owned();
                    self.answered.insert(number, (kind, *at));
                }
                _ => {}
            }
        }
    }

    /// What became of everything, in one line for people (`cargo test -- --nocapture`).
    pub fn account(&self) -> String {
        format!(
            "{} messages: {} read, {} bounced, {} lost silently, {}; {} pings: {} results, {} errors",
            self.messages,
            self.arrived.len(),
            self.bounced.len(),
            self.lost().len(),
            if self.in_order() { "in order" } else { "reordered" },
            self.pings,
            self.results().len(),
            self.answered.len() - self.results().len(),
        )
    }

    /// Numbers of messages that neither arrived nor came back.
    pub fn lost(&self) -> Vec<usize> {
        let arrived: BTreeSet<usize> = self.arrived.iter().copied().collect();
        (0..self.messages).filter(|number| !arrived.contains(number) && !self.bounced.contains_key(number)).collect()
    }

    /// Numbers of messages sent in this time, both ends excluded.
    pub fn sent_between(&self, start: Instant, end: Instant) -> Vec<usize> {
        self.numbers('m', start, end)
    }

    /// Numbers of pings sent in this time, both ends excluded.
    pub fn pinged_between(&self, start: Instant, end: Instant) -> Vec<usize> {
        self.numbers('p', start, end)
    }

    fn numbers(&self, kind: char, start: Instant, end: Instant) -> Vec<usize> {
        let inside = self.sent.iter().filter(|(_, at)| start < **at && **at < end);
        let mut numbers: Vec<usize> = inside.filter_map(|(id, _)| id.strip_prefix(kind)?.parse().ok()).collect();
        numbers.sort_unstable();
        numbers
    }

    /// Whether every message arrived after the one before it.
    pub fn in_order(&self) -> bool {
        self.arrived.is_sorted()
    }

    /// Pings that were answered with `result`.
    pub fn results(&self) -> Vec<usize> {
        self.answered.iter().filter(|(_, (kind, _))| kind == "result").map(|(number, _)| *number).collect()
    }
}

impl std::fmt::Debug for Flow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let errors: BTreeSet<String> = self.bounced.values().map(|error| format!("{error:?}")).collect();
        write!(f, "{}; lost {:?}; errors {errors:?}", self.account(), self.lost())
    }
}

/// How often a [`Flow`] sends.
#[derive(Clone, Copy, Debug)]
pub struct Every {
    /// Time between two messages.
    pub message: Duration,
    /// Time between two pings.
    pub ping: Duration,
}
