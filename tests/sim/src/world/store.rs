//! The store of a site: group commits that take time, fail, or are never heard of again.

use warren_model::Seq;
use warren_pod::Input;
use warren_room::WINDOW;
use warren_store::{CommitError, Completion, Resolved, Step as Lane, Window};

use super::World;
use super::queue::{Commit, Event, Wanted};
use crate::fault::Step;
use crate::names::{Micros, SEC};

/// Foreign ids that a load reads at most, as the shell does.
const KEYS: usize = 10_000;

/// What happens to a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It fails.
    Abort,
    /// It happens, and nobody hears of it.
    DoneUnheard,
    /// It does not happen, and nobody hears of it.
    LostUnheard,
}

impl World {
    /// Hands the next group to the store, if it can take one.
    pub(super) fn drive_store(&mut self, site: usize) {
        loop {
            let wait = self.rng.range(300, 4000);
            let here = &mut self.sites[site];
            let Some(process) = &mut here.process else { return };
            if process.busy {
                return;
            }
            let mut told = Vec::new();
            match process.queue.next(&mut told) {
                Lane::Idle => {
                    if let Some(paths) = process.trim.take() {
                        let mut durable = here.store.durable().clone();
                        // After an error it is simply repeated with the next beat.
                        if durable.trim_batches(process.own.lane, &paths).is_ok() {
                            here.store.restore(durable);
                        }
                    }
                    if told.is_empty() {
                        return;
                    }
                }
                Lane::Commit { lane, work } => {
                    let Ok(tx) = here.store.submit(lane, process.known, work.to_vec()) else {
                        return self.history.broken.push("two commits on one lane".to_owned());
                    };
                    process.busy = true;
                    let number = process.number;
                    if !self.step(site, Step::Submit) {
                        return;
                    }
                    let slow = std::mem::take(&mut self.sites[site].slow.0);
                    self.after(wait + slow, Event::Store(site, number, Commit::Decide(tx)));
                }
                Lane::Resolve { .. } => {
                    let Some(tx) = here.store.unresolved().next() else {
                        return self.history.broken.push("nothing to resolve".to_owned());
                    };
                    process.busy = true;
                    let number = process.number;
                    self.after(wait, Event::Store(site, number, Commit::Resolve(tx)));
                }
            }
            self.complete(site, told);
        }
    }

    pub(super) fn store_event(&mut self, site: usize, number: u64, what: Commit) {
        if self.sites[site].running(number).is_none() {
            return;
        }
        match what {
            Commit::Decide(tx) => {
                let wait = self.rng.range(50, 1500);
                let here = &mut self.sites[site];
                let fate = here.fates.pop_front();
                let answer = match fate {
                    None => here.store.finish(tx),
                    Some(Fate::Abort) => here.store.abort(tx, "busy").map(Err),
                    Some(Fate::DoneUnheard) => here.store.finish_lose_answer(tx).map(Err),
                    Some(Fate::LostUnheard) => here.store.abort_lose_answer(tx).map(Err),
                };
                let Some(answer) = answer else { return };
                if let Some(fate) = fate {
                    self.trace.line(self.now, || format!("site {site}: commit {} {fate:?}", tx.0));
                }
                if let Err(CommitError::Rejected { why, .. }) = &answer {
                    self.history.broken.push(format!("the store of site {site} refuses: {why}"));
                }
                if self.step(site, Step::Commit) {
                    let slow = std::mem::take(&mut self.sites[site].slow.1);
                    self.after(wait + slow, Event::Store(site, number, Commit::Answer(answer)));
                }
            }
            Commit::Answer(..) | Commit::Resolve(_) if self.sites[site].paused > self.now => {
                self.queue.push(self.sites[site].paused, Event::Store(site, number, what));
            }
            Commit::Answer(answer) => {
                let mut told = Vec::new();
                if let Some(process) = self.sites[site].running(number) {
                    process.busy = false;
                    process.known = answer.clone().unwrap_or(process.known);
                    process.queue.answered(answer, &mut told);
                }
                self.answered(site, told);
            }
            Commit::Resolve(tx) => {
                let mut told = Vec::new();
                let here = &mut self.sites[site];
                let Some(resolved) = here.store.resolve(tx) else { return };
                if let Some(process) = here.running(number) {
                    process.busy = false;
                    if let Resolved::Done(batch) = resolved {
                        process.known = batch;
                    }
                    process.queue.resolved(resolved, &mut told);
                }
                self.answered(site, told);
            }
        }
    }

    fn answered(&mut self, site: usize, told: Vec<Completion>) {
        let any = !told.is_empty();
        self.complete(site, told);
        if !any || self.step(site, Step::Release) {
            self.settle(site);
        }
    }

    fn complete(&mut self, site: usize, told: Vec<Completion>) {
        for completion in told {
            self.trace.line(self.now, || format!("site {site}: {completion:?}"));
            self.input(site, Input::Store(completion));
        }
    }

    /// Reads what is durable now; the answer comes a little later.
    pub(super) fn read(&mut self, site: usize, number: u64, wanted: Wanted) {
        let wait: Micros = self.rng.range(100, 2000);
        let fails = self.faults_on && self.rng.percent(2);
        let here = &mut self.sites[site];
        if here.running(number).is_none() {
            return;
        }
        let durable = here.store.durable();
        let busy = "busy".to_owned();
        let input = match wanted {
            Wanted::Room(jid) if fails => Input::Loaded(jid, Err(busy)),
            Wanted::Room(jid) => {
                let rows = durable.load_room(&jid, Window { messages: WINDOW, keys: KEYS });
                Input::Loaded(jid, Ok(rows))
            }
            Wanted::Page { room, read, .. } if fails => Input::Page(room, read, Err(busy)),
            Wanted::Page { room, read, after, max } => Input::Page(room, read, Ok(durable.page(room, after, max))),
        };
        self.after(wait, Event::Input(site, number, Box::new(input)));
    }

    /// Keeps the state of the store for a restore.
    pub(super) fn snapshot(&mut self, site: usize) {
        let here = &mut self.sites[site];
        here.snapshots.push_back(here.store.durable().clone());
        // Three seconds are lost at most.
        if here.snapshots.len() > 6 {
            here.snapshots.pop_front();
        }
        if self.faults_on && !self.history.sites[site].tail_lost {
            self.after(SEC / 2, Event::Snapshot(site));
        }
    }

    /// A fail-over of the database: the process dies, and the newest rows are gone.
    pub(super) fn lose_tail(&mut self, site: usize) {
        if self.sites[site].process.is_none() {
            return self.after(SEC, Event::LoseTail(site));
        }
        self.crash(site);
        let keep = self.rng.index(self.sites[site].snapshots.len());
        let here = &mut self.sites[site];
        let Some(earlier) = here.snapshots.get(keep).cloned() else { return };
        let old = super::end::log(here.store.durable(), site);
        here.store.restore(earlier);
        let head = super::end::log(here.store.durable(), site).last().map_or(Seq(0), |entry| Seq(entry.seq));
        let lost: Vec<_> = old.into_iter().filter(|entry| entry.seq > head.0).collect();
        self.trace
            .line(self.now, || format!("site {site}: the store LOSES ITS TAIL, {} rows behind {head}", lost.len()));
        let end = &mut self.history.sites[site];
        end.tail_lost = true;
        end.tail = lost;
    }
}
