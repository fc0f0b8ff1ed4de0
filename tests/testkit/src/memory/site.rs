//! One site: a pod, a store that answers at once, and the other end of its component link.

use anyhow::{Context, Result, bail};
use jid::BareJid;
use warren_model::config::ComponentConfig;
use warren_model::{
    Batch, Body, Generation, Lane, Now, Object, ObjectKind, ObjectName, PeerConfig, RoomConfig, ServiceConfig,
    ServiceTimers,
};
use warren_pod::{Input, Outcome, Pod, Request, Settings, Stored};
use warren_shard::Epochs;
use warren_store::{Backend, CommitError, Completion, Incarnation, Memory, Ownership, Reader, Window, Work};
use warren_xmpp::{Decoder, Event, Limits, Stanza, ns};

/// What a site's server would have to deal with.
pub type Outgoing = Stanza;

/// Header of the stream that the site's output is read with.
const HEADER: &[u8] = b"<stream:stream xmlns='jabber:component:accept' \
    xmlns:stream='http://etherx.jabber.org/streams' from='site' id='1'>";

/// One site.
pub struct MemorySite {
    domain: String,
    store: Memory,
    running: Option<Running>,
    starts: u64,
}

struct Running {
    pod: Pod,
    ownership: Ownership,
    wire: Decoder,
    answers: Vec<Outcome>,
}

impl MemorySite {
    /// A site that has never run.
    pub fn new(domain: &str) -> Self {
        Self { domain: domain.to_owned(), store: Memory::new(), running: None, starts: 0 }
    }

    /// Its domain.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// Whether it runs.
    pub fn is_up(&self) -> bool {
        self.running.is_some()
    }

    /// The pod, if it runs.
    pub fn pod(&self) -> Option<&Pod> {
        self.running.as_ref().map(|running| &running.pod)
    }

    /// The store.
    pub fn store(&mut self) -> &mut Memory {
        &mut self.store
    }

    /// Starts on what is stored and connects.
    pub fn start(&mut self, now: Now) -> Result<()> {
        self.starts += 1;
        let ownership = self.store.take_over(Incarnation(u128::from(self.starts)), now.wall)?;
        let stored = Stored::read(&mut self.store)?;
        let settings = Settings {
            epochs: Epochs::all(ownership.epoch),
            lane: ownership.lane,
            shard: warren_shard::Settings { check_invariants: true, ..warren_shard::Settings::default() },
            egress: warren_egress::Settings {
                incarnation: self.starts,
                check: true,
                ..warren_egress::Settings::default()
            },
        };
        let mut requests = Vec::new();
        // Fixed: the same story gives the same bytes. The domain makes sites differ.
        let mut seed = self.domain.bytes().fold(self.starts, |sum, b| sum.wrapping_mul(31).wrapping_add(u64::from(b)));
        let entropy = move || {
            let mut bytes = [0; 48];
            for byte in &mut bytes {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                *byte = seed.to_be_bytes()[0];
            }
            bytes
        };
        let pod = Pod::new(&self.domain, settings, stored, entropy, now, &mut requests);
        let mut wire = Decoder::new(ns::COMPONENT, Limits::default());
        wire.feed(HEADER);
        while let Ok(Some(_)) = wire.next() {}
        self.running = Some(Running { pod, ownership, wire, answers: Vec::new() });
        self.carry_out(requests, now)?;
        self.handle(Input::LinkUp, now)
    }

    /// Ends without warning.
    pub fn crash(&mut self) {
        self.running = None;
    }

    /// Applies the service, its peers and its rooms.
    pub fn apply(
        &mut self,
        service: ServiceConfig,
        peers: Vec<PeerConfig>,
        rooms: Vec<(BareJid, RoomConfig)>,
        now: Now,
    ) -> Result<()> {
        self.apply_one(ObjectKind::MucService, "service", Body::Service(service), now)?;
        for peer in peers {
            let name = peer.domain.to_string();
            self.apply_one(ObjectKind::FederationPeer, &name, Body::Peer(peer), now)?;
        }
        for (jid, config) in rooms {
            let name = jid.to_string();
            self.apply_one(
                ObjectKind::FederatedRoom,
                &name,
                Body::Room { jid, config, destroy_on_delete: false },
                now,
            )?;
        }
        Ok(())
    }

