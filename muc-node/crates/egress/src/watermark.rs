//! Watermarks: up to which batch everything for a path has arrived.

use warren_model::{Batch, Lane, Path};

use crate::path::Route;

/// How far the watermark of one lane is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    /// Everything up to this batch was released. Rows of later ones may be here: others of the same batch, of another
    /// room, may be lost on their way.
    pub high: Batch,
    /// Last watermark handed out.
    pub told: Batch,
}

impl Route {
    /// Whether anybody needs this path's watermarks.
    pub(crate) fn is_tracked(&self) -> bool {
        !(self.groups.is_empty() && self.gaps.is_empty() && self.lanes.is_empty() && self.restored.is_empty())
    }

    /// The lowest batch of this lane that is not proven.
    pub(crate) fn floor(&self, lane: Lane, on_write: bool) -> Option<Batch> {
        let queued = self.queue.iter().filter_map(|item| item.row()?.at).filter(|at| at.0 == lane).map(|at| at.1);
        let missing = self.gaps.iter().filter_map(|(_, gap)| gap.rows.floor.get(lane));
        let written = self
            .chain
            .intervals()
            .filter(|_| !on_write)
            .flat_map(|interval| interval.rows.values().filter_map(|rows| rows.floor.get(lane)));
        queued.chain(missing).chain(written).min()
    }

    /// Appends the watermarks that rose. `current`: everything of these lanes up to these batches was
    /// released before.
    pub(crate) fn watermarks(&mut self, current: &[(Lane, Batch)], on_write: bool, out: &mut Vec<(Lane, Path, Batch)>) {
        if !self.gaps.any_restored() {
            for (lane, last) in std::mem::take(&mut self.restored) {
                let mark = self.lanes.entry(lane).or_default();
                mark.high = mark.high.max(last);
            }
        }
        for (lane, batch) in current {
            let mark = self.lanes.entry(*lane).or_default();
            mark.high = mark.high.max(*batch);
        }
        let lanes: Vec<Lane> = self.lanes.keys().copied().collect();
        let mut outstanding = false;
        for lane in lanes {
            let floor = self.floor(lane, on_write);
            outstanding |= floor.is_some();
            if self.restored.iter().any(|(old, _)| *old == lane) {
                continue;
            }
            let Some(mark) = self.lanes.get_mut(&lane) else { continue };
            let proven = floor.map_or(mark.high, |floor| mark.high.min(Batch(floor.0.saturating_sub(1))));
            if proven > mark.told {
                mark.told = proven;
                out.push((lane, self.path.clone(), proven));
            }
            // A lane of the past that is done needs no entry.
            if mark.told == mark.high && !current.iter().any(|(written, _)| *written == lane) {
                self.lanes.remove(&lane);
            }
        }
        if self.groups.is_empty() && self.gaps.is_empty() && !outstanding {
            self.lanes.clear();
        }
    }
}
