//! Apply and Remove (design: the answer is the acknowledgement): checked against what is applied,
//! persisted, then carried out, then answered.
//!
//! Of several pods the owner of the shard of the service's own address decides, since it must see two rooms that want
//! one address. The others pass calls on to it, and are told what is durable.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jid::BareJid;
use warren_control::{Applied, Change, Refusal, RoomObject};
use warren_model::{Birth, Body, Incarnation, Now, Object, ObjectKind, ObjectName, Secret, Shard, Ticket};
use warren_room::{Declared, Site};
use warren_shard::In;
use warren_store::Work;

use super::{Frame, OWN_TICKETS, Pod, Request};

/// What became of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Done and durable.
    Done(Applied),
    /// Refused; nothing has changed.
    Refused(Refusal),
    /// It could not be made durable, or not looked at; nothing has changed, and the call may be made again.
    Failed(String),
}

/// Who has called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Caller {
    /// The shell of this pod.
    Here(u64),
    /// Another pod.
    Pod(Incarnation, u64),
}

/// Calls that others decide about, and what is known of their decisions.
#[derive(Debug, Default)]
pub(super) struct Calls {
    last: u64,
    /// By our number: who decides, and the shell's number.
    passed: BTreeMap<u64, (Incarnation, u64)>,
    /// Who decided when it was looked last.
    leader: Option<Incarnation>,
    /// All objects are being read; what has changed since the reading began.
    reading: Option<BTreeSet<ObjectName>>,
    /// Calls that wait for that, if this pod decides.
    waiting: Vec<(Caller, Change)>,
    /// Calls of ours for which nobody can be found who decides, and until when that is waited for.
    homeless: Vec<(u64, Change, Duration)>,
}

/// So long a call waits for somebody who decides: longer than a fail-over takes.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// A call whose object is being written.
pub(super) struct Pending {
    call: Caller,
    applied: Applied,
    what: What,
}

enum What {
    Apply { object: Box<Object>, before: Option<Box<Object>> },
    Remove { gone: Box<Object> },
}

impl Pod {
    /// The pod that decides about objects.
    pub(super) fn leader(&self) -> Option<Incarnation> {
        if self.alone {
            return Some(self.me);
        }
        let service = BareJid::new(&self.site.domain).ok()?;
        self.table.shard(Shard::of(&service)).who
    }

    /// A call, for whoever decides.
    pub(super) fn call(&mut self, call: u64, change: Change, until: Duration) {
        match self.leader() {
            Some(leader) if leader == self.me => self.decide(Caller::Here(call), change),
            Some(leader) if self.sessions.contains(&leader) => {
                self.calls.last += 1;
                let number = self.calls.last;
                self.calls.passed.insert(number, (leader, call));
                self.say(leader, Frame::Call { call: number, change });
            }
            _ => self.calls.homeless.push((call, change, until)),
        }
    }

    /// Looks again for whoever decides about calls that wait for that; those that have waited for too long fail.
    pub(super) fn call_again(&mut self, now: Now) {
        for (call, change, until) in std::mem::take(&mut self.calls.homeless) {
            if until > now.mono {
                self.call(call, change, until);
            } else {
                let why = "the node that decides about configuration cannot be reached: try again";
                self.requests.push(Request::Answer { call, outcome: Outcome::Failed(why.to_owned()) });
            }
        }
    }

    /// A call that another pod has passed on.
    pub(super) fn called(&mut self, from: Incarnation, call: u64, change: Change) {
        if self.leader() == Some(self.me) {
            return self.decide(Caller::Pod(from, call), change);
        }
        let why = "another node decides about configuration now: try again";
        self.say(from, Frame::Answered { call, outcome: Outcome::Failed(why.to_owned()) });
    }

    /// What became of a call that was passed on.
    pub(super) fn answered(&mut self, call: u64, outcome: Outcome) {
        if let Some((_, call)) = self.calls.passed.remove(&call) {
            self.requests.push(Request::Answer { call, outcome });
        }
    }

    /// Nothing will be heard of these any more.
    pub(super) fn calls_failed(&mut self, pod: Incarnation) {
        let lost = self.calls.passed.extract_if(.., |_, (leader, _)| *leader == pod);
        for (_, (_, call)) in lost {
            let why = "the node that decides about configuration was lost before it answered: try again";
            self.requests.push(Request::Answer { call, outcome: Outcome::Failed(why.to_owned()) });
        }
        self.calls.waiting.retain(|(caller, _)| !matches!(caller, Caller::Pod(from, _) if *from == pod));
    }

