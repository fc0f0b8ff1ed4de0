//! The store of a site: group commits that take time, fail, or are never heard of again.

use warren_model::Seq;
use warren_pod::Input;
use warren_room::WINDOW;
use warren_store::{CommitError, Completion, Model, Resolved, Step as Lane, TxId, Window};

use super::World;
use super::queue::{Commit, Event, Pid, Wanted};
use super::site::Ending;
use crate::fault::Step;
use crate::names::{Micros, Place, SEC};

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
    pub(super) fn drive_store(&mut self, at: Place) {
        loop {
            let wait = self.rng.range(300, 4000);
            let reachable = self.cut_off(at).is_none();
            let here = &mut self.sites[at.site];
            let Some(process) = &mut here.pods[at.pod].process else { return };
            let pid = process.pid;
            if process.busy {
                return;
            }
            let mut told = Vec::new();
            match process.queue.next(&mut told) {
                Lane::Idle => {
                    if let Some(paths) = process.trim.take().filter(|_| reachable) {
                        // After an error it is simply repeated with the next beat.
                        here.store.trim_batches(process.lane, &paths).ok();
                    }
                    if told.is_empty() {
                        return;
                    }
                }
                Lane::Commit { lane, work } => {
                    let Ok(tx) = here.store.submit(lane, process.known, work.to_vec()) else {
                        return self.history.broken.push("two commits on one lane".to_owned());
                    };
                    (process.tx, process.busy) = (Some(tx), true);
                    if !self.step(at, Step::Submit) {
                        return;
                    }
                    let slow = std::mem::take(&mut self.slot(at).slow.0);
                    self.after(wait + slow, Event::Store(pid, Commit::Decide(tx)));
                }
                Lane::Resolve { .. } => {
                    let Some(tx) = process.tx else {
                        return self.history.broken.push("nothing to resolve".to_owned());
                    };
                    process.busy = true;
                    self.after(wait, Event::Store(pid, Commit::Resolve(tx)));
                }
            }
            self.complete(at, told);
        }
    }

    pub(super) fn store_event(&mut self, pid: Pid, what: Commit) {
        let at = pid.at;
        if self.running(pid).is_none() {
            return;
        }
        let (paused, unreachable) = (self.paused(at), self.cut_off(at));
        match what {
            // It was given to the store before its process stood still.
            Commit::Decide(_) if paused.is_some() && self.slot(at).slow.0 > 0 => {
                let slow = std::mem::take(&mut self.slot(at).slow.0);
                self.after(slow, Event::Store(pid, what));
            }
            Commit::Decide(tx) => {
                let wait = self.rng.range(50, 1500);
                let unheard = [Fate::DoneUnheard, Fate::LostUnheard][usize::from(self.rng.percent(70))];
                let here = &mut self.sites[at.site];
                let fate = if unreachable.is_some() { Some(unheard) } else { here.pods[at.pod].fates.pop_front() };
                let answer = match fate {
                    None => here.store.finish(tx),
                    Some(Fate::Abort) => here.store.abort(tx, "busy").map(Err),
                    Some(Fate::DoneUnheard) => here.store.finish_lose_answer(tx).map(Err),
                    Some(Fate::LostUnheard) => here.store.abort_lose_answer(tx).map(Err),
                };
                let Some(answer) = answer else { return };
                if let Some(fate) = fate {
                    self.trace.line(self.now, || format!("{at}: commit {} {fate:?}", tx.0));
                }
                // A pod does not know yet that it has moved the shard.
                let here = &self.sites[at.site];
                let mover = here.pods[at.pod].process.as_ref().map(|process| process.incarnation);
                let moved = mover.is_some_and(|mover| here.late_moves.contains(&mover));
                if let Err(why @ (CommitError::Rejected { .. } | CommitError::Disowned { .. })) = &answer
                    && !(moved && matches!(why, CommitError::Disowned { .. }))
                {
                    self.history.broken.push(format!("the store refuses to {at}: {why}"));
                }
                // Of one whose answer was lost it is not known what became of it: it stays.
                let unknown = matches!(answer, Err(CommitError::Unknown(_)));
                if let Some(process) = self.running(pid).filter(|_| !unknown) {
                    process.tx = None;
                }
                if self.step(at, Step::Commit) {
                    let slow = std::mem::take(&mut self.slot(at).slow.1);
                    self.after(wait + slow, Event::Store(pid, Commit::Answer(answer)));
                }
            }
            Commit::Answer(..) | Commit::Resolve(_) if paused.is_some() => {
                self.queue.push(paused.unwrap_or_default(), Event::Store(pid, what));
            }
            Commit::Resolve(_) if unreachable.is_some() => {
                self.queue.push(unreachable.unwrap_or_default(), Event::Store(pid, what));
            }
            Commit::Answer(answer) => {
                let mut told = Vec::new();
                if let Some(process) = self.running(pid) {
                    process.busy = false;
                    process.known = answer.clone().unwrap_or(process.known);
                    process.queue.answered(answer, &mut told);
                }
                self.answered(pid, told);
            }
            Commit::Resolve(tx) => {
                let mut told = Vec::new();
                let Some(resolved) = self.sites[at.site].store.resolve(tx) else { return };
                if let Some(process) = self.running(pid) {
                    (process.tx, process.busy) = (None, false);
                    if let Resolved::Done(batch) = resolved {
                        process.known = batch;
                    }
                    process.queue.resolved(resolved, &mut told);
                }
                self.answered(pid, told);
            }
        }
    }

    fn answered(&mut self, pid: Pid, told: Vec<Completion>) {
        let any = !told.is_empty();
        self.complete(pid.at, told);
        if self.running(pid).is_some() && (!any || self.step(pid.at, Step::Release)) {
            self.settle(pid.at);
        }
    }

    fn complete(&mut self, at: Place, told: Vec<Completion>) {
        for completion in &told {
            self.trace.line(self.now, || format!("{at}: {completion:?}"));
        }
        let ending = self.process(at).map(|process| process.ending);
        let no_stream = matches!(ending, Some(Ending::Closing(..) | Ending::Moving(_)));
        if no_stream && told.iter().any(|completion| matches!(completion, Completion::Failed { .. })) {
            // It has ended its stream, reads what was sent before, and must refuse it: nobody hears that.
            self.trouble(at.site);
        }
        if !told.is_empty() {
            self.input(at, Input::Store(told));
        }
    }

    /// Whoever sent a commit has died: it happens or not, and nobody hears of it.
    pub(super) fn orphan(&mut self, site: usize, tx: TxId, done: bool) {
        let store = &mut self.sites[site].store;
        if done {
            store.finish(tx);
        } else {
            store.abort(tx, "gone");
        }
        // If it was decided before, nobody asks any more.
        store.resolve(tx);
    }

    /// Reads what is durable now; the answer comes a little later.
    pub(super) fn read(&mut self, pid: Pid, wanted: Wanted) {
        let wait: Micros = self.rng.range(100, 2000);
        let fails = self.faults_on && (self.rng.percent(2) || self.cut_off(pid.at).is_some());
        if self.running(pid).is_none() {
            return;
        }
        let durable = self.sites[pid.at.site].store.durable();
        let busy = "busy".to_owned();
        let no = fails.then(|| busy.clone());
        let input = match wanted {
            Wanted::Room(jid) if fails => Input::Loaded(jid, Err(busy)),
            Wanted::Room(jid) => {
                let rows = durable.load_room(&jid, Window { messages: WINDOW, keys: KEYS });
                Input::Loaded(jid, Ok(rows))
            }
            Wanted::Page { room, read, .. } if fails => Input::Page(room, read, Err(busy)),
            Wanted::Page { room, read, after, max } => Input::Page(room, read, Ok(durable.page(room, after, max))),
            Wanted::Backlog => Input::Backlog(no.map_or_else(|| Ok(durable.backlog()), Err)),
            Wanted::Objects => Input::Objects(no.map_or_else(|| Ok(durable.objects()), Err)),
            Wanted::Occupied => Input::Occupied(no.map_or_else(|| Ok(durable.rooms_with_occupants(None)), Err)),
        };
        self.after(wait, Event::Input(pid, Box::new(input)));
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
        if self.owner(site).is_none() {
            return self.after(SEC, Event::LoseTail(site));
        }
        let keep = self.rng.index(self.sites[site].snapshots.len());
        let here = &self.sites[site];
        let rows = |store: &Model| super::end::log(store, site).len();
        let loses = here.snapshots.get(keep).is_some_and(|earlier| rows(earlier) < rows(here.store.durable()));
        if !loses && self.now + 10 * SEC < self.plan.end {
            // Better when somebody has just spoken.
            return self.after(SEC / 2, Event::LoseTail(site));
        }
        for at in Place::of(site) {
            self.crash(at);
        }
        let here = &mut self.sites[site];
        let Some(earlier) = here.snapshots.get(keep).cloned() else { return };
        let old = super::end::log(here.store.durable(), site);
        here.store.restore(earlier);
        here.view = None;
        let head = super::end::log(here.store.durable(), site).last().map_or(Seq(0), |entry| Seq(entry.seq));
        let lost: Vec<_> = old.into_iter().filter(|entry| entry.seq > head.0).collect();
        self.trace
            .line(self.now, || format!("site {site}: the store LOSES ITS TAIL, {} rows behind {head}", lost.len()));
        let end = &mut self.history.sites[site];
        end.tail_lost = true;
        end.tail = lost;
    }
}
