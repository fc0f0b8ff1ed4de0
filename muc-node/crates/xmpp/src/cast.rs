//! One stanza for many: what `room` hands to `egress`, so that neither needs to know the other.

use jid::Jid;
use smallvec::SmallVec;
use warren_model::Seq;

use crate::writer::Template;

/// What `egress` knows of a path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PathState {
    /// Pings are answered.
    #[default]
    Up,
    /// Something went wrong; nobody is removed for that.
    Suspect,
    /// It has been wrong for long enough that the grace time of occupants runs.
    Down,
}

/// One session of an occupant within a loaded room. Not durable: a room that is loaded again gives
/// other numbers and resets its groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(pub u32);

/// One stanza for many sessions, serialised once per variant.
#[derive(Clone, Debug)]
pub struct Cast {
    /// Position of the log row it shows. Sessions get it only if they joined before
    /// (`join_seq < seq`). `None`: transient, everybody present gets it, once at most.
    pub seq: Option<Seq>,
    /// `Some`: only this path (a replay). `None`: all paths but those in `except`.
    pub only: Option<Box<str>>,
    /// Paths that get this row by a replay that is still running.
    pub except: SmallVec<[Box<str>; 1]>,
    /// The texts.
    pub variants: Variants,
    /// Sessions that get it.
    pub who: Who,
}

/// The texts of one cast.
#[derive(Clone, Debug)]
pub struct Variants {
    /// For everybody who gets none of the others.
    pub plain: Template,
    /// For those who may see real JIDs.
    pub full: Option<Template>,
    /// For the sessions it is about (status 110); the list is short.
    pub own: Option<(SmallVec<[SessionId; 2]>, Template)>,
}

/// Sessions that get a cast.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Who {
    /// All.
    #[default]
    All,
    /// Those who may see real JIDs because they are moderators.
    Moderators,
}

/// One session as a member of an egress group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Which session.
    pub session: SessionId,
    /// Its real full JID.
    pub jid: Jid,
    /// Gets the variant with real JIDs.
    pub sees_real: bool,
    /// Is a moderator.
    pub moderator: bool,
    /// Position of its join.
    pub join_seq: Seq,
}

/// How a group changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupChange {
    /// The whole group, after the room was loaded.
    Reset(Vec<Member>),
    /// A session came, or its flags changed.
    Put(Member),
    /// A session went.
    Remove(SessionId),
}

/// Beginning and end of a replay to one path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplayMark {
    /// From here on this room's frames for the path are complete and in order.
    Start,
    /// The last row of the gap has been handed over.
    End,
}
