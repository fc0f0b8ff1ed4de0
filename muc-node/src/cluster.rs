//! The other pods, as the loop sees them: what the member and the sessions say becomes inputs of the pod, and what the pod
//! wants goes to them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;
use warren_mesh::View;
use warren_mesh::grpc::{Event, Events, Peers, proto};
use warren_model::{Incarnation, Shard};
use warren_pod::{Input, Request};

use crate::member::{Handle, News, Tenure};
use crate::mesh::wire;

/// Something that was heard.
#[derive(Debug)]
pub enum Heard {
    /// From the member.
    News(News),
    /// From other pods.
    Said(Event),
}

/// How far the end of this pod is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum End {
    #[default]
    No,
    /// Everything is being handed over.
    HandingOver,
    /// It is, or nothing can be done about it.
    Over,
}

/// Everything that a pod has to do with others.
#[derive(Debug)]
pub struct Cluster {
    me: Incarnation,
    member: Handle,
    tenure: Arc<Tenure>,
    news: UnboundedReceiver<News>,
    peers: Peers,
    events: Events,
    sessions: BTreeSet<Incarnation>,
    /// What is said in this turn.
    said: BTreeMap<Incarnation, Vec<proto::Frame>>,
    /// Shards that come to rest, or have, until it is known what became of their move.
    frozen: Vec<Shard>,
    /// Moves that were tried, ever.
    moves: u64,
    /// It is not known yet what became of the last one.
    tried: bool,
    end: End,
}

impl Cluster {
    /// The loop's view of these.
    pub fn new(
        me: Incarnation,
        (member, tenure, news): (Handle, Arc<Tenure>, UnboundedReceiver<News>),
        (peers, events): (Peers, Events),
    ) -> Self {
        Self {
            me,
            member,
            tenure,
            news,
            peers,
            events,
            sessions: BTreeSet::new(),
            said: BTreeMap::new(),
            frozen: Vec::new(),
            moves: 0,
            tried: false,
            end: End::No,
        }
    }

    /// Whether this pod may take the link from another one now.
    pub fn acts(&self, now: Duration) -> bool {
        // Who is handing it over has lost it, though the answer may be slow.
        self.end == End::No && self.tenure.acts(now)
    }

    /// Whether somebody has taken over. Who has handed over everything is closed, and knows it.
    pub fn is_closed(&self) -> bool {
        self.end == End::No && self.tenure.is_closed()
    }

    /// Whether everything is being handed over, or was.
    pub fn is_ending(&self) -> bool {
        self.end != End::No
    }

    /// Whether everything was handed over, as far as that can be done.
    pub fn is_over(&self) -> bool {
        self.end == End::Over
    }

    /// Waits until something is heard.
    pub async fn wait(&mut self) -> Heard {
        tokio::select! {
            Some(news) = self.news.recv() => Heard::News(news),
            Some(event) = self.events.recv() => Heard::Said(event),
            else => std::future::pending().await,
        }
    }

    /// What was heard and not taken yet.
    pub fn heard(&mut self) -> Option<Heard> {
        self.news.try_recv().ok().map(Heard::News).or_else(|| self.events.try_recv().map(Heard::Said))
    }

    /// What that means to the pod.
    pub fn hear(&mut self, heard: Heard) -> Vec<Input> {
        match heard {
            Heard::News(news) => self.news(news),
            Heard::Said(event) => self.said(event),
        }
    }

    fn news(&mut self, news: News) -> Vec<Input> {
        match news {
            News::View(view, moves) => {
                self.follow(&view);
                let mut inputs = vec![Input::View(view)];
                // An older view does not tell what became of the last move.
                if moves >= self.moves && !self.frozen.is_empty() && self.tried {
                    self.tried = false;
                    // What was moved is not ours any more, and nobody minds that it stays.
                    inputs.push(Input::Thaw(std::mem::take(&mut self.frozen)));
                }
                inputs
            }
            News::Freeze(shards) => {
                self.frozen.extend(&shards);
                vec![Input::Freeze(shards)]
            }
            News::Moved(moved) => {
                self.moves += 1;
                self.tried = true;
                vec![Input::Moved(moved)]
            }
            News::HandedOver(moved) => {
                self.end = End::Over;
                vec![Input::Moved(moved)]
            }
            News::Stranded => {
                self.end = End::Over;
                Vec::new()
            }
        }
    }

    fn follow(&self, view: &View) {
        let others = view.open().filter(|pod| pod.incarnation != self.me && !pod.address.is_empty());
        self.peers.set(others.map(|pod| (pod.incarnation, pod.address.to_string())).collect());
    }

    fn said(&mut self, event: Event) -> Vec<Input> {
        match event {
            Event::Connected(pod) => {
                tracing::info!(%pod, "a session with another node");
                self.sessions.insert(pod);
                self.member.ready(self.sessions.clone());
                vec![Input::Connected(pod)]
            }
            Event::Disconnected(pod) => {
                tracing::warn!(%pod, "the session with another node has ended");
                self.sessions.remove(&pod);
                self.said.remove(&pod);
                self.member.ready(self.sessions.clone());
                vec![Input::Disconnected(pod)]
            }
            Event::Refused(pod) => vec![Input::Refused(pod)],
            Event::Frame(pod, frame) => match wire::decode(frame) {
                Ok(frame) => vec![Input::Frame(pod, frame)],
                Err(error) => {
                    self.peers.end(pod, &error.to_string());
                    Vec::new()
                }
            },
        }
    }

    /// Carries out what the pod wants of others.
    pub fn carry_out(&mut self, request: Request) {
        match request {
            Request::Frame(to, frame) => self.said.entry(to).or_default().push(wire::encode(&frame)),
            Request::View => self.member.poke(),
            Request::Frozen(shards) => self.member.frozen(shards),
            Request::Drained => {
                self.end = End::HandingOver;
                self.member.hand_over();
            }
            Request::Suspect { pod, by } => self.member.refused(pod, by),
            _ => {}
        }
    }

    /// Says what was said in this turn.
    pub fn flush(&mut self) {
        for (to, frames) in std::mem::take(&mut self.said) {
            self.peers.send(to, frames);
        }
    }

    /// Ends all sessions when what was said is on its way.
    pub async fn shutdown(self) {
        self.peers.shutdown().await;
    }
}
