//! What was never said, from the store: which rows are behind the marks of their lanes, and who has to say them.

use std::collections::{BTreeMap, BTreeSet};

use jid::BareJid;
use warren_egress::Outward;
use warren_model::{Batch, Lane, Now, Path, RoomId, Seq, Shard};
use warren_store::{Backlog, Touched};

use crate::hear::{Look, Stage};
use crate::{Frame, Pod, Request};

/// Log rows, by the batches that wrote them.
type Rows = Vec<(Lane, Touched)>;

/// What may be missing on a path that is not known yet.
#[derive(Clone, Debug, Default)]
pub(crate) struct Before {
    pub lanes: Vec<(Lane, Batch)>,
    pub touched: Rows,
    /// Paths that egress has been told of.
    pub told: BTreeSet<Path>,
}

/// The rooms with rows above what a path has, each with the first of those rows.
pub(crate) fn missing<'a>(
    touched: impl Iterator<Item = &'a (Lane, Touched)>,
    passed: &BTreeMap<Lane, Batch>,
) -> Vec<(RoomId, BareJid, Seq)> {
    let mut rooms: BTreeMap<RoomId, (BareJid, Seq)> = BTreeMap::new();
    for (lane, row) in touched {
        if row.batch > passed.get(lane).copied().unwrap_or_default() {
            let entry = rooms.entry(row.id).or_insert_with(|| (row.room.clone(), row.first));
            entry.1 = entry.1.min(row.first);
        }
    }
    rooms.into_iter().map(|(id, (jid, first))| (id, jid, first)).collect()
}

impl Pod {
    /// Looks into the store, or again if that is being done already: it may have begun too early.
    pub(super) fn look(&mut self) {
        let Some(ear) = &mut self.ear else { return };
        if ear.look.owners.is_some() {
            ear.look.again = true;
            return;
        }
        ear.look = Look { owners: Some(self.table.shards().to_vec()), again: false };
        for feed in ear.feeds.values_mut().filter(|feed| feed.stage == Stage::New) {
            feed.stage = Stage::Covered;
        }
        self.requests.push(Request::Backlog);
    }

    /// Looks again after a look that failed.
    pub(super) fn look_again(&mut self) {
        if self.ear.as_ref().is_some_and(|ear| ear.look.again && ear.look.owners.is_none()) {
            self.look();
        }
    }

    /// The store has been looked into.
    pub(super) fn backlog(&mut self, backlog: Result<Backlog, String>, now: Now) {
        let Some(ear) = &mut self.ear else { return };
        let Some(owners) = ear.look.owners.take() else { return };
        let backlog = match backlog {
            Ok(backlog) => backlog,
            Err(error) => {
                tracing::warn!(error, "it cannot be looked up what was said before: tried again");
                ear.look.again = true;
                return;
            }
        };
        // Shards under a later ownership than was heard: all their rows that were not heard, whoever wrote them.
        let changed: BTreeSet<Shard> = (0_u32..)
            .zip(owners.iter().zip(&ear.heard))
            .filter(|(_, (owner, heard))| owner.epoch > heard.epoch)
            .map(|(shard, _)| Shard(shard))
            .collect();
        let covered: BTreeMap<Lane, Batch> =
            backlog.lanes.iter().filter_map(|lane| Some((lane.lane, ear.covered(lane)?))).collect();
        let lost = |(lane, row): &&(Lane, Touched)| {
            row.batch > ear.mark(*lane)
                && (covered.get(lane).is_some_and(|upto| row.batch <= *upto) || changed.contains(&Shard::of(&row.room)))
        };
        let (behind, beside): (Vec<_>, Vec<_>) =
            backlog.touched.iter().filter(lost).cloned().partition(|(lane, _)| covered.contains_key(lane));
        for (lane, upto) in &covered {
            let mark = ear.marks.entry(*lane).or_default();
            *mark = (*upto).max(*mark);
        }
        for shard in &changed {
            let at = usize::try_from(shard.0).unwrap_or(usize::MAX);
            if let (Some(heard), Some(owner)) = (ear.heard.get_mut(at), owners.get(at)) {
                *heard = *owner;
            }
        }
        let covered: Vec<(Lane, Batch)> = covered.into_iter().collect();
        self.restore(&backlog, (behind, beside), covered, now);
        self.welcome(changed, now);
        self.hear_held(now);
        if self.ear.as_ref().is_some_and(|ear| ear.look.again) {
            self.look();
        }
    }

