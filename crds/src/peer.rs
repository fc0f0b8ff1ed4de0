//! `FederationPeer`: one allow-listed remote domain.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::types::{DOMAIN, DurationText, LOCALPART};

/// Which remote room service is a peer, whose users it may speak for, and which of our rooms it may join.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, CustomResource, KubeSchema)]
#[kube(
    group = "warren.chat",
    version = "v1alpha1",
    kind = "FederationPeer",
    plural = "federationpeers",
    shortname = "fpeer",
    category = "muc",
    namespaced,
    derive = "PartialEq",
    doc = "FederationPeer allow-lists one remote room service for the MucServices of its namespace. Without one, \
           no remote room may join ours and none of ours joins a remote one. Unstable until the first release.",
    validation = Rule::new("self.metadata.name.size() <= 63")
        .message("metadata.name may have 63 characters at most: it is used in labels"),
    printcolumn(name = "Domain", type_ = "string", json_path = ".spec.domain"),
    printcolumn(name = "Suspended", type_ = "boolean", json_path = ".spec.suspended"),
    printcolumn(name = "Flavour", type_ = "string", json_path = ".spec.flavour", priority = "1"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[cfg_attr(test, kube(cel))]
#[serde(rename_all = "camelCase")]
pub struct FederationPeerSpec {
    /// Domain of the remote room service (of its rooms, not of its users). Lower-case, A-label form.
    #[schemars(length(min = 1, max = 253), regex(pattern = DOMAIN))]
    #[x_kube(validation = Rule::new("self == self.lowerAscii()").message("domains are written in lower case"))]
    pub domain: String,

    /// Whose JIDs the peer's rooms may vouch for: exactly one of domains and any. Users of our own homeDomains
    /// never.
    pub vouch: VouchSpec,

    /// Which of our rooms the peer's rooms may join: exactly one of localparts and all. Default: none but those
    /// that list the peer under federation.downlinks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rooms: Option<PeerRoomsSpec>,

    /// What the remote node speaks. Auto: found out at the first join (default). Warren: Warren's own extension.
    /// Openfire, Xep: refused as NotSupportedYet.
    #[serde(default)]
    pub flavour: FlavourSpec,

    /// Waiting times of peerings with this peer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timers: Option<PeerTimersSpec>,

    /// The kill switch: true closes all peerings with this peer and refuses its joins. Default false.
    #[serde(default)]
    pub suspended: bool,
}

/// Whose JIDs a peer may vouch for: exactly one of the two fields.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.domains) != (has(self.any) && self.any)")
    .message("say exactly one of domains and any: true"))]
pub struct VouchSpec {
    /// Users of these domains. 1 to 64, lower-case, A-label form.
    #[schemars(length(min = 1, max = 64), inner(length(min = 1, max = 253), regex(pattern = DOMAIN)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domains: Option<Vec<String>>,
    /// true: anybody but our own users. Only for peers that are trusted with every name in the world.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub any: Option<bool>,
}

/// Which of our rooms a peer's rooms may join: exactly one of the two fields.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.localparts) != (has(self.all) && self.all)")
    .message("say exactly one of localparts and all: true"))]
pub struct PeerRoomsSpec {
    /// Localparts of rooms. 1 to 500.
    #[schemars(length(min = 1, max = 500), inner(length(min = 1, max = 256), regex(pattern = LOCALPART)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub localparts: Option<Vec<String>>,
    /// true: all rooms of the service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub all: Option<bool>,
}

/// Auto: found out at the first join. Warren: Warren's own extension. Openfire, Xep: refused as NotSupportedYet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum FlavourSpec {
    #[default]
    Auto,
    Warren,
    Openfire,
    Xep,
}

/// Waiting times of a peering: a whole number and a unit, such as 500ms, 35s, 10m, 1h.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PeerTimersSpec {
    /// A stanza that the peer leaves unacknowledged for so long makes the peering Suspect. Default 10s; 100ms to 10m.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ack_timeout: Option<DurationText>,
    /// Occupants behind a lost peering stay for so long. Default 60s; 0s to 24h.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peering_grace: Option<DurationText>,
    /// An unanswered join or resync is tried again after so long at first; doubles up to 16 times that.
    /// Default 5s; 100ms to 10m.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry: Option<DurationText>,
}
