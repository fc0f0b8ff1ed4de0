//! What users do.

use warren_xmpp::{ErrorType, Kind};

use super::client::{Belief, Client};
use super::queue::{Channel, Event};
use super::{Parcel, World};
use crate::history::Said;
use crate::names::{MS, SEC, full, room};
use crate::plan::Flavour;
use crate::stanza::{bounce, is_groupchat, is_type, join, leave, rename, self_ping, speak};

/// Some are wanted by two.
const NICKS: [&str; 6] = ["rose", "crow", "jester", "raven", "thistle", "fool"];

impl World {
    /// A user opens a client, if none is open.
    pub(super) fn respawn(&mut self, user: usize) {
        if self.clients.iter().any(|client| client.user == user && client.alive) {
            return;
        }
        let plan = &self.plan.users[user];
        let number = self.clients.len();
        let jid = full(&format!("{}@{}/r{number}", plan.name, plan.domain.name()));
        let nick = match self.rng.index(3) {
            0 => NICKS[self.rng.index(NICKS.len())].to_owned(),
            _ => plan.name.clone(),
        };
        self.clients.push(Client {
            user,
            jid,
            domain: plan.domain,
            site: plan.site,
            room: room(plan.site),
            alive: true,
            asleep: None,
            belief: Belief::Out,
            nick,
            view: std::collections::BTreeSet::new(),
            sequence: false,
            renaming: None,
            ping: None,
            pings: 0,
            wants: false,
            nudged: 0,
            may_leave: false,
            up: Channel::default(),
            down: Channel::default(),
        });
        self.enter(number);
        let wait = self.pause();
        self.after(wait, Event::Act(number));
    }

    fn pause(&mut self) -> u64 {
        let pace = self.plan.pace;
        self.rng.range(pace / 4, pace * 7 / 4)
    }

    /// One action, and the next one later.
    pub(super) fn act(&mut self, client: usize) {
        if !self.clients[client].alive {
            return;
        }
        let wait = if self.faults_on { self.pause() } else { 20 * SEC };
        self.after(wait, Event::Act(client));
        if self.clients[client].asleep.is_some() {
            return;
        }
        match self.clients[client].belief {
            Belief::Joining(since) if self.now > since + 15 * SEC => self.enter(client),
            Belief::Out if self.faults_on && self.rng.percent(60) => self.enter(client),
            Belief::Joining(_) | Belief::Out => {}
            Belief::In if !self.faults_on => self.ask(client),
            Belief::In => match self.rng.below(100) {
                0..74 => self.say(client),
                74..80 => self.change_nick(client),
                80..84 => self.go(client),
                84..89 => self.die(client),
                89..96 => self.ask(client),
                _ => {}
            },
        }
    }

    pub(super) fn enter(&mut self, client: usize) {
        let here = &mut self.clients[client];
        here.belief = Belief::Joining(self.now);
        here.view.clear();
        here.renaming = None;
        here.wants = true;
        let stanza = join(&here.jid, &here.room, &here.nick);
        self.send(client, stanza);
    }

    pub(super) fn say(&mut self, client: usize) {
        let token = self.history.said.len();
        let here = &self.clients[client];
        let stanza = speak(&here.jid, &here.room, token);
        self.history.said.push(Said { session: client, site: here.site, at: self.now, ..Said::default() });
        self.send(client, stanza);
    }

    fn change_nick(&mut self, client: usize) {
        let nick = NICKS[self.rng.index(NICKS.len())];
        let here = &self.clients[client];
        let stanza = rename(&here.jid, &here.room, nick);
        self.send(client, stanza);
    }

    fn go(&mut self, client: usize) {
        let here = &mut self.clients[client];
        let stanza = leave(&here.jid, &here.room, &here.nick);
        here.belief = Belief::Out;
        here.wants = false;
        here.may_leave = true;
        here.nudged = self.now;
        here.view.clear();
        self.send(client, stanza);
    }

    pub(super) fn ask(&mut self, client: usize) {
        let here = &mut self.clients[client];
        if here.ping.as_ref().is_some_and(|(_, at)| self.now < *at + 15 * SEC) {
            return;
        }
        here.pings += 1;
        let id = format!("self{}", here.pings);
        let stanza = self_ping(&here.jid, &here.room, &here.nick, &id);
        here.ping = Some((id, self.now));
        self.send(client, stanza);
    }

    /// The client is gone, in one of the ways of `servers.md` 7.
    fn die(&mut self, client: usize) {
        let here = &mut self.clients[client];
        here.may_leave = true;
        let user = here.user;
        match self.rng.below(10) {
            0..5 => self.end_session(client, true),
            5..8 => {
                here.asleep = Some(Vec::new());
                let wait = self.rng.range(2, 25) * SEC;
                return self.after(wait, Event::Awake(client));
            }
            // Its server was restarted: nobody says that it is gone.
            _ => self.end_session(client, false),
        }
        self.come_back(user);
    }

    fn come_back(&mut self, user: usize) {
        if self.plan.users[user].stays || self.rng.percent(60) {
            let wait = self.rng.range(500, 15_000) * MS;
            self.after(wait, Event::Respawn(user));
        }
    }

    fn end_session(&mut self, client: usize, told: bool) {
        let here = &mut self.clients[client];
        here.alive = false;
        let present = here.belief != Belief::Out;
        here.belief = Belief::Out;
        self.trace.line(self.now, || format!("client {} is gone", self.clients[client].jid));
        let here = &self.clients[client];
        let (server, stanza) = (here.domain.server(), leave(&here.jid, &here.room, &here.nick));
        if told && present {
            self.route(server, Parcel::of(stanza));
        }
    }

    /// A sleeping session is resumed, or ends with all that it was kept for.
    pub(super) fn awake(&mut self, client: usize) {
        let resumes = !self.faults_on || self.rng.percent(50);
        let here = &mut self.clients[client];
        let Some(kept) = here.asleep.take() else { return };
        let (server, user) = (here.domain.server(), here.user);
        if resumes {
            for stanza in kept {
                self.receive(client, &stanza);
            }
            return;
        }
        here.alive = false;
        if self.plan.flavours[server] == Flavour::Prosody && !kept.is_empty() {
            // Its errors look like those of a broken path, and so everybody there gets the last interval again.
            let (site, domain) = (here.site, here.domain);
            self.disturb(site, Some(domain));
        }
        for stanza in kept {
            let request = stanza.head.kind == Kind::Iq && is_type(&stanza, "get");
            if !request && !is_groupchat(&stanza) {
                continue;
            }
            match self.plan.flavours[server] {
                Flavour::Ejabberd => self.refuse_gone(server, &stanza),
                Flavour::Prosody => {
                    if let Some(error) = bounce(&stanza, None, ErrorType::Cancel, "recipient-unavailable") {
                        self.route(server, Parcel::of(error));
                    }
                }
            }
        }
        self.end_session(client, true);
        self.come_back(user);
    }
}