    /// Tells egress what is missing on each path: rows `behind` on lanes that are covered, and rows `beside` those, which
    /// others than their writers answer for now.
    fn restore(&mut self, backlog: &Backlog, (behind, beside): (Rows, Rows), covered: Vec<(Lane, Batch)>, now: Now) {
        let local = self.site.domain.clone();
        let mut paths: BTreeMap<Path, BTreeMap<Lane, Batch>> =
            self.egress.paths().map(|path| (path.clone(), BTreeMap::new())).collect();
        for (lane, path, batch) in backlog.watermarks.iter().filter(|(_, path, _)| *path.local == *local) {
            paths.entry(path.clone()).or_default().insert(*lane, *batch);
        }
        let Some(ear) = &mut self.ear else { return };
        for (path, passed) in paths {
            let rows = missing(behind.iter(), &passed);
            if !rows.is_empty() || !covered.is_empty() {
                self.egress.restore(&path, rows, covered.clone(), now);
            }
            for (lane, row) in beside.iter().filter(|(lane, row)| passed.get(lane).is_none_or(|at| row.batch > *at)) {
                let missed = Outward::Missed { remote: Some(path.remote.clone()), seq: row.first };
                self.egress.release(row.id, &row.room, Some((*lane, row.batch)), missed, now);
            }
            ear.before.told.insert(path);
        }
        // What every path has passed is not in the store any more, and need not be remembered here.
        let kept: BTreeSet<(Lane, Batch, RoomId)> =
            backlog.touched.iter().map(|(lane, row)| (*lane, row.batch, row.id)).collect();
        ear.before.touched.retain(|(lane, row)| kept.contains(&(*lane, row.batch, row.id)));
        ear.before.touched.extend(behind);
        ear.before.touched.extend(beside);
        ear.before.lanes = covered;
    }

    /// Those for whom the store was looked into are heard from now on, and asked for what is missing.
    fn welcome(&mut self, mut asked: BTreeSet<Shard>, now: Now) {
        let Some(ear) = &mut self.ear else { return };
        let mut new = Vec::new();
        for (pod, feed) in ear.feeds.iter_mut().filter(|(_, feed)| feed.stage == Stage::Covered) {
            feed.stage = Stage::Live;
            new.push(*pod);
        }
        ear.known.extend(&new);
        let theirs =
            (0_u32..).zip(self.table.shards()).filter(|(_, owner)| owner.who.is_some_and(|who| new.contains(&who)));
        asked.extend(theirs.map(|(shard, _)| Shard(shard)));
        let troubled: Vec<_> = self.egress.troubled().map(|(path, state)| (path.remote.clone(), state)).collect();
        for pod in new {
            self.say(pod, Frame::Attached { paths: troubled.clone() });
        }
        self.ask_again(&asked, now);
    }

    pub(super) fn ask_again(&mut self, shards: &BTreeSet<Shard>, now: Now) {
        if !shards.is_empty() {
            self.egress.ask_again(|room| shards.contains(&Shard::of(room)), now);
        }
    }

    /// A room that was loaded names a path. One that has no watermark yet (its first users came in the last
    /// moments before the crash) is owed everything that is kept.
    pub(super) fn path_appears(&mut self, remote: &str, now: Now) {
        let Some(ear) = &mut self.ear else { return };
        if ear.before.touched.is_empty() {
            return;
        }
        let path = Path::new(&*self.site.domain, remote);
        if ear.before.told.insert(path.clone()) {
            let missing = missing(ear.before.touched.iter(), &BTreeMap::new());
            self.egress.restore(&path, missing, ear.before.lanes.clone(), now);
        }
    }
}
