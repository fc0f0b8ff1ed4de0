//! Configuration as the pods know it: the output of `crds::build`, free of Kubernetes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use jid::BareJid;
use serde::{Deserialize, Serialize};

/// Long-lived relation of a user to a room (XEP-0045 5.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Affiliation {
    /// Banned.
    Outcast,
    /// No relation.
    #[default]
    None,
    /// May enter a members-only room.
    Member,
    /// May ban and grant membership.
    Admin,
    /// May do everything.
    Owner,
}

impl Affiliation {
    /// The value on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Outcast => "outcast",
            Self::None => "none",
            Self::Member => "member",
            Self::Admin => "admin",
            Self::Owner => "owner",
        }
    }

    /// From the value on the wire.
    pub fn parse(s: &str) -> Option<Self> {
        Some(match s {
            "outcast" => Self::Outcast,
            "none" => Self::None,
            "member" => Self::Member,
            "admin" => Self::Admin,
            "owner" => Self::Owner,
            _ => return None,
        })
    }
}

/// Who sees real JIDs (XEP-0045 4.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Anonymity {
    /// Moderators only.
    #[default]
    SemiAnonymous,
    /// Everybody.
    NonAnonymous,
}

/// What a federated room tells peers of its occupants' real JIDs (`fmuc.md` 6.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum JidExposure {
    /// The JIDs themselves, as XEP-0289 has it.
    Real,
}

/// Bounds of what a newcomer is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// Messages at most; 0 switches history off.
    pub max_messages: u32,
    /// Older messages are not shown.
    pub max_age: Option<Duration>,
}

impl Default for History {
    fn default() -> Self {
        Self { max_messages: 50, max_age: None }
    }
}

/// One room, as declared.
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own in XEP-0045's form")]
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomConfig {
    /// Name for people (`muc#roomconfig_roomname`).
    #[serde(default)]
    pub title: String,
    /// Longer text for people (`muc#roomconfig_roomdesc`).
    #[serde(default)]
    pub description: String,
    /// Only members, admins and owners may enter.
    #[serde(default)]
    pub members_only: bool,
    /// Newcomers are visitors and have no voice.
    #[serde(default)]
    pub moderated: bool,
    /// Participants, not only moderators, may set the subject.
    #[serde(default)]
    pub participants_may_set_subject: bool,
    /// Who sees real JIDs.
    #[serde(default)]
    pub anonymity: Anonymity,
    /// Occupants at most, admins and owners not counted.
    #[serde(default)]
    pub max_occupants: Option<u32>,
    /// Needed to enter, if any.
    #[serde(default)]
    pub password: Option<String>,
    /// What newcomers are shown.
    #[serde(default)]
    pub history: History,
    /// Affiliations that the configuration ensures.
    #[serde(default)]
    pub affiliations: BTreeMap<BareJid, Affiliation>,
    /// Other affiliations are removed when this is set (`policy: Authoritative`).
    #[serde(default)]
    pub affiliations_authoritative: bool,
    /// Federation; `None`: no `FederatedRoom.spec.federation`, but peers may still join if they are admitted.
    #[serde(default)]
    pub federation: Option<FederationConfig>,
}

/// All but the password.
impl fmt::Debug for RoomConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RoomConfig")
            .field("title", &self.title)
            .field("description", &self.description)
            .field("members_only", &self.members_only)
            .field("moderated", &self.moderated)
            .field("participants_may_set_subject", &self.participants_may_set_subject)
            .field("anonymity", &self.anonymity)
            .field("max_occupants", &self.max_occupants)
            .field("password", &self.password.as_ref().map(|_| Hidden))
            .field("history", &self.history)
            .field("affiliations", &self.affiliations)
            .field("affiliations_authoritative", &self.affiliations_authoritative)
            .field("federation", &self.federation)
            .finish()
    }
}

/// Printed in the place of a secret.
struct Hidden;

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// `FederatedRoom.spec.federation`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FederationConfig {
    /// The node that this room joins; absent: it is only joined.
    #[serde(default)]
    pub uplink: Option<Uplink>,
    /// Domains whose rooms may join beyond what the `FederationPeer`s admit.
    #[serde(default)]
    pub downlinks: BTreeSet<Box<str>>,
    /// What peers are told of real JIDs.
    #[serde(default)]
    pub jid_exposure: Option<JidExposure>,
}

