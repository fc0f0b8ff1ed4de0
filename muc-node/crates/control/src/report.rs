//! Answers and reports: what both sides of the protocol speak of.

use std::fmt;

use jid::BareJid;
use warren_model::{Direction, Generation, ObjectName, PeeringView, Shard};

use crate::registry::{Applied, Refused};

/// What became of an Apply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Done and durable.
    Done(Applied),
    /// Refused; nothing has changed, and asking again does not help.
    Refused(Refusal),
}

/// Why an object is refused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refusal {
    /// `CamelCase`; the spelling is an API.
    pub reason: String,
    /// For people. Names no secret.
    pub message: String,
    /// Such as `spec.domain`; empty: the whole object.
    pub field: String,
    /// The object that is in the way, with its uid, if another one is.
    pub holder: Option<(ObjectName, String)>,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<Refused> for Refusal {
    fn from(refused: Refused) -> Self {
        let message = refused.to_string();
        let field = |name: &ObjectName| match name.kind {
            warren_model::ObjectKind::FederatedRoom => "spec.localpart",
            _ => "spec.domain",
        };
        let (reason, field, holder) = match refused {
            Refused::LowerGeneration { .. } => ("LowerGeneration", "metadata.generation", None),
            Refused::AddressTaken { name, holder, uid, .. } => ("AddressTaken", field(&name), Some((*holder, uid))),
            Refused::NameTaken { name, uid } => ("NameTaken", "metadata.name", Some((name, uid))),
            Refused::AddressChanged { name, .. } => ("AddressChanged", field(&name), None),
            Refused::WrongKind(_) => ("WrongKind", "", None),
        };
        Self { reason: reason.to_owned(), message, field: field.to_owned(), holder }
    }
}

/// Why there is no answer: nobody can tell what became of the call, and it may be made again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failed {
    /// No owner, no store, no connection: it passes.
    #[error("{0}")]
    Unavailable(String),
    /// The other side does not understand us, or does not trust us: it passes when somebody does something about it.
    #[error("{0}")]
    Protocol(String),
}

/// What a pod says of one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectReport {
    /// Which one.
    pub name: ObjectName,
    /// Identity over time.
    pub uid: String,
    /// What is applied.
    pub generation: Generation,
    /// Hash of the body that is applied.
    pub digest: String,
    /// Rooms only: the peers that the room knows.
    pub peerings: Vec<PeeringReport>,
    /// Rooms only: whether anybody is in it here.
    pub occupied: bool,
    /// Services only: whether the transport to the XMPP world is up.
    pub connected: bool,
    /// The shard whose owner speaks.
    pub shard: Shard,
}

/// What a room says of one peer room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeeringReport {
    /// Address of the peer room.
    pub peer: BareJid,
    /// Who joined whom.
    pub direction: Direction,
    /// Where it stands.
    pub state: PeeringView,
}
