//! Sessions between the pods of a site: in order, both ways, and lost with all that is on its way. A session that carries
//! nothing any more is noticed by its keepalive; an address that refuses is noticed by whoever calls it again.

use std::collections::VecDeque;

use warren_mesh::Input as News;
use warren_model::Incarnation;
use warren_pod::{Frame, Input};
use warren_xmpp::Stanza;

use super::World;
use super::queue::{Event, Pid};
use crate::names::{MS, Micros, Place, SEC};
use crate::stanza::{is_type, token};

/// Who has heard nothing for so long gives a session up.
const KEEPALIVE: Micros = 3 * SEC;

/// What arrives at one end.
#[derive(Debug)]
enum Item {
    Begin,
    Frame(Box<Frame>),
    End,
}

/// One end of a session.
#[derive(Debug)]
struct End {
    pid: Pid,
    incarnation: Incarnation,
    /// It knows of the session, and not of its end.
    open: bool,
    items: VecDeque<(Micros, Item)>,
    last: Micros,
}

/// A session.
#[derive(Debug)]
pub(crate) struct Session {
    number: u64,
    /// Nothing has ended it.
    alive: bool,
    ends: [End; 2],
}

impl Session {
    fn between(&self, a: usize, b: usize) -> bool {
        let pods = [self.ends[0].pid.at.pod, self.ends[1].pid.at.pod];
        pods == [a, b] || pods == [b, a]
    }
}

/// The way between two pods, by the lower one.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Way {
    /// Nothing arrives at the lower one, at the higher one, from then until then.
    pub mute: [(Micros, Micros); 2],
    /// Everything takes so much longer, until then.
    pub slow: (Micros, Micros),
    /// Calls are refused until then.
    pub refused: Micros,
}

impl World {
    /// Looks which sessions should be there, and which have fallen silent.
    pub(super) fn dial(&mut self, site: usize) {
        let wait = self.rng.range(100, 400) * MS;
        self.after(wait, Event::Dial(site));
        for a in 0..self.sites[site].pods.len() {
            for b in a + 1..self.sites[site].pods.len() {
                self.dial_pair(site, a, b);
            }
        }
    }

    fn dial_pair(&mut self, site: usize, a: usize, b: usize) {
        let now = self.now;
        let here = &mut self.sites[site];
        here.sessions.retain(|session| session.alive || session.ends.iter().any(|end| !end.items.is_empty()));
        let way = here.ways.get(&(a, b)).copied().unwrap_or_default();
        if let Some(session) = here.sessions.iter().find(|session| session.between(a, b)) {
            let number = session.number;
            let silent = |at: usize, from: usize| {
                let mute = way.mute[usize::from(at == b)];
                let muted = mute.1 > now && mute.0 + KEEPALIVE <= now;
                let stands = here.pods[from].paused > now && here.pods[from].paused_since + KEEPALIVE <= now;
                muted || stands
            };
            if session.alive && (silent(a, b) || silent(b, a)) {
                self.cut_session(site, number, false);
            }
            return;
        }
        let muted = way.mute.iter().any(|(_, until)| *until > now);
        let stands = [a, b].iter().any(|pod| here.pods[*pod].paused > now);
        if muted || stands || way.refused > now {
            return;
        }
        let known = |at: usize, of: usize| {
            let (Some(at), Some(of)) = (&here.pods[at].process, &here.pods[of].process) else { return None };
            let knows = at.member.as_ref().is_some_and(|member| member.peers.contains(&of.incarnation));
            knows.then_some((at.pid, at.incarnation))
        };
        let (Some(first), Some(second)) = (known(a, b), known(b, a)) else { return };
        here.last_session += 1;
        let number = here.last_session;
        let end = |(pid, incarnation)| End { pid, incarnation, open: false, items: VecDeque::new(), last: 0 };
        here.sessions.push(Session { number, alive: true, ends: [end(first), end(second)] });
        self.trace.line(self.now, || format!("site {site}: session {number} between {a} and {b}"));
        for end in 0..2 {
            let wait = self.rng.range(1000, 20_000);
            self.pass(site, number, end, wait, Item::Begin);
        }
    }

    /// Puts something on its way to one end.
    fn pass(&mut self, site: usize, number: u64, end: usize, wait: Micros, item: Item) {
        let due = self.now + wait;
        let Some(session) = self.sites[site].sessions.iter_mut().find(|session| session.number == number) else {
            return;
        };
        let end_ = &mut session.ends[end];
        end_.last = end_.last.max(due);
        end_.items.push_back((end_.last, item));
        let due = end_.last;
        self.queue.push(due, Event::Session(site, number, end));
    }

