//! How a run ends: all faults over, everybody back, time to settle, a last word of each; then what is left is
//! written down.

use std::collections::BTreeSet;

use jid::Jid;
use warren_model::{LogKind, Seq, Shard};
use warren_room::ids::Keys;
use warren_room::payload::Payload;
use warren_store::{Model, Window};
use warren_xmpp::stanza::Content;

use super::World;
use super::client::Belief;
use super::queue::Event;
use super::site::Process;
use crate::history::{Entry, Present, SessionEnd, What};
use crate::names::{Micros, Place, SEC, SITES, room};
use crate::stanza::body_token;

/// What a pod may take to decide on an input, whatever its store does.
const SETTLED: Micros = 75 * SEC;

impl World {
    pub(super) fn plan_the_end(&mut self) {
        for after in [30, 90, 150, 210] {
            self.queue.push(self.plan.end + after * SEC, Event::Gather);
        }
        for after in [300, 340] {
            self.queue.push(self.plan.end + after * SEC, Event::LastWords);
        }
    }

    pub(super) fn end_of_time(&self) -> Micros {
        self.plan.end + 440 * SEC
    }

    pub(super) fn end_of_faults(&mut self) {
        self.trace.line(self.now, || "faults END".to_owned());
        self.faults_on = false;
        self.heal_wires();
        for site in 0..SITES {
            self.sites[site].ways.clear();
            for at in Place::of(site) {
                let here = self.slot(at);
                here.fates.clear();
                here.slow = (0, 0);
                here.cut_off = 0;
                if here.link.hole {
                    self.cut(at);
                }
            }
        }
    }

    /// Whoever stays is there.
    pub(super) fn gather(&mut self) {
        for user in 0..self.plan.users.len() {
            if self.plan.users[user].stays {
                self.respawn(user);
            }
        }
        for client in 0..self.clients.len() {
            let here = &self.clients[client];
            let stays = self.plan.users[here.user].stays;
            if here.alive && here.asleep.is_none() && here.belief == Belief::Out && stays {
                self.enter(client);
            }
        }
    }

    pub(super) fn last_words(&mut self) {
        for client in 0..self.clients.len() {
            if self.clients[client].alive && self.clients[client].belief == Belief::In {
                self.say(client);
            }
        }
    }

    pub(super) fn conclude(&mut self) {
        let end = self.now;
        for site in 0..SITES {
            self.history.sites[site].log = log(self.sites[site].store.durable(), site);
            self.history.sites[site].quiet = self.quiet(site);
            let owner = self.owner(site);
            let roster = owner.and_then(|process| process.pod.room(&room(site))).map(warren_room::Room::roster);
            self.history.sites[site].roster = roster
                .unwrap_or_default()
                .into_iter()
                .map(|(nick, jid, _, local)| Present { jid: jid.to_string(), nick, local })
                .collect();
        }
        let mut excused = vec![BTreeSet::new(); self.clients.len()];
        for ledger in self.ledgers.values() {
            for lost in ledger.silent() {
                excused[lost.client].insert(lost.token);
            }
        }
        for (client, excused) in self.clients.iter().zip(excused) {
            self.history.sessions.push(SessionEnd {
                jid: client.jid.to_string(),
                domain: client.domain,
                site: client.site,
                alive: client.alive,
                inside: client.belief == Belief::In,
                may_leave: client.may_leave,
                nick: client.nick.clone(),
                view: client.view.clone(),
                excused,
                reordered: self.reordered.contains(&(client.site, client.domain)),
                undisturbed: !self.disturbed.contains(&(client.site, client.domain)),
            });
        }
        for said in &mut self.history.said {
            let troubles = &self.sites[said.site].troubles;
            let local = self.clients[said.session].domain.server() == said.site;
            for arrival in &mut said.arrivals {
                let until = arrival.at + SETTLED;
                let calm = troubles.iter().all(|at| *at < arrival.at || *at > until);
                arrival.settled = local && calm && until < end;
            }
        }
    }

    /// The process that decides for the room of a site.
    pub(super) fn owner(&mut self, site: usize) -> Option<&Process> {
        if !self.sites[site].is_shared() {
            return self.sites[site].pods[0].process.as_ref();
        }
        let view = self.view(site);
        let shard = usize::try_from(Shard::of(&room(site)).0).ok()?;
        self.sites[site].by_incarnation(view.shards.get(shard)?.0?)
    }

    fn quiet(&mut self, site: usize) -> Result<(), String> {
        let link = self.view(site).links.get(&super::member::link(site)).and_then(|(owner, _)| *owner);
        let owner = self.owner(site).map(|process| process.incarnation);
        let here = &self.sites[site];
        let Some(owner) = owner.and_then(|owner| here.by_incarnation(owner)) else { return Err("no owner".into()) };
        let Some(component) = here.component() else { return Err("no link".into()) };
        let connected = here.pods[component].process.as_ref().map(|process| process.incarnation);
        if here.is_shared() && link != connected {
            return Err("the link is not with its owner".into());
        }
        if owner.pod.room(&room(site)).is_none() {
            return Err("the room is not loaded".into());
        }
        for process in here.pods.iter().filter_map(|slot| slot.process.as_ref()) {
            let (at, queued) = (process.pid.at, process.pod.egress().queued_bytes());
            match () {
                () if !process.queue.is_empty() => return Err(format!("{at}: works are not committed")),
                () if process.pod.uncommitted_bytes() > 0 => return Err(format!("{at}: inputs are not committed")),
                () if queued > 0 => return Err(format!("{at}: {queued} bytes are not written")),
                () => {}
            }
        }
        Ok(())
    }
}

/// The log of a site's room, as a reader of the archive would see it.
pub(super) fn log(store: &Model, site: usize) -> Vec<Entry> {
    let Some(rows) = store.load_room(&room(site), Window { messages: 0, keys: 0 }) else { return Vec::new() };
    let keys = Keys::new(&rows.room.secret);
    let all = store.page(rows.room.id, Seq(0), usize::MAX);
    all.into_iter()
        .map(|row| Entry {
            seq: row.seq.0,
            epoch: row.epoch.0,
            what: what(row.kind, &row.payload),
            jid: row.jid.as_ref().map_or_else(String::new, Jid::to_string),
            foreign: row.ingress.is_some(),
            id: row.id.unwrap_or_else(|| keys.encode(row.epoch, row.seq)),
        })
        .collect()
}

fn what(kind: LogKind, payload: &[u8]) -> What {
    match (kind, Payload::decode(payload)) {
        (LogKind::Join, _) => What::Join,
        (LogKind::Leave, _) => What::Leave,
        (LogKind::Message, Some(Payload::Message(message))) => {
            let content = Content::parse(&message.content).unwrap_or_default();
            body_token(&content).map_or(What::Unknown, What::Message)
        }
        _ => What::Other,
    }
}
