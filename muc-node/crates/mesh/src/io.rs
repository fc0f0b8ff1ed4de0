//! What a [`Member`](crate::Member) is told, and what it asks for.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use warren_model::{Incarnation, Path, Thing};

use crate::{PodSeen, Step, View};

/// What came of [`Todo::Do`] with a [`Step::TakeOver`], a [`Step::Claim`] or a [`Step::Forget`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Did {
    /// The store has changed.
    Changed,
    /// It has not: the pod lives, or somebody else was faster, or it is not that far.
    Nothing,
    /// It is not known.
    Failed,
    /// We are closed ourselves.
    Closed,
}

/// News.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Answers [`Todo::Beat`].
    Beaten {
        /// When it was sent, at the latest when it was begun to be.
        sent: Duration,
        /// Whether our row is open, and counted up.
        alive: bool,
        /// All rows, read after that.
        pods: Vec<PodSeen>,
    },
    /// Answers [`Todo::Beat`]: it failed, there was no answer within [`Member::patience`](crate::Member::patience), or we do not deserve it.
    BeatFailed,
    /// Answers [`Todo::ReadView`].
    View(View),
    /// Answers [`Todo::ReadView`].
    ViewFailed,
    /// Answers [`Todo::Do`], if that was not a move.
    Did(Did),
    /// Answers [`Todo::Do`] of a move, all at once or one by one: these have been moved or will not be. What has not
    /// been, or where that is not known, must stay frozen until a [`Todo::Tell`] that knows of this: it comes in any case.
    Moved(Vec<Thing>),
    /// Somebody knows a higher epoch than our view: read it.
    Poke,
    /// Other pods to which there has been a session for a while; all of them. To be said before a refusal, when one
    /// of them is lost.
    Ready(BTreeSet<Incarnation>),
    /// An established session with a pod has ended and its address refuses.
    Refused {
        /// Which pod.
        pod: Incarnation,
        /// Who has seen it: ourselves, or another one that told us.
        by: Incarnation,
    },
    /// The links that must have an owner are these now.
    Wanted(Vec<Path>),
    /// We are about to end: from now on only beats.
    Leaving,
}

/// Something to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Todo {
    /// Count up our row, then read all rows.
    Beat,
    /// Read everything at one moment.
    ReadView,
    /// Change who owns what.
    Do(Step),
    /// Let the loop know: it is news, or something was moved.
    Tell {
        /// What was read.
        view: Arc<View>,
        /// So many [`Input::Moved`] had come before it was read. A loop that has sent more leaves frozen what is.
        moved: u64,
    },
    /// We have been closed, or the store has lost its tail ([`Member::has_lost`](crate::Member::has_lost)): end. Said once, and nothing after it.
    Closed,
}
