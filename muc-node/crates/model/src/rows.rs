//! Rows of the store. They are the state: there is no snapshot format and one way to load a room.
//!
//! Payloads that only the room core reads travel as bytes; the store never looks inside.

use jid::{BareJid, Jid};
use serde::{Deserialize, Serialize};

use crate::config::Affiliation;
use crate::ids::{Birth, Epoch, Incarnation, RoomId, Secret, Seq};
use crate::time::UnixMs;

/// Privilege during a visit (XEP-0045 5.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Role {
    /// Not in the room.
    None,
    /// No voice in a moderated room.
    Visitor,
    /// May speak.
    #[default]
    Participant,
    /// May kick and grant voice.
    Moderator,
}

impl Role {
    /// The value on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Visitor => "visitor",
            Self::Participant => "participant",
            Self::Moderator => "moderator",
        }
    }

    /// From the value on the wire.
    pub fn parse(s: &str) -> Option<Self> {
        Some(match s {
            "none" => Self::None,
            "visitor" => Self::Visitor,
            "participant" => Self::Participant,
            "moderator" => Self::Moderator,
            _ => return None,
        })
    }
}

/// One room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomRow {
    /// Key.
    pub id: RoomId,
    /// Address; unique.
    pub jid: BareJid,
    /// This life of the room.
    pub birth: Birth,
    /// Keys of its ids are derived from it.
    pub secret: Secret,
    /// Object that declares it; empty when none does any more.
    pub object_uid: String,
    /// Generation of that object that `config` came from.
    pub generation: i64,
    /// `RoomConfig`, serialised.
    pub config: Vec<u8>,
    /// Log position of the current subject; 0: never set.
    pub subject_seq: Seq,
    /// Lowest position still in the log.
    pub low: Seq,
    /// Highest position given out.
    pub head: Seq,
}

/// One session of an occupant: a real JID under a nick.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OccupantRow {
    /// Real full JID.
    pub jid: Jid,
    /// Nick in this room.
    pub nick: Box<str>,
    /// Current role.
    pub role: Role,
    /// Peer room that vouches for this occupant; `None`: it joined here.
    pub peering: Option<BareJid>,
    /// Nick at that peer, when it is another one (`fmuc.md` 6.5).
    pub peer_nick: Option<Box<str>>,
    /// Affiliation that the peer shows; ours come from the affiliation rows.
    pub peer_affiliation: Affiliation,
    /// Log position of the join of this session.
    pub join_seq: Seq,
    /// Log position of its last logged change.
    pub seq: Seq,
    /// Canonical bytes of the children of its last presence (lazy).
    pub presence: Vec<u8>,
}

/// One entry of the room's affiliation lists.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AffiliationRow {
    /// User, or a whole domain.
    pub jid: BareJid,
    /// Never `None`: that is the absence of the row.
    pub value: Affiliation,
    /// Why, in the words of who did it.
    pub reason: Option<String>,
    /// Ensured by the declaration.
    pub managed: bool,
}

/// Who joined whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Direction {
    /// We are the joining node.
    Uplink,
    /// We are the joined node.
    Downlink,
}

/// What the peer was found to speak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Flavour {
    /// Plain XEP-0289, or not known yet.
    #[default]
    Xep,
    /// Warren: the extension inside `fmuc` works.
    Warren,
}

/// State of a peering that must survive a restart (`fmuc.md` 6.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum PeeringState {
    /// No occupants on the joining side.
    #[default]
    Idle,
    /// Join sent (joining side) or being served.
    Joining,
    /// In step.
    Up,
    /// Lost; a resync is due.
    Down,
}

/// Where a peering stands, in the words of status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum PeeringView {
    /// Nobody is in the room on the joining side.
    #[default]
    Idle,
    /// Asked, not answered yet.
    Connecting,
    /// In step.
    Joined,
    /// Joined, and being brought in step again.
    Degraded,
    /// Lost.
    Unreachable,
    /// Not admitted here.
    Denied,
    /// Not admitted there.
    Rejected,
}

/// The FMUC relation of this room with a room there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeeringRow {
    /// Address of the other room.
    pub peer: BareJid,
    /// Who joined whom.
    pub direction: Direction,
    /// What the peer speaks.
    pub flavour: Flavour,
    /// Where it stands.
    pub state: PeeringState,
    /// The peer room's birth, as it told us.
    pub peer_session: Option<Birth>,
    /// Last id processed from the peer: our next `h`.
    pub rx_last: Option<Box<str>>,
    /// Highest position of ours that the peer acknowledged.
    pub tx_acked: Seq,
    /// When the state was entered.
    pub since: UnixMs,
}

