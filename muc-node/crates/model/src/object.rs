//! Configuration objects as they travel from `crds::build` through `control` to the owner's store.

use serde::{Deserialize, Serialize};

use crate::config::{PeerConfig, RoomConfig, ServiceConfig};
use crate::ids::Generation;

/// What an object declares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Kind {
    /// `MucService`
    MucService,
    /// `FederationPeer`
    FederationPeer,
    /// `FederatedRoom`
    FederatedRoom,
}

impl Kind {
    /// As kubectl writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MucService => "MucService",
            Self::FederationPeer => "FederationPeer",
            Self::FederatedRoom => "FederatedRoom",
        }
    }
}

/// Kind, namespace and name: unique at one moment; over time only `uid` is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ObjectName {
    /// What it declares.
    pub kind: Kind,
    /// Kubernetes namespace.
    pub namespace: String,
    /// Kubernetes name.
    pub name: String,
}

impl std::fmt::Display for ObjectName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}/{}", self.kind.as_str(), self.namespace, self.name)
    }
}

/// One applied object: the output of `crds::build`, with secrets resolved and without Kubernetes types.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Object {
    /// Which one.
    pub name: ObjectName,
    /// Identity over time: another uid is another object, whatever its name.
    pub uid: String,
    /// Rises with each change of the declaration.
    pub generation: Generation,
    /// Hash of the body, so that a rotated secret is seen as a change.
    pub digest: String,
    /// What it says.
    pub body: Body,
}

/// What an object says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Body {
    /// The deployment and its domain.
    Service(ServiceConfig),
    /// One allow-listed remote domain.
    Peer(PeerConfig),
    /// One room with its address.
    Room {
        /// Address of the room.
        jid: jid::BareJid,
        /// Its configuration.
        config: RoomConfig,
        /// What happens to the rows when the object goes away.
        destroy_on_delete: bool,
    },
}
