//! One site: a pod, a store that answers at once, and the other end of its component link.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use jid::BareJid;
use warren_control::Change;
use warren_mesh::{PodSeen, View};
use warren_model::config::ComponentConfig;
use warren_model::{
    Batch, Body, Epoch, Generation, Lane, Now, Object, ObjectKind, ObjectName, Path, PeerConfig, RoomConfig,
    ServiceConfig, ServiceTimers, Shard, Thing,
};
use warren_pod::{Input, Outcome, Pod, Request, Settings, Stored};
use warren_shard::Epochs;
use warren_store::{
    Assignment, Backend, Claim, Cluster, CommitError, Completion, Incarnation, Join, Memory, Ownership, PodState,
    Reader, Window, Work,
};
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
    /// How many pods it has. Of several one has the link, another one the rooms, and a third one decides about
    /// configuration.
    size: usize,
}

struct Running {
    pods: Vec<Member>,
    wire: Decoder,
    answers: Vec<Outcome>,
}

/// One pod.
struct Member {
    me: Incarnation,
    pod: Pod,
    lane: Lane,
}

impl MemorySite {
    /// A site that has never run.
    pub fn new(domain: &str, size: usize) -> Self {
        Self { domain: domain.to_owned(), store: Memory::new(), running: None, starts: 0, size }
    }

    /// Its domain.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// Whether it runs.
    pub fn is_up(&self) -> bool {
        self.running.is_some()
    }

    /// When something is due.
    pub fn next_deadline(&self) -> Option<Duration> {
        self.running.iter().flat_map(|running| &running.pods).filter_map(|pod| pod.pod.next_deadline()).min()
    }

    /// The store.
    pub fn store(&mut self) -> &mut Memory {
        &mut self.store
    }

    /// Starts on what is stored and connects.
    pub fn start(&mut self, now: Now) -> Result<()> {
        let mut wire = Decoder::new(ns::COMPONENT, Limits::default());
        wire.feed(HEADER);
        while let Ok(Some(_)) = wire.next() {}
        self.running = Some(Running { pods: Vec::new(), wire, answers: Vec::new() });
        if self.size == 1 {
            self.start_alone(now)?;
        } else {
            self.start_several(now)?;
        }
        self.handle(Input::LinkUp, now)
    }

    fn start_alone(&mut self, now: Now) -> Result<()> {
        self.starts += 1;
        let me = Incarnation(u128::from(self.starts));
        let Ownership { epoch, lane, .. } = self.store.take_over(me, now.wall)?;
        let stored = Stored::read(&mut self.store)?;
        self.start_pod(me, lane, Some(epoch), stored, now)
    }

    fn start_several(&mut self, now: Now) -> Result<()> {
        let mut joined = Vec::new();
        for n in 0..self.size {
            self.starts += 1;
            let me = Incarnation(u128::from(self.starts));
            let join = Join { name: format!("pod-{n}").into(), incarnation: me, address: Box::default(), lanes: 1 };
            let lane = self.store.join(&join)?.lanes.first().context("no lane")?.lane;
            joined.push((me, lane));
        }
        let [first, second, third] = [0, 1, 2].map(|n| joined[n % joined.len()].0);
        let domain = Shard::of(&BareJid::new(&self.domain)?);
        let view = Cluster::view(&mut self.store)?;
        let shards = view.shards.iter().map(|row| {
            let to = if row.shard == domain { third } else { second };
            (Assignment { thing: Thing::Shard(row.shard), to }, row.epoch)
        });
        let link = Path::new(self.domain.as_str(), "");
        let seen = view.links.iter().find(|row| row.link == link).map(|row| row.epoch).unwrap_or_default();
        let links = [(Assignment { thing: Thing::Link(link), to: first }, seen)];
        let claims: Vec<_> = shards.chain(links).map(|(assignment, seen)| Claim { assignment, seen }).collect();
        drop(self.store.claim(first, &claims, now.wall)?);
        for (me, lane) in &joined {
            let stored = Stored::objects_only(&mut self.store)?;
            self.start_pod(*me, *lane, None, stored, now)?;
        }
        for (at, (me, _)) in joined.iter().enumerate() {
            for (other, _) in joined.iter().filter(|(other, _)| other != me) {
                self.give(at, Input::Connected(*other), now)?;
            }
            let view = Input::View(self.view()?);
            self.give(at, view, now)?;
        }
        Ok(())
    }

    fn start_pod(&mut self, me: Incarnation, lane: Lane, alone: Option<Epoch>, stored: Stored, now: Now) -> Result<()> {
        let settings = Settings {
            me,
            alone: alone.is_some(),
            epochs: alone.map_or_else(Epochs::none, Epochs::all),
            seed: self.seed(),
            lane,
            shard: warren_shard::Settings { check_invariants: true, ..warren_shard::Settings::default() },
            egress: warren_egress::Settings {
                incarnation: u64::try_from(me.0)?,
                check: true,
                ..warren_egress::Settings::default()
            },
        };
        let mut requests = Vec::new();
        let pod = Pod::new(&self.domain, settings, stored, now, &mut requests);
        let running = self.running.as_mut().context("it does not run")?;
        running.pods.push(Member { me, pod, lane });
        let at = running.pods.len() - 1;
        self.carry_out(at, requests, now)
    }

