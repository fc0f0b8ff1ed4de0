//! `FederationPeer`: one allow-listed remote domain.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::room::JidExposureSpec;
use crate::service::{Mechanism, RoomNamespaces};
use crate::status::FederationPeerStatus;
use crate::types::{DOMAIN, DurationText, LOCALPART, LabelsSpec, SecretKeyRef};

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
    status = "FederationPeerStatus",
    validation = Rule::new("self.metadata.name.size() <= 63")
        .message("metadata.name may have 63 characters at most: it is used in labels"),
    printcolumn(name = "Domain", type_ = "string", json_path = ".spec.domain"),
    printcolumn(name = "Ready", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#),
    printcolumn(name = "Reason", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].reason"#),
    printcolumn(name = "Suspended", type_ = "boolean", json_path = ".spec.suspended"),
    printcolumn(name = "Flavour", type_ = "string", json_path = ".spec.flavour", priority = "1"),
    printcolumn(
        name = "Message", type_ = "string", priority = "1",
        json_path = r#".status.conditions[?(@.type=="Ready")].message"#
    ),
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

    /// Which of our rooms the peer's rooms may join: exactly one of localparts, all and selector. Default: none but those
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

    /// Who may open peerings. Both: either side (default). Inbound, Outbound: refused as NotSupportedYet.
    #[serde(default)]
    pub direction: PeerDirection,

    /// How the peer must prove who it is. Default: whatever the transport proves. Behind a component this is refused as
    /// AuthNotEnforceable: there the proof is the XMPP server's business.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth: Option<PeerAuth>,

    /// Where the peer is reached, instead of what DNS says. 8 at most. Refused as NotSupportedYet.
    #[serde(default)]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["host".into(), "port".into()]))]
    pub endpoints: Vec<PeerEndpoint>,

    /// What the peer is told of real JIDs by rooms that do not say. Default: every room says. Refused as
    /// NotSupportedYet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jid_exposure: Option<JidExposureSpec>,

    /// What a kick of one of our users by the peer does here. Honour: the user leaves (default). Ignore: refused as
    /// NotSupportedYet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote_kick: Option<RemoteKick>,

    /// What a moderation by the peer (XEP-0425) does here. Ignore: nothing (default). Honour, Hide: refused as
    /// NotSupportedYet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote_moderation: Option<RemoteModeration>,

    /// What is taken from the peer at most. Default: no bounds of its own. Refused as NotSupportedYet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limits: Option<PeerLimits>,
}

/// Both: either side opens peerings. Inbound, Outbound: refused as NotSupportedYet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PeerDirection {
    #[default]
    Both,
    Inbound,
    Outbound,
}

/// How a peer must prove who it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PeerAuth {
    /// External: by certificate. Dialback: by asking back. Default: either.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mechanism: Option<Mechanism>,
    /// Whether streams without TLS are refused. Default true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub require_tls: Option<bool>,
    /// Certificate authorities that may vouch for the peer, as PEM. Default: the system's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_bundle_ref: Option<SecretKeyRef>,
    /// SHA-256 of the public keys that the peer may have, in hexadecimal. 8 at most. Default: any key.
    #[serde(default)]
    #[schemars(length(max = 8), inner(length(min = 64, max = 64), regex(pattern = "^[0-9a-f]+$")))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub pinned_sha256: Vec<String>,
}

/// One address of a peer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PeerEndpoint {
    /// Host name or IP address.
    #[schemars(length(min = 1, max = 253))]
    pub host: String,
    /// Port, 1 to 65535.
    #[schemars(range(min = 1, max = 65535))]
    pub port: i32,
    /// Whether TLS begins with the connection (XEP-0368). Default false: STARTTLS.
    #[serde(default)]
    pub direct_tls: bool,
}

/// Honour: the user leaves. Ignore: refused as NotSupportedYet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RemoteKick {
    Honour,
    Ignore,
}

/// Ignore: nothing happens. Honour, Hide: refused as NotSupportedYet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RemoteModeration {
    Honour,
    Hide,
    Ignore,
}

/// What is taken from a peer at most.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PeerLimits {
    /// Stanzas a second. 1 to 1000000.
    #[schemars(range(min = 1, max = 1_000_000))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stanzas_per_second: Option<i32>,
    /// Bytes a second. 1000 to 1000000000.
    #[schemars(range(min = 1000, max = 1_000_000_000))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_per_second: Option<i32>,
    /// Rooms that it may join. 1 to 1000000.
    #[schemars(range(min = 1, max = 1_000_000))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_rooms: Option<i32>,
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

/// Which of our rooms a peer's rooms may join: exactly one of localparts, all and selector.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new(
    "[has(self.localparts), has(self.all) && self.all, has(self.selector)].filter(x, x).size() == 1"
).message("say exactly one of localparts, all: true and selector"))]
pub struct PeerRoomsSpec {
    /// Localparts of rooms. 1 to 500.
    #[schemars(length(min = 1, max = 500), inner(length(min = 1, max = 256), regex(pattern = LOCALPART)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub localparts: Option<Vec<String>>,
    /// true: all rooms of the service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub all: Option<bool>,
    /// Labels that the FederatedRoom must have. Refused as NotSupportedYet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selector: Option<LabelsSpec>,
    /// Namespaces that the FederatedRoom must be in. Default: any that the service takes. Refused as NotSupportedYet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespaces: Option<RoomNamespaces>,
    /// Whether a join makes the room if there is none. Default false; true is refused as NotSupportedYet.
    #[serde(default)]
    pub on_demand: bool,
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