    /// A pod says something to another one.
    pub(super) fn say_to(&mut self, pid: Pid, to: Incarnation, frame: Frame) {
        let (site, now) = (pid.at.site, self.now);
        let wait = self.rng.range(100, 2000);
        let here = &mut self.sites[site];
        let found = here.sessions.iter().find_map(|session| {
            let from = session.ends.iter().position(|end| end.pid == pid && end.open)?;
            (session.alive && session.ends[1 - from].incarnation == to).then_some((session, from))
        });
        // Into a session that has ended, and whose end is not known yet.
        let Some((session, from)) = found else { return self.unheard(&frame) };
        let (number, other) = (session.number, session.ends[1 - from].pid.at.pod);
        let pair = (pid.at.pod.min(other), pid.at.pod.max(other));
        let way = here.ways.get(&pair).copied().unwrap_or_default();
        let mute = way.mute[usize::from(other == pair.1)].1.saturating_sub(now);
        let slow = if way.slow.1 > now { way.slow.0 } else { 0 };
        self.pass(site, number, 1 - from, wait.max(mute) + slow, Item::Frame(Box::new(frame)));
    }

    /// Something arrives at one end.
    pub(super) fn session_event(&mut self, site: usize, number: u64, end: usize) {
        let now = self.now;
        let found = self.sites[site].sessions.iter().find(|session| session.number == number);
        let Some(pid) = found.map(|session| session.ends[end].pid) else { return };
        if let Some(until) = self.paused(pid.at).filter(|_| self.running(pid).is_some()) {
            return self.queue.push(until, Event::Session(site, number, end));
        }
        let Some(session) = self.sites[site].sessions.iter_mut().find(|session| session.number == number) else {
            return;
        };
        let other = (session.ends[1 - end].incarnation, session.ends[1 - end].pid);
        let here = &mut session.ends[end];
        let Some((_, item)) = here.items.pop_front_if(|(at, _)| *at <= now) else { return };
        match item {
            Item::Begin => here.open = true,
            Item::End => here.open = false,
            Item::Frame(_) => {}
        }
        let Some(member) = self.running(pid).and_then(|process| process.member.as_mut()) else { return };
        match item {
            Item::Begin => {
                member.sessions.insert(other.0);
                let sessions = member.sessions.clone();
                self.news(pid, News::Ready(sessions));
                self.input(pid.at, Input::Connected(other.0));
            }
            Item::End => {
                if !member.sessions.remove(&other.0) {
                    return;
                }
                let sessions = member.sessions.clone();
                self.trace.line(self.now, || format!("{}: session {number} has ended", pid.at));
                self.news(pid, News::Ready(sessions));
                self.input(pid.at, Input::Disconnected(other.0));
                let wait = self.rng.range(5, 300) * MS;
                self.after(wait, Event::Call(pid, other.1, other.0));
            }
            Item::Frame(frame) => {
                self.trace.line(self.now, || format!("{} hears {}", pid.at, brief(&frame, other.1.at)));
                self.input(pid.at, Input::Frame(other.0, *frame));
            }
        }
        self.drive_member(pid);
    }

    /// A session is over. What has arrived is still read; `flushed`: so is what is on its way.
    pub(super) fn cut_session(&mut self, site: usize, number: u64, flushed: bool) {
        let now = self.now;
        let Some(session) = self.sites[site].sessions.iter_mut().find(|session| session.number == number) else {
            return;
        };
        session.alive = false;
        let mut lost = Vec::new();
        for end in &mut session.ends {
            if !flushed {
                let arrived =
                    end.items.iter().take_while(|(at, item)| *at <= now || matches!(item, Item::Begin)).count();
                let more = self.rng.index(end.items.len() - arrived + 1);
                lost.extend(end.items.drain(arrived + if self.rng.percent(50) { 0 } else { more }..));
                // A muted way gives nothing more, and nobody waits for it.
                for (at, _) in &mut end.items {
                    *at = (*at).min(now + 50 * MS);
                }
                end.last = end.last.min(now + 50 * MS);
            }
        }
        for (_, item) in lost {
            if let Item::Frame(frame) = item {
                self.unheard(&frame);
            }
        }
        for end in 0..2 {
            let wait = self.rng.range(0, 50) * MS;
            self.pass(site, number, end, wait, Item::End);
        }
    }

