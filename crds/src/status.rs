//! What the operator says of the three kinds. Written when its meaning changes and at no other time: no clock, no
//! sample, no owner pod is in it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the operator says of a MucService.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct MucServiceStatus {
    /// Generation of the spec that this status is about.
    #[schemars(range(min = 0))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Pods that there are.
    #[schemars(range(min = 0, max = 100_000))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i32>,
    /// Pods that are ready.
    #[schemars(range(min = 0, max = 100_000))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready_replicas: Option<i32>,
    /// Pods of the newest template.
    #[schemars(range(min = 0, max = 100_000))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_replicas: Option<i32>,
    /// Labels of the pods, as autoscalers read them.
    #[schemars(length(max = 1024))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selector: Option<String>,
    /// How many rooms there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rooms: Option<RoomCounts>,
    /// How many 4096ths of the rooms have an owner. Not filled in yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shards: Option<ShardCounts>,
    /// Peers that at least one room is joined with. Not filled in yet.
    #[schemars(range(min = 0, max = 100_000))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peers_connected: Option<i32>,
    /// Whether the pods reach the store. Not filled in yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store_reachable: Option<bool>,
    /// Accepted, Programmed, Available, Degraded, Ready, and Paused while it is.
    #[serde(default)]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}

/// How many rooms there are. Rewritten every 10 s at most.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct RoomCounts {
    /// FederatedRooms that name the service.
    #[schemars(range(min = 0, max = 100_000_000))]
    pub total: i32,
    /// Those that are accepted.
    #[schemars(range(min = 0, max = 100_000_000))]
    pub accepted: i32,
    /// Those that the pods have.
    #[schemars(range(min = 0, max = 100_000_000))]
    pub programmed: i32,
}

/// How many 4096ths of the rooms have an owner.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ShardCounts {
    /// All.
    #[schemars(range(min = 0, max = 4096))]
    pub total: i32,
    /// Those with an owner.
    #[schemars(range(min = 0, max = 4096))]
    pub owned: i32,
    /// Those without.
    #[schemars(range(min = 0, max = 4096))]
    pub unowned: i32,
}

/// What the operator says of a FederationPeer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct FederationPeerStatus {
    /// Generation of the spec that this status is about.
    #[schemars(range(min = 0))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Best state among the rooms. Not filled in yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<PeerState>,
    /// The stream to the peer. Not filled in behind a component.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link: Option<LinkStatus>,
    /// The peer's certificate. Not filled in behind a component.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<CertificateStatus>,
    /// Rooms that name the peer. Not filled in yet.
    #[schemars(range(min = 0, max = 100_000_000))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rooms: Option<i32>,
    /// When the state last became Joined. Not filled in yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_connected: Option<Time>,
    /// Why it is not. Not filled in yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<PeerError>,
    /// Accepted, Programmed, Ready, and Paused while it is.
    #[serde(default)]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}

/// A stream to a peer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct LinkStatus {
    /// Version of TLS; empty: none.
    #[schemars(length(max = 16))]
    pub tls: String,
    /// How the peer has proven who it is.
    #[schemars(length(max = 16))]
    pub auth: String,
    /// Who has opened it.
    #[schemars(length(max = 16))]
    pub direction: String,
}

/// A peer's certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct CertificateStatus {
    /// When it ends.
    pub not_after: Time,
    /// SHA-256 in hexadecimal.
    #[schemars(length(max = 64))]
    pub fingerprint: String,
}

/// What is wrong with a peer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PeerError {
    /// In one word.
    #[schemars(length(max = 64))]
    pub reason: String,
    /// In a sentence, without control characters.
    #[schemars(length(max = 256))]
    pub message: String,
}

/// What the operator says of a FederatedRoom.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct FederatedRoomStatus {
    /// Generation of the spec that this status is about.
    #[schemars(range(min = 0))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The room's address.
    #[schemars(length(max = 2048))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jid: Option<String>,
    /// Generation of what the room's owner has acknowledged last.
    #[schemars(length(max = 64))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config_version: Option<String>,
    /// Who is in the room. With statusDetail: Sampled only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub occupants: Option<Occupants>,
    /// Peers that are joined, of all that uplink and downlinks name: 2/3.
    #[schemars(length(max = 16))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer_summary: Option<String>,
    /// The peers that uplink and downlinks name.
    #[serde(default)]
    #[schemars(length(max = 128))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["peer".into()]))]
    pub peers: Vec<RoomPeer>,
    /// Accepted, Programmed, Hosted, Federated, Ready, and Paused while it is.
    #[serde(default)]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}

/// Who is in a room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Occupants {
    /// All.
    #[schemars(range(min = 0, max = 100_000_000))]
    pub total: i32,
    /// Those of this site.
    #[schemars(range(min = 0, max = 100_000_000))]
    pub local: i32,
    /// Those of other sites.
    #[schemars(range(min = 0, max = 100_000_000))]
    pub remote: i32,
    /// When they were counted.
    pub sampled_at: Time,
}

/// One peer of a room.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct RoomPeer {
    /// Name of the FederationPeer.
    #[schemars(length(max = 63))]
    pub peer: String,
    /// Uplink: we join it. Downlink: it joins us.
    pub direction: LinkDirection,
    /// What becomes of it.
    pub state: PeerState,
    /// Last change of the state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
    /// Last resync, to the minute. With statusDetail: Sampled only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_sync: Option<Time>,
    /// Round trip in steps of 1, 2, 5 times a power of ten. With statusDetail: Sampled only.
    #[schemars(range(min = 0, max = 100_000))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rtt_millis: Option<i32>,
    /// Occupants over there. With statusDetail: Sampled only.
    #[schemars(range(min = 0, max = 100_000_000))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote_occupants: Option<i32>,
    /// Why it is not joined.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<PeerError>,
}

/// Uplink: we join it. Downlink: it joins us.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum LinkDirection {
    #[default]
    Uplink,
    Downlink,
}

/// Idle: nobody is in the room here. Connecting: asked, not answered yet. Joined. Degraded: joined, and suspected of
/// being lost, or resyncing. Unreachable: lost. Denied: not admitted here. Rejected: not admitted there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum PeerState {
    #[default]
    Idle,
    Connecting,
    Joined,
    Degraded,
    Unreachable,
    Denied,
    Rejected,
}