    fn decide(&mut self, call: Caller, change: Change) {
        if self.calls.reading.is_some() {
            // What others decided before us is not all known yet.
            return self.calls.waiting.push((call, change));
        }
        match change {
            Change::Apply(object) => self.apply(call, *object),
            Change::Remove { name, uid } => self.remove(call, name, &uid),
        }
    }

    /// Somebody else decides about objects than before: what was missed is read.
    pub(super) fn leader_changed(&mut self) {
        let leader = self.leader();
        if leader != self.calls.leader {
            self.calls.leader = leader;
            self.read_objects();
        }
    }

    /// Reads all objects.
    pub(super) fn read_objects(&mut self) {
        self.calls.reading = Some(BTreeSet::new());
        self.requests.push(Request::Objects);
    }

    /// All objects, as they were stored a moment ago.
    pub(super) fn objects(&mut self, objects: Result<Vec<Object>, String>, now: Now) {
        let Some(changed) = self.calls.reading.take() else { return };
        match objects {
            Ok(objects) => {
                let stored: BTreeSet<ObjectName> = objects.iter().map(|object| object.name.clone()).collect();
                let gone = self.registry.objects().filter(|object| !stored.contains(&object.name));
                let gone: Vec<Object> = gone.filter(|object| !changed.contains(&object.name)).cloned().collect();
                for Object { name, uid, .. } in gone {
                    self.changed(Change::Remove { name, uid }, now);
                }
                for object in objects.into_iter().filter(|object| !changed.contains(&object.name)) {
                    self.changed(Change::Apply(Box::new(object)), now);
                }
            }
            Err(error) => {
                tracing::warn!(error, "the objects cannot be read: tried again");
                self.objects_at = Some(now.mono + super::BEAT);
                self.calls.reading = Some(changed);
                return;
            }
        }
        for (call, change) in std::mem::take(&mut self.calls.waiting) {
            match call {
                Caller::Here(call) => self.call(call, change, now.mono + PATIENCE),
                Caller::Pod(from, call) => self.called(from, call, change),
            }
        }
    }

    /// A change that is durable, as whoever decided it says, or the store.
    pub(super) fn changed(&mut self, change: Change, now: Now) {
        let name = match &change {
            Change::Apply(object) => &object.name,
            Change::Remove { name, .. } => name,
        };
        if let Some(changed) = &mut self.calls.reading {
            changed.insert(name.clone());
        }
        match change {
            Change::Apply(object) => {
                let (name, uid) = (object.name.clone(), object.uid.clone());
                match self.registry.apply(*object) {
                    Ok(Applied::Unchanged) => {}
                    Ok(_) => self.take_effect(&name, &uid, now),
                    // It contradicts something that is gone by now, or it is older: the store knows.
                    Err(refused) => {
                        tracing::debug!(%name, %refused, "a change that does not fit what is known here");
                        if self.calls.reading.is_none()
                            && !matches!(refused, warren_control::Refused::LowerGeneration { .. })
                        {
                            self.read_objects();
                        }
                    }
                }
            }
            Change::Remove { name, uid } => {
                if let Some(gone) = self.registry.remove(&name, &uid) {
                    self.end_effect(gone.body, now);
                }
            }
        }
    }

    /// An object is in force.
    fn take_effect(&mut self, name: &ObjectName, uid: &str, now: Now) {
        if name.kind != ObjectKind::FederatedRoom {
            return self.site_changed(now);
        }
        let room = self.registry.rooms().find(|room| room.uid == uid);
        if let Some(room) = room.filter(|room| self.alone || self.mine.contains_key(&Shard::of(room.jid))) {
            let declared = declared(&room, self.seeds.next());
            self.shard(In::Declare(declared), now);
        }
    }

    /// An object is not in force any more.
    fn end_effect(&mut self, body: Body, now: Now) {
        match body {
            Body::Room { jid, destroy_on_delete, .. } => {
                if self.alone || self.mine.contains_key(&Shard::of(&jid)) {
                    self.shard(In::Withdraw { room: jid, destroy: destroy_on_delete, reason: None }, now);
                }
            }
            _ => self.site_changed(now),
        }
    }