    /// Notes the refusal of a message that nobody will hear.
    fn unheard(&mut self, frame: &Frame) {
        let Frame::Reply(bytes) = frame else { return };
        let Ok(stanza) = Stanza::parse(bytes) else { return };
        if is_type(&stanza, "error")
            && let Some(said) = stanza.head.id.as_deref().and_then(token).and_then(|token| self.said(token))
        {
            said.unheard += 1;
        }
    }

    /// Ends all sessions of a process; `vanished`: nobody is told.
    pub(super) fn end_sessions(&mut self, pid: Pid, flushed: bool, vanished: bool) {
        let site = pid.at.site;
        let its = |session: &&Session| session.alive && session.ends.iter().any(|end| end.pid == pid);
        let numbers: Vec<u64> = self.sites[site].sessions.iter().filter(its).map(|session| session.number).collect();
        for number in numbers {
            if vanished {
                self.after(KEEPALIVE, Event::EndSession(site, number));
            } else {
                self.cut_session(site, number, flushed);
            }
        }
    }

    /// After the end of a session its address is called again. That nobody listens there is news.
    pub(super) fn call(&mut self, pid: Pid, other: Pid, incarnation: Incarnation) {
        let site = pid.at.site;
        if let Some(until) = self.paused(pid.at) {
            return self.queue.push(until, Event::Call(pid, other, incarnation));
        }
        let pair = (pid.at.pod.min(other.at.pod), pid.at.pod.max(other.at.pod));
        let rejected = self.sites[site].ways.get(&pair).is_some_and(|way| way.refused > self.now);
        let gone = self.process(other.at).is_none() && !self.slot(other.at).vanished;
        if !(rejected || gone) || self.running(pid).is_none() {
            return;
        }
        self.trace.line(self.now, || format!("{}: {} refuses", pid.at, other.at));
        self.sites[site].suspected.insert(incarnation);
        self.input(pid.at, Input::Refused(incarnation));
        self.drive_member(pid);
    }

    /// Sessions of a pod are cut, muted, slowed down or refused: with one of the others, or with both.
    pub(super) fn between_pods(&mut self, at: Place, fault: crate::fault::Fault) {
        use crate::fault::Fault;
        let (site, now) = (at.site, self.now);
        let pods = self.sites[site].pods.len();
        let all = self.rng.percent(35);
        let one = (at.pod + 1 + self.rng.index(pods - 1)) % pods;
        let length = self.rng.range(500, 20_000) * MS;
        let (slow, ways) = (self.rng.range(50, 3000) * MS, self.rng.below(3));
        self.disturb(site, None);
        for other in (0..pods).filter(|other| *other != at.pod && (all || *other == one)) {
            let pair = (at.pod.min(other), at.pod.max(other));
            let way = self.sites[site].ways.entry(pair).or_default();
            match fault {
                Fault::MeshMute => {
                    for (n, mute) in way.mute.iter_mut().enumerate() {
                        if ways == 2 || u64::try_from(n) == Ok(ways) {
                            *mute = (now, now + length);
                        }
                    }
                }
                Fault::MeshSlow => way.slow = (slow, now + length),
                Fault::MeshRefuse => way.refused = now + length,
                _ => {}
            }
            let found =
                self.sites[site].sessions.iter().find(|session| session.alive && session.between(pair.0, pair.1));
            if let Some(number) = found.map(|session| session.number)
                && matches!(fault, Fault::MeshCut | Fault::MeshRefuse)
            {
                self.cut_session(site, number, false);
            }
        }
    }

    /// The session between two pods is cut, and there is no other one for a while.
    pub(super) fn separate(&mut self, site: usize, pair: (usize, usize), length: Micros) {
        self.disturb(site, None);
        self.sites[site].ways.entry(pair).or_default().mute = [(self.now, self.now + length); 2];
        let sessions = &self.sites[site].sessions;
        if let Some(session) = sessions.iter().find(|session| session.alive && session.between(pair.0, pair.1)) {
            self.cut_session(site, session.number, false);
        }
    }
}

/// A frame in one line.
fn brief(frame: &Frame, from: Place) -> String {
    let text = match frame {
        Frame::Stanza { n, epoch, stanza, .. } => format!("stanza {n} under {epoch}: {}", super::link::show(stanza)),
        Frame::Released(released) => format!(
            "released at {:?} under {}: {:?}",
            released.at,
            released.epoch,
            released
                .says
                .iter()
                .map(|says| format!("{says:?}").chars().take(60).collect::<String>())
                .collect::<Vec<_>>()
        ),
        other => format!("{other:?}").chars().take(200).collect(),
    };
    format!("from {from}: {text}")
}