/// What a log row records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[repr(u8)]
pub enum LogKind {
    /// A groupchat message.
    Message = 1,
    /// A change of subject.
    Subject = 2,
    /// A session came.
    Join = 3,
    /// A session went.
    Leave = 4,
    /// A change of nick.
    Nick = 5,
    /// A change of role or affiliation of a present occupant.
    Role = 6,
    /// A change of configuration.
    Config = 7,
}

impl LogKind {
    /// From the number in the store.
    pub fn from_number(n: u8) -> Option<Self> {
        Some(match n {
            1 => Self::Message,
            2 => Self::Subject,
            3 => Self::Join,
            4 => Self::Leave,
            5 => Self::Nick,
            6 => Self::Role,
            7 => Self::Config,
            _ => return None,
        })
    }
}

/// One entry of a room's log. `(room, seq)` is its key and the second fence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogRow {
    /// Position.
    pub seq: Seq,
    /// Ownership under which it was decided.
    pub epoch: Epoch,
    /// What it records.
    pub kind: LogKind,
    /// When this site decided; monotone in `seq`.
    pub at: UnixMs,
    /// When it happened at its origin; what people are shown.
    pub eff: UnixMs,
    /// Real JID of whom it is about.
    pub jid: Option<Jid>,
    /// Nick of whom it is about.
    pub nick: Box<str>,
    /// Peer room it came from; `None`: it was decided here.
    pub ingress: Option<BareJid>,
    /// Foreign stanza-id; `None`: the id of this row, computed from epoch and seq.
    pub id: Option<Box<str>>,
    /// What the room core needs to render it again.
    pub payload: Vec<u8>,
}

/// A foreign id that was seen: deduplication, outlives the log.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FmucKeyRow {
    /// Room that gave the id (`by` of XEP-0359).
    pub origin: BareJid,
    /// The id.
    pub id: Box<str>,
    /// Digest of the content, against ids that were taken before.
    pub digest: u64,
    /// Log position it was stored at.
    pub seq: Seq,
    /// When.
    pub at: UnixMs,
}

/// The last stanza that a source routed to a room, of those that left something in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Routed {
    /// Who routed it.
    pub source: Incarnation,
    /// The source's number of it; one with this number or a lower one is a repeat.
    pub n: u64,
}

/// One change of a room's rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Row {
    /// Inserts or replaces the room.
    Room(RoomRow),
    /// Removes the room with everything that belongs to it.
    RoomGone,
    /// Inserts or replaces a session (key: jid and nick).
    Occupant(OccupantRow),
    /// Removes a session.
    OccupantGone {
        /// Real JID.
        jid: Jid,
        /// Nick.
        nick: Box<str>,
    },
    /// Replaces `presence` of a session, if it is still there. Lazy: nothing waits for it.
    Presence {
        /// Real JID.
        jid: Jid,
        /// Nick.
        nick: Box<str>,
        /// Canonical bytes.
        presence: Vec<u8>,
    },
    /// Inserts or replaces an affiliation.
    Affiliation(AffiliationRow),
    /// Removes an affiliation.
    AffiliationGone(BareJid),
    /// Inserts or replaces a peering (key: peer).
    Peering(PeeringRow),
    /// Removes a peering.
    PeeringGone(BareJid),
    /// Appends to the log; a position that is taken fails the whole transaction.
    Log(LogRow),
    /// Remembers a foreign id; one that is there stays as it is.
    FmucKey(FmucKeyRow),
}

/// Everything a room is loaded from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomRows {
    /// The room.
    pub room: RoomRow,
    /// Sessions, by `join_seq`.
    pub occupants: Vec<OccupantRow>,
    /// Affiliations.
    pub affiliations: Vec<AffiliationRow>,
    /// Peerings.
    pub peerings: Vec<PeeringRow>,
    /// The newest messages, oldest first, and the subject's row before them if it is not among them.
    pub history: Vec<LogRow>,
    /// The subject's row, if there is one.
    pub subject: Option<LogRow>,
    /// The newest foreign ids.
    pub fmuc_keys: Vec<FmucKeyRow>,
    /// What was routed here, by source.
    pub routed: Vec<Routed>,
}