    fn apply(&mut self, call: Caller, object: Object) {
        if let Some(refusal) = self.not_ours(&object) {
            return self.answer(call, Outcome::Refused(refusal));
        }
        let before = self.registry.get(&object.uid).cloned().map(Box::new);
        match self.registry.apply(object.clone()) {
            Err(refused) => self.answer(call, Outcome::Refused(refused.into())),
            Ok(Applied::Unchanged) => self.answer(call, Outcome::Done(Applied::Unchanged)),
            Ok(applied) => {
                let ticket = self.own_ticket();
                let what = What::Apply { object: Box::new(object.clone()), before };
                self.applying.insert(ticket, Pending { call, applied, what });
                self.requests.push(Request::Write(Work::Object { ticket, object: Box::new(object) }));
            }
        }
    }

    fn remove(&mut self, call: Caller, name: ObjectName, uid: &str) {
        let Some(gone) = self.registry.remove(&name, uid) else {
            return self.answer(call, Outcome::Done(Applied::Unchanged));
        };
        let ticket = self.own_ticket();
        let what = What::Remove { gone: Box::new(gone) };
        self.applying.insert(ticket, Pending { call, applied: Applied::Changed, what });
        self.requests.push(Request::Write(Work::ObjectGone { ticket, name }));
    }

    /// A pod serves one domain: what belongs to another one is a mistake of whoever has sent it here.
    fn not_ours(&self, object: &Object) -> Option<Refusal> {
        let (domain, field) = match &object.body {
            Body::Service(service) => (&*service.domain, "spec.domain"),
            Body::Room { jid, .. } => (jid.domain().as_str(), "spec.serviceRef"),
            Body::Peer(_) => return None,
        };
        (domain != &*self.site.domain).then(|| Refusal {
            reason: "OtherService".to_owned(),
            message: format!("{}: this pod serves {}, not {domain}", object.name, self.site.domain),
            field: field.to_owned(),
            holder: None,
        })
    }

    /// The object is durable: now it takes effect.
    pub(super) fn applied(&mut self, ticket: Ticket, now: Now) {
        let Some(Pending { call, applied, what }) = self.applying.remove(&ticket) else { return };
        match what {
            What::Apply { object, .. } => {
                self.take_effect(&object.name, &object.uid, now);
                self.tell_all(&Frame::Changed(Change::Apply(object)));
            }
            What::Remove { gone } => {
                let Object { name, uid, body, .. } = *gone;
                self.end_effect(body, now);
                self.tell_all(&Frame::Changed(Change::Remove { name, uid }));
            }
        }
        self.answer(call, Outcome::Done(applied));
    }

    /// The store has refused it: the registry is as before.
    pub(super) fn not_applied(&mut self, ticket: Ticket, why: &str) {
        let Some(Pending { call, what, .. }) = self.applying.remove(&ticket) else { return };
        match what {
            What::Apply { object, before } => {
                self.registry.remove(&object.name, &object.uid);
                if let Some(before) = before {
                    // It was applied before, so nothing of it can be in the way.
                    let _ = self.registry.apply(*before);
                }
            }
            What::Remove { gone } => {
                let _ = self.registry.apply(*gone);
            }
        }
        self.answer(call, Outcome::Failed(format!("the store did not take it: {why}")));
    }

    fn site_changed(&mut self, now: Now) {
        let site = Arc::new(site(&self.registry, &self.site.domain));
        self.set_site(site, now);
    }

    fn answer(&mut self, call: Caller, outcome: Outcome) {
        match call {
            Caller::Here(call) => self.requests.push(Request::Answer { call, outcome }),
            Caller::Pod(pod, call) => self.say(pod, Frame::Answered { call, outcome }),
        }
    }

    fn own_ticket(&mut self) -> Ticket {
        self.next_ticket += 1;
        Ticket(OWN_TICKETS + self.next_ticket)
    }
}

/// What a room is made of, should there be none yet.
pub(crate) fn declared(room: &RoomObject<'_>, entropy: [u8; 48]) -> Declared {
    let mut birth = [0; 16];
    birth.copy_from_slice(&entropy[..16]);
    let mut secret = [0; 32];
    secret.copy_from_slice(&entropy[16..]);
    Declared {
        jid: room.jid.clone(),
        birth: Birth(u128::from_be_bytes(birth)),
        secret: Secret(secret),
        uid: room.uid.to_owned(),
        generation: room.generation,
        config: Arc::new(room.config.clone()),
    }
}

/// What rooms know of the site, from what is applied.
pub(super) fn site(registry: &warren_control::Registry, domain: &str) -> Site {
    let service = registry.service(domain);
    Site {
        domain: domain.into(),
        home_domains: service.map(|service| service.home_domains.clone()).unwrap_or_default(),
        peers: registry.peers().map(|peer| (peer.domain.clone(), peer.clone())).collect(),
        timers: service.map(|service| service.timers).unwrap_or_default(),
    }
}
