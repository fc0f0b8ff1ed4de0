//! Several pods on one store: who they are, and who owns what.
//!
//! The store keeps this and changes it in transactions; it decides nothing (which shard goes where, who has died, is
//! for the mesh) and never looks at a clock: times come from the caller and only raise epochs.
//!
//! A pod is known by its **incarnation**, a start of its process. It acts while its row is open. Whoever closes it
//! closes its lanes in the same transaction, so that nothing of it is stored after that; its commit in flight is
//! waited for. What it owned goes to others in that transaction, or to nobody until somebody claims it.

use warren_model::{Epoch, Path, Shard, Thing, UnixMs};

use crate::{Incarnation, Ownership, StoreError};

/// A pod that starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Join {
    /// Its name, which its next incarnation has too.
    pub name: Box<str>,
    /// This start of it.
    pub incarnation: Incarnation,
    /// Where other pods reach it.
    pub address: Box<str>,
    /// How many lanes it writes on.
    pub lanes: u16,
}

/// What a pod gets when it joins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    /// Its lanes, by number within the pod. Their epoch is 0, which is below that of every work: what counts is the
    /// epoch of the work's shard.
    pub lanes: Vec<Ownership>,
    /// Earlier incarnations of this pod that were open until now. What they owned is for
    /// [`Cluster::take_over_pod`], as after any death.
    pub closed: Vec<Incarnation>,
}

/// Whether a pod acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PodState {
    /// It does.
    Open,
    /// It has ended in good order, or its store was taken over by a single pod.
    Gone,
    /// Another one has closed it.
    Closed {
        /// Which one.
        by: Incarnation,
    },
}

/// An incarnation of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodRow {
    /// Which one.
    pub incarnation: Incarnation,
    /// Its name.
    pub name: Box<str>,
    /// Where other pods reach it.
    pub address: Box<str>,
    /// How often it has said that it lives.
    pub beat: u64,
    /// Whether it acts.
    pub state: PodState,
}

/// A shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShardRow {
    /// Which one.
    pub shard: Shard,
    /// Who decides for its rooms.
    pub owner: Option<Incarnation>,
    /// Of the last owner; 0: it never had one.
    pub epoch: Epoch,
}

/// A link that has or had an owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkRow {
    /// Which one.
    pub link: Path,
    /// Who sends on it.
    pub owner: Option<Incarnation>,
    /// Of the last owner.
    pub epoch: Epoch,
}

/// Everything, at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// By incarnation.
    pub pods: Vec<PodRow>,
    /// All of them, by number.
    pub shards: Vec<ShardRow>,
    /// By local and remote domain.
    pub links: Vec<LinkRow>,
}

/// A new owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// Of what.
    pub thing: Thing,
    /// Who.
    pub to: Incarnation,
}

/// A new owner for what was seen under an epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// What, and who is to have it.
    pub assignment: Assignment,
    /// The epoch that it was seen with (0: no such row); with another one, somebody was faster.
    pub seen: Epoch,
}

/// A change of owner that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// Of what, to whom.
    pub assignment: Assignment,
    /// Of the new ownership.
    pub epoch: Epoch,
}

/// The caller's own incarnation is not open: it must stop at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed;

/// What a take-over did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TakeOver {
    /// The pod is closed, by us.
    Done(
        /// Who owns what now, in order of the assignments. What was assigned to a pod that is not open belongs to
        /// nobody now and is not listed, nor is what the dead pod did not own.
        Vec<Moved>,
    ),
    /// Its beat is not the one that was seen: nothing has happened.
    Alive,
    /// It was closed before and its things have been dealt with, perhaps by ourselves in a transaction whose answer
    /// was lost: the view tells.
    Already {
        /// By whom, if by another pod.
        by: Option<Incarnation>,
    },
}

/// What pods know of each other through the store. Every verb is one transaction and may be repeated after an error.
pub trait Cluster: Send {
    /// Enters a pod and opens its lanes; closes earlier incarnations of the same name. Also ends an ownership of the
    /// whole store ([`crate::Backend::take_over`]): its lanes are closed, its epoch is exceeded by all that follow.
    ///
    /// # Errors
    /// [`StoreError::Failed`] when this incarnation was closed already: start with a new one.
    fn join(&mut self, join: &Join) -> Result<Joined, StoreError>;

    /// Says that a pod lives. `false`: it has been closed.
    fn beat(&mut self, incarnation: Incarnation) -> Result<bool, StoreError>;

    /// All pods, by incarnation; closed ones too, until they are forgotten.
    fn pods(&mut self) -> Result<Vec<PodRow>, StoreError>;

    /// Everything.
    fn view(&mut self) -> Result<View, StoreError>;

    /// Closes a dead pod, after waiting for its commit in flight, and hands out what it owned. `seen`: only if its beat
    /// still is this one; a pod that beats at the last moment lives. What is not assigned belongs to nobody. Of several
    /// that try, one succeeds; two that try it with each other, too.
    ///
    /// A pod that its own next incarnation has closed is taken over by this verb too, once: by whoever comes first.
    fn take_over_pod(
        &mut self,
        dead: Incarnation,
        seen: Option<u64>,
        by: Incarnation,
        assign: &[Assignment],
        now: UnixMs,
    ) -> Result<Result<TakeOver, Closed>, StoreError>;

    /// Gives owners to what has none, or one that is not open. Says what was given; the rest was taken by others
    /// since it was seen, or was to go to a pod that is not open.
    fn claim(
        &mut self,
        by: Incarnation,
        claims: &[Claim],
        now: UnixMs,
    ) -> Result<Result<Vec<Moved>, Closed>, StoreError>;

    /// Planned moves, after the owner has stopped deciding for these things and its lanes are flushed. They wait for
    /// commits in flight of `from`, and later ones that were decided under the old epoch are rejected. Says what was
    /// moved, in order of `moves` (each thing once); left out is what is not (any more) with `from` under the epoch
    /// that was seen, and what was to go to a pod that is not open. If `from` is not open itself, nothing happens.
    ///
    /// What was moved in a transaction whose answer was lost is left out of a repeat: the view tells.
    fn move_things(&mut self, from: Incarnation, moves: &[Claim], now: UnixMs) -> Result<Vec<Moved>, StoreError>;

    /// The orderly end of a pod that hands over everything at once: waits for its commits in flight, closes its lanes,
    /// gives what it owned to others and leaves it as [`PodState::Gone`]. Says who owns what now, in order of the
    /// assignments (each thing once). What was not assigned, or to a pod that is not open (which it is itself no more),
    /// belongs to nobody.
    ///
    /// [`Closed`]: somebody else has closed it, and its things are his; or, in a repeat, it has happened.
    fn hand_over(
        &mut self,
        me: Incarnation,
        assign: &[Assignment],
        now: UnixMs,
    ) -> Result<Result<Vec<Moved>, Closed>, StoreError>;

    /// The orderly end of a pod that hands over nothing: closes its lanes; what it still owns belongs to nobody.
    /// `false`: it was closed before.
    fn goodbye(&mut self, incarnation: Incarnation) -> Result<bool, StoreError>;

    /// Removes a pod that is not open, owns nothing and has no lane left (those go when all that they wrote has been
    /// delivered, by [`crate::Backend::trim_batches`]), and what is known of stanzas that it routed: only when nothing of
    /// it can be under way any more, since a repeat is not known after this. `false`: there is none, or it is not that
    /// far.
    ///
    /// The one verb that may take more than one transaction, since what a pod routed may be much; what a broken one
    /// leaves is for a repeat, and nobody misses what went.
    fn forget(&mut self, incarnation: Incarnation) -> Result<bool, StoreError>;
}
