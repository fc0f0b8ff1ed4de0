//! Apply and Remove (design: the answer is the acknowledgement): checked against what is applied,
//! persisted, then carried out, then answered.

use std::sync::Arc;

use warren_control::{Applied, Refusal, RoomObject};
use warren_model::{Birth, Body, Now, Object, ObjectKind, ObjectName, Secret, Ticket};
use warren_room::{Declared, Site};
use warren_shard::In;
use warren_store::Work;

use super::{OWN_TICKETS, Pod, Request};

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

/// A call whose object is being written.
pub(super) struct Pending {
    call: u64,
    applied: Applied,
    what: What,
}

enum What {
    Apply { name: ObjectName, uid: String, entropy: [u8; 48], before: Option<Box<Object>> },
    Remove { gone: Box<Object> },
}

impl Pod {
    pub(super) fn apply(&mut self, call: u64, object: Object, entropy: [u8; 48]) {
        if let Some(refusal) = self.not_ours(&object) {
            return self.answer(call, Outcome::Refused(refusal));
        }
        let before = self.registry.get(&object.uid).cloned().map(Box::new);
        match self.registry.apply(object.clone()) {
            Err(refused) => self.answer(call, Outcome::Refused(refused.into())),
            Ok(Applied::Unchanged) => self.answer(call, Outcome::Done(Applied::Unchanged)),
            Ok(applied) => {
                let ticket = self.own_ticket();
                let (name, uid) = (object.name.clone(), object.uid.clone());
                let what = What::Apply { name, uid, entropy, before };
                self.applying.insert(ticket, Pending { call, applied, what });
                self.requests.push(Request::Write(Work::Object { ticket, object: Box::new(object) }));
            }
        }
    }

    pub(super) fn remove(&mut self, call: u64, name: ObjectName, uid: &str) {
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
            What::Apply { name, uid, entropy, .. } if name.kind == ObjectKind::FederatedRoom => {
                let declared = self.registry.rooms().find(|room| room.uid == uid).map(|room| declared(&room, entropy));
                if let Some(declared) = declared {
                    self.shard(In::Declare(declared), now);
                }
            }
            What::Remove { gone } => match gone.body {
                Body::Room { jid, destroy_on_delete, .. } => {
                    self.shard(In::Withdraw { room: jid, destroy: destroy_on_delete, reason: None }, now);
                }
                _ => self.site_changed(now),
            },
            What::Apply { .. } => self.site_changed(now),
        }
        self.answer(call, Outcome::Done(applied));
    }

    /// The store has refused it: the registry is as before.
    pub(super) fn not_applied(&mut self, ticket: Ticket, why: &str) {
        let Some(Pending { call, what, .. }) = self.applying.remove(&ticket) else { return };
        match what {
            What::Apply { name, uid, before, .. } => {
                self.registry.remove(&name, &uid);
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

    pub(super) fn site_changed(&mut self, now: Now) {
        let timers = self.site.timers;
        self.site = Arc::new(site(&self.registry, &self.site.domain));
        if self.site.timers != timers {
            self.egress.set_timers(self.site.timers, now);
        }
        self.shard(In::Site(self.site.clone()), now);
    }

    fn answer(&mut self, call: u64, outcome: Outcome) {
        self.requests.push(Request::Answer { call, outcome });
    }

    fn own_ticket(&mut self) -> Ticket {
        self.next_ticket += 1;
        Ticket(OWN_TICKETS + self.next_ticket)
    }
}

/// What a room is made of, should there be none yet.
pub(super) fn declared(room: &RoomObject<'_>, entropy: [u8; 48]) -> Declared {
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
