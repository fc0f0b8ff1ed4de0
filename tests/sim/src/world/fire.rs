//! Faults, at the step they were armed for.

use super::World;
use super::queue::Event;
use super::store::Fate;
use crate::fault::{Fault, Step};
use crate::names::{MS, Micros, Place, SEC, SERVERS};

impl World {
    /// A process takes a step. False: it does not live any more.
    pub(super) fn step(&mut self, at: Place, step: Step) -> bool {
        let Some(pid) = self.process(at).map(|process| process.pid) else { return false };
        if !self.faults_on {
            return true;
        }
        let now = self.now;
        let due = |armed: &crate::fault::Armed| armed.site == at.site && armed.step == step && armed.after <= now;
        if let Some(n) = self.armed.iter().position(due) {
            if self.armed[n].skip > 0 {
                self.armed[n].skip -= 1;
            } else {
                let armed = self.armed.remove(n);
                let victim = Place { pod: armed.pod.unwrap_or(at.pod), ..at };
                self.fire(victim, armed.fault, step);
            }
        }
        self.running(pid).is_some()
    }

    fn fire(&mut self, at: Place, fault: Fault, step: Step) {
        let site = at.site;
        self.tally.count(fault, step);
        self.trace.line(self.now, || format!("{at}: FAULT {fault:?} at {step:?}"));
        match fault {
            Fault::Crash => self.crash(at),
            Fault::Cut => self.cut(at),
            Fault::Hole => self.hole(at),
            Fault::Reset | Fault::Blackout | Fault::Refuse | Fault::Delay | Fault::Duplicate => {
                self.between_servers(site, fault);
            }
            Fault::Stall => self.stall(at, step),
            Fault::Freeze => self.freeze(at),
            Fault::Away => self.away(at),
            Fault::Drain => self.after(0, Event::Terminate(at)),
            Fault::MeshCut | Fault::MeshMute | Fault::MeshSlow | Fault::MeshRefuse => self.between_pods(at, fault),
            Fault::Abort => {
                let count = self.rng.range(1, 4);
                self.slot(at).fates.extend((0..count).map(|_| Fate::Abort));
            }
            Fault::Unknown => {
                for _ in 0..self.rng.range(1, 3) {
                    let fate = if self.rng.percent(50) { Fate::DoneUnheard } else { Fate::LostUnheard };
                    self.slot(at).fates.push_back(fate);
                }
            }
            Fault::Clock => {
                let jump = i64::try_from(self.rng.below(90_000)).unwrap_or_default();
                // A restored store relies on a clock that does not run backwards.
                let back = self.plan.tail.is_none() && self.rng.percent(50);
                let jump = if back { -jump } else { jump };
                // Nor on clocks that differ: the epoch that is raised after it must be above those that were lost.
                let lost = self.plan.tail.is_some();
                for at in Place::of(site).filter(|other| lost || *other == at) {
                    self.slot(at).wall += jump;
                }
            }
        }
    }

    fn hole(&mut self, at: Place) {
        let length = self.rng.range(500, 40_000) * MS;
        let link = &mut self.slot(at).link;
        link.hole = true;
        let connection = link.connection;
        self.after(length, Event::Cut(at, connection));
        if self.rng.percent(35) {
            let wait = self.rng.below(length);
            self.after(wait, Event::Crash(at));
        }
        self.trouble(at.site);
        self.disturb(at.site, None);
    }

    fn stall(&mut self, at: Place, step: Step) {
        let length = self.rng.range(300, 20_000) * MS;
        match step {
            Step::Submit => self.slot(at).slow.0 = length,
            Step::Commit => self.slot(at).slow.1 = length,
            Step::Release | Step::Move => self.stand_still(at, length),
            Step::Send => self.stall_link(at, true),
            Step::Evidence => self.stall_link(at, false),
        }
    }

    fn stand_still(&mut self, at: Place, length: Micros) {
        let now = self.now;
        let slot = self.slot(at);
        (slot.paused_since, slot.paused) = (now, now + length);
        if slot.link.up {
            self.trouble(at.site);
        }
        self.disturb(at.site, None);
    }

    /// For longer than a lease lasts. The store may still be at work on what it was given before, by then mostly for
    /// somebody who has been taken over.
    fn freeze(&mut self, at: Place) {
        let length = self.rng.range(7000, 25_000) * MS;
        if self.rng.percent(75) {
            self.slot(at).slow.0 = self.rng.range(length / 2, length);
        }
        self.stand_still(at, length);
    }

    /// For longer than three leases last, or for one pod only.
    fn away(&mut self, at: Place) {
        let all = self.rng.percent(50);
        let length = self.rng.range(if all { 18_500 } else { 7000 }, 30_000) * MS;
        let until = self.now + length;
        for at in Place::of(at.site).filter(|other| all || *other == at) {
            self.slot(at).cut_off = until;
        }
        self.trouble(at.site);
    }

    fn between_servers(&mut self, site: usize, fault: Fault) {
        let others = [[1, 2], [0, 2]][site];
        let other = others[usize::from(self.rng.percent(50))];
        let ways = match self.rng.below(10) {
            0..6 => vec![(site, other), (other, site)],
            6..8 => vec![(site, other)],
            _ => vec![(other, site)],
        };
        debug_assert!(other < SERVERS);
        self.disturb_wire(site, other);
        let now = self.now;
        let length = self.rng.range(500, 45_000) * MS;
        let mute = self.rng.percent(40);
        let slow = self.rng.range(100, 20_000) * MS;
        for (from, to) in ways {
            match fault {
                Fault::Reset | Fault::Duplicate => {
                    // When what was just written is under way.
                    let wait = self.rng.below(2 * self.plan.latency + MS);
                    self.after(wait, Event::ResetWire(from, to, fault == Fault::Duplicate));
                }
                Fault::Blackout => {
                    self.wires.between(from, to).blackout = now + length;
                    self.after(length, Event::ResetWire(from, to, false));
                }
                Fault::Refuse => {
                    let wire = self.wires.between(from, to);
                    if mute {
                        wire.mute = now + length;
                    } else {
                        wire.refused = now + length;
                    }
                    self.reset_streams(from, to, false);
                }
                _ => self.wires.between(from, to).slow = (slow, now + length.min(20 * SEC)),
            }
        }
    }
}