/// The node that a room joins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Uplink {
    /// Address of the room at the peer.
    pub room: BareJid,
}

/// One allow-listed remote domain (`FederationPeer`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerConfig {
    /// The remote room service's domain.
    pub domain: Box<str>,
    /// Whose JIDs its rooms may vouch for; our home domains never.
    pub vouch: Vouch,
    /// Localparts of our rooms that its rooms may join; `None`: none beyond `downlinks`.
    #[serde(default)]
    pub rooms: PeerRooms,
    /// What the remote node speaks.
    #[serde(default)]
    pub flavour: FlavourHint,
    /// Waiting times of the peerings.
    #[serde(default)]
    pub timers: PeerTimers,
    /// The kill switch: peerings are closed and joins refused.
    #[serde(default)]
    pub suspended: bool,
}

/// Which of our rooms a peer's rooms may join.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum PeerRooms {
    /// None beyond what rooms list under `downlinks`.
    #[default]
    Listed,
    /// These localparts.
    Only(BTreeSet<Box<str>>),
    /// All.
    All,
}

/// Name of a peer in a room's configuration, resolved to its domain.
pub type PeerRef = Box<str>;

/// Whose JIDs a peer may vouch for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Vouch {
    /// Users of these domains.
    Domains(BTreeSet<Box<str>>),
    /// Anybody but our own users.
    Any,
}

/// What a remote node speaks (`fmuc.md` 6.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum FlavourHint {
    /// Found out at the first join.
    #[default]
    Auto,
    /// Warren with its extension inside `fmuc`.
    Warren,
}

/// Waiting times of a peering.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerTimers {
    /// A stanza unacknowledged for so long makes the peering Suspect.
    pub ack_timeout: Duration,
    /// Occupants behind a lost peering stay for so long.
    pub peering_grace: Duration,
    /// An unanswered join or resync is tried again after so long at first; doubles up to 16 times that.
    pub retry: Duration,
}

impl Default for PeerTimers {
    fn default() -> Self {
        Self {
            ack_timeout: Duration::from_secs(10),
            peering_grace: Duration::from_mins(1),
            retry: Duration::from_secs(5),
        }
    }
}

/// The room service of this site (`MucService`), as far as rooms need it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceConfig {
    /// The domain of the rooms.
    pub domain: Box<str>,
    /// Our users' domains: no peer may ever vouch for them.
    pub home_domains: BTreeSet<Box<str>>,
    /// Host and port of the server whose component this service is, and the secret.
    pub component: ComponentConfig,
    /// Waiting times towards servers.
    #[serde(default)]
    pub timers: ServiceTimers,
}

/// How the service attaches to its server (XEP-0114).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComponentConfig {
    /// Host name or address of the server.
    pub host: String,
    /// Port of the server's component listener.
    pub port: u16,
    /// Shared secret, resolved.
    pub secret: String,
}

/// All but the secret.
impl fmt::Debug for ComponentConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port, secret: _ } = self;
        f.debug_struct("ComponentConfig").field("host", host).field("port", port).field("secret", &Hidden).finish()
    }
}

/// Waiting times of paths (`egress`) and of occupants behind them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceTimers {
    /// Pings of a busy path come no closer together than this.
    pub ping_interval: Duration,
    /// An idle path is pinged once, so long after its last stanza.
    pub ping_idle: Duration,
    /// A ping unanswered for so long makes its path Suspect.
    pub suspect_after: Duration,
    /// Occupants of a Down path stay for so long.
    pub domain_grace: Duration,
    /// Silence of the component link after which it is probed; unanswered for as long again: it is lost.
    pub liveness: Duration,
}

impl Default for ServiceTimers {
    fn default() -> Self {
        Self {
            ping_interval: Duration::from_secs(1),
            ping_idle: Duration::from_secs(2),
            suspect_after: Duration::from_secs(35),
            domain_grace: Duration::from_mins(10),
            liveness: Duration::from_secs(30),
        }
    }
}
