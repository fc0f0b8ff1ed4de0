//! Faults, at the step they were armed for.

use super::World;
use super::queue::Event;
use super::store::Fate;
use crate::fault::{Fault, Step};
use crate::names::{MS, SEC, SERVERS};

impl World {
    /// A site takes a step. False: it does not live any more.
    pub(super) fn step(&mut self, site: usize, step: Step) -> bool {
        let Some(number) = self.sites[site].process.as_ref().map(|process| process.number) else { return false };
        if !self.faults_on {
            return true;
        }
        let now = self.now;
        let due = |armed: &crate::fault::Armed| armed.site == site && armed.step == step && armed.after <= now;
        if let Some(at) = self.armed.iter().position(due) {
            if self.armed[at].skip > 0 {
                self.armed[at].skip -= 1;
            } else {
                let armed = self.armed.remove(at);
                self.fire(site, armed.fault, step);
            }
        }
        self.sites[site].running(number).is_some()
    }

    fn fire(&mut self, site: usize, fault: Fault, step: Step) {
        self.tally.count(fault, step);
        self.trace.line(self.now, || format!("site {site}: FAULT {fault:?} at {step:?}"));
        match fault {
            Fault::Crash => self.crash(site),
            Fault::Cut => self.cut(site),
            Fault::Hole => self.hole(site),
            Fault::Reset | Fault::Blackout | Fault::Refuse | Fault::Delay | Fault::Duplicate => {
                self.between_servers(site, fault);
            }
            Fault::Stall => self.stall(site, step),
            Fault::Abort => {
                let count = self.rng.range(1, 4);
                self.sites[site].fates.extend((0..count).map(|_| Fate::Abort));
            }
            Fault::Unknown => {
                for _ in 0..self.rng.range(1, 3) {
                    let fate = if self.rng.percent(50) { Fate::DoneUnheard } else { Fate::LostUnheard };
                    self.sites[site].fates.push_back(fate);
                }
            }
            Fault::Clock => {
                let jump = i64::try_from(self.rng.below(90_000)).unwrap_or_default();
                // A restored store relies on a clock that does not run backwards.
                let back = self.plan.tail.is_none() && self.rng.percent(50);
                self.sites[site].wall += if back { -jump } else { jump };
            }
        }
    }

    fn hole(&mut self, site: usize) {
        let length = self.rng.range(500, 40_000) * MS;
        let link = &mut self.sites[site].link;
        link.hole = true;
        let connection = link.connection;
        self.after(length, Event::Cut(site, connection));
        if self.rng.percent(35) {
            let wait = self.rng.below(length);
            self.after(wait, Event::Crash(site));
        }
        self.sites[site].troubles.push(self.now);
        self.disturb(site, None);
    }

    fn stall(&mut self, site: usize, step: Step) {
        let length = self.rng.range(300, 20_000) * MS;
        let now = self.now;
        match step {
            Step::Submit => self.sites[site].slow.0 = length,
            Step::Commit => self.sites[site].slow.1 = length,
            Step::Release => {
                self.sites[site].paused = now + length;
                self.sites[site].troubles.push(now);
                self.disturb(site, None);
            }
            Step::Send => self.stall_link(site, true),
            Step::Evidence => self.stall_link(site, false),
        }
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