    fn view(&mut self) -> Result<Arc<View>> {
        let view = Cluster::view(&mut self.store)?;
        let pods = view.pods.into_iter().map(|pod| PodSeen {
            incarnation: pod.incarnation,
            name: pod.name,
            address: pod.address,
            beat: pod.beat,
            open: pod.state == PodState::Open,
        });
        Ok(Arc::new(View {
            pods: pods.collect(),
            shards: view.shards.into_iter().map(|row| (row.owner, row.epoch)).collect(),
            links: view.links.into_iter().map(|row| (row.link, (row.owner, row.epoch))).collect(),
        }))
    }

    /// Fixed: the same story gives the same bytes. The domain makes sites differ.
    fn seed(&self) -> [u8; 32] {
        let mut seed = [0; 32];
        for (n, (byte, c)) in seed.iter_mut().zip(self.domain.bytes().cycle()).enumerate() {
            *byte = c.wrapping_mul(31).wrapping_add(u8::try_from(n).unwrap_or_default());
        }
        seed[0] = seed[0].wrapping_add(u8::try_from(self.starts % 256).unwrap_or_default());
        seed
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
        self.handle(Input::Change { call: 1, change: Change::Apply(Box::new(object)) }, now)?;
        match self.running.as_mut().and_then(|running| running.answers.pop()) {
            Some(Outcome::Done(_)) => Ok(()),
            Some(Outcome::Refused(why)) => bail!("{name} was refused: {why}"),
            Some(Outcome::Failed(why)) => bail!("{name} was not taken: {why}"),
            None => bail!("{name} was not answered"),
        }
    }

    /// One input of the pod that has the link, and everything that follows from it, at once.
    pub fn handle(&mut self, input: Input, now: Now) -> Result<()> {
        self.give(0, input, now)
    }

    /// Time has passed, for all pods.
    pub fn tick(&mut self, now: Now) -> Result<()> {
        for at in 0..self.running.as_ref().map_or(0, |running| running.pods.len()) {
            let pod = self.running.as_ref().and_then(|running| running.pods.get(at));
            if pod.and_then(|pod| pod.pod.next_deadline()).is_some_and(|due| due <= now.mono) {
                self.give(at, Input::Tick, now)?;
            }
        }
        Ok(())
    }

    fn give(&mut self, at: usize, input: Input, now: Now) -> Result<()> {
        let pod = self.running.as_mut().and_then(|running| running.pods.get_mut(at));
        let Some(pod) = pod else { return Ok(()) };
        let mut requests = Vec::new();
        pod.pod.handle(input, now, &mut requests);
        self.carry_out(at, requests, now)
    }

    fn carry_out(&mut self, at: usize, requests: Vec<Request>, now: Now) -> Result<()> {
        let mut queue: VecDeque<(usize, Request)> = requests.into_iter().map(|request| (at, request)).collect();
        while let Some((at, request)) = queue.pop_front() {
            let Some((at, input)) = self.answer(at, request)? else { continue };
            let pod = self.running.as_mut().and_then(|running| running.pods.get_mut(at));
            let Some(pod) = pod else { continue };
            let mut more = Vec::new();
            pod.pod.handle(input, now, &mut more);
            queue.extend(more.into_iter().map(|request| (at, request)));
        }
        Ok(())
    }

    /// What comes of a request, and for whom.
    fn answer(&mut self, at: usize, request: Request) -> Result<Option<(usize, Input)>> {
        let Some(running) = &mut self.running else { return Ok(None) };
        let Some(Member { me, lane, .. }) = running.pods.get(at) else { return Ok(None) };
        let (me, lane) = (*me, *lane);
        let input = match request {
            Request::Load(room) => {
                let rows = self.store.load_room(&room, Window { messages: warren_room::WINDOW, keys: 1000 })?;
                Input::Loaded(room, Ok(rows))
            }
            Request::Page { room, read, after, max } => Input::Page(room, read, Ok(self.store.page(room, after, max)?)),
            Request::Write(work) => match self.commit(lane, work)? {
                Some(completion) => Input::Store(vec![completion]),
                None => return Ok(None),
            },
            Request::Trim(awaited) => {
                self.store.trim_batches(lane, &awaited).context("trim")?;
                return Ok(None);
            }
            Request::Answer { outcome, .. } => {
                running.answers.push(outcome);
                return Ok(None);
            }
            Request::Frame(to, frame) => {
                let to = running.pods.iter().position(|pod| pod.me == to);
                return Ok(to.map(|to| (to, Input::Frame(me, frame))));
            }
            Request::View => Input::View(self.view()?),
            Request::Backlog => Input::Backlog(Ok(self.store.backlog()?)),
            Request::Objects => Input::Objects(Ok(self.store.objects()?)),
            Request::Occupied => Input::Occupied(Ok(self.store.rooms_with_occupants(None)?)),
            Request::Link(_) | Request::Reports { .. } => return Ok(None),
            Request::Frozen(_) | Request::Drained | Request::Suspect { .. } => {
                bail!("{}: nobody has asked for {request:?}", self.domain)
            }
            Request::Dead => bail!("{} says that another owner has taken over", self.domain),
        };
        Ok(Some((at, input)))
    }

    fn commit(&mut self, lane: Lane, work: Work) -> Result<Option<Completion>> {
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
        let Some(Member { pod, .. }) = running.pods.first_mut() else { return Ok(said) };
        while pod.write(&mut bytes, 64 << 10, now) > 0 {
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