    fn apply_one(&mut self, kind: ObjectKind, name: &str, body: Body, now: Now) -> Result<()> {
        let object = Object {
            name: ObjectName { kind, namespace: "story".to_owned(), name: name.to_owned() },
            uid: format!("{}/{name}", kind.as_str()),
            generation: Generation(1),
            digest: String::new(),
            body,
        };
        let mut entropy = [0; 48];
        for (n, (byte, c)) in entropy.iter_mut().zip(name.bytes().chain(self.domain.bytes()).cycle()).enumerate() {
            *byte = c.wrapping_mul(31).wrapping_add(u8::try_from(n).unwrap_or_default());
        }
        self.handle(Input::Apply { call: 1, object: Box::new(object), entropy }, now)?;
        match self.running.as_mut().and_then(|running| running.answers.pop()) {
            Some(Outcome::Done(_)) => Ok(()),
            Some(Outcome::Refused(why)) => bail!("{name} was refused: {why}"),
            Some(Outcome::Failed(why)) => bail!("{name} was not taken: {why}"),
            None => bail!("{name} was not answered"),
        }
    }

    /// One input, and everything the store has to do about it, at once.
    pub fn handle(&mut self, input: Input, now: Now) -> Result<()> {
        let Some(running) = &mut self.running else { return Ok(()) };
        let mut requests = Vec::new();
        running.pod.handle(input, now, &mut requests);
        self.carry_out(requests, now)
    }

    fn carry_out(&mut self, requests: Vec<Request>, now: Now) -> Result<()> {
        let mut queue = std::collections::VecDeque::from(requests);
        while let Some(request) = queue.pop_front() {
            let Some(running) = &mut self.running else { return Ok(()) };
            let input = match request {
                Request::Load(room) => {
                    let rows = self.store.load_room(&room, Window { messages: warren_room::WINDOW, keys: 1000 })?;
                    Input::Loaded(room, Ok(rows))
                }
                Request::Page { room, read, after, max } => {
                    Input::Page(room, read, Ok(self.store.page(room, after, max)?))
                }
                Request::Write(work) => match self.commit(work)? {
                    Some(completion) => Input::Store(completion),
                    None => continue,
                },
                Request::Trim(awaited) => {
                    self.store.trim_batches(running.ownership.lane, &awaited).context("trim")?;
                    continue;
                }
                Request::Answer { outcome, .. } => {
                    running.answers.push(outcome);
                    continue;
                }
                Request::Dead => bail!("{} says that another owner has taken over", self.domain),
            };
            let Some(running) = &mut self.running else { return Ok(()) };
            let mut more = Vec::new();
            running.pod.handle(input, now, &mut more);
            queue.extend(more);
        }
        Ok(())
    }

    fn commit(&mut self, work: Work) -> Result<Option<Completion>> {
        let Some(running) = &self.running else { return Ok(None) };
        let lane: Lane = running.ownership.lane;
        let ticket = work.ticket();
        let answer: Result<Batch, CommitError> = self.store.commit(lane, &[work]);
        Ok(match (answer, ticket) {
            (Ok(batch), Some(ticket)) => Some(Completion::Done { ticket, lane, batch }),
            (Ok(_), None) => None,
            (Err(CommitError::Fenced), _) => Some(Completion::Fenced),
            (Err(why), _) => bail!("the store of {} refused a write: {why}", self.domain),
        })
    }

    /// What the site has to say, as its server reads it.
    pub fn output(&mut self, now: Now) -> Result<Vec<Outgoing>> {
        let Some(running) = &mut self.running else { return Ok(Vec::new()) };
        let mut said = Vec::new();
        let mut bytes = Vec::new();
        while running.pod.write(&mut bytes, 64 << 10, now) > 0 {
            running.wire.feed(&bytes);
            bytes.clear();
            loop {
                match running.wire.next() {
                    Ok(Some(Event::Stanza(stanza))) => said.push(stanza),
                    Ok(Some(other)) => bail!("{} wrote what is not a stanza: {other:?}", self.domain),
                    Ok(None) => break,
                    Err(fault) => bail!("{} wrote what its server would not read: {fault:?}", self.domain),
                }
            }
        }
        Ok(said)
    }
}

/// A service without a server, for sites in memory.
pub(super) fn service(domain: &str, home: impl IntoIterator<Item = Box<str>>) -> ServiceConfig {
    ServiceConfig {
        domain: domain.into(),
        home_domains: home.into_iter().collect(),
        component: ComponentConfig { host: String::new(), port: 0, secret: String::new() },
        timers: ServiceTimers::default(),
    }
}
