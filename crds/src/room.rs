//! `FederatedRoom`: one room and the nodes it is joined with.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::peer::{RemoteKick, RemoteModeration};
use crate::status::FederatedRoomStatus;
use crate::types::{DurationText, LOCALPART, OBJECT_NAME, SecretKeyRef};

/// Address, configuration and federation of the room.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, CustomResource, KubeSchema)]
#[kube(
    group = "warren.chat",
    version = "v1alpha1",
    kind = "FederatedRoom",
    plural = "federatedrooms",
    shortname = "froom",
    category = "muc",
    namespaced,
    derive = "PartialEq",
    selectable = ".spec.serviceRef.name",
    doc = "FederatedRoom is one chat room of a MucService and its federation with rooms of other sites. Unstable \
           until the first release.",
    validation = Rule::new("self.metadata.name.size() <= 63")
        .message("metadata.name may have 63 characters at most: it is used in labels"),
    status = "FederatedRoomStatus",
    printcolumn(name = "JID", type_ = "string", json_path = ".status.jid"),
    printcolumn(name = "Ready", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#),
    printcolumn(name = "Peers", type_ = "string", json_path = ".status.peerSummary"),
    printcolumn(name = "Reason", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].reason"#),
    printcolumn(name = "Service", type_ = "string", json_path = ".spec.serviceRef.name", priority = "1"),
    printcolumn(name = "Mode", type_ = "string", json_path = ".spec.federation.uplink.mode", priority = "1"),
    printcolumn(name = "Occupants", type_ = "integer", json_path = ".status.occupants.total", priority = "1"),
    printcolumn(
        name = "Message", type_ = "string", priority = "1",
        json_path = r#".status.conditions[?(@.type=="Ready")].message"#
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[cfg_attr(test, kube(cel))]
#[x_kube(
    validation = Rule::new("has(self.localpart) == has(oldSelf.localpart)")
        .message("localpart may not be added or removed later: delete and re-create"),
    validation = Rule::new(
        "!has(self.federation) || has(self.federation.jidExposure) || \
         (has(self.config) && has(self.config.anonymity) && self.config.anonymity == 'NonAnonymous')"
    ).message("a federated semi-anonymous room says federation.jidExposure: who may see real JIDs")
)]
#[serde(rename_all = "camelCase")]
pub struct FederatedRoomSpec {
    /// The MucService that hosts the room. Immutable.
    #[x_kube(validation = Rule::new("self == oldSelf").message("serviceRef is immutable: delete and re-create"))]
    pub service_ref: ServiceRef,

    /// What stands before the @ of the room's address. Default: metadata.name. 1 to 256 characters. Immutable.
    #[schemars(length(min = 1, max = 256), regex(pattern = LOCALPART))]
    #[x_kube(validation = Rule::new("self == oldSelf").message("localpart is immutable: delete and re-create"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub localpart: Option<String>,

    /// Name for people. 256 characters at most. Default: empty.
    #[schemars(length(max = 256))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,

    /// Longer text for people. 1024 characters at most. Default: empty.
    #[schemars(length(max = 1024))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,

    /// How the room behaves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<RoomSettings>,

    /// Owners, admins, members and banned users.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub affiliations: Option<AffiliationsSpec>,

    /// Rooms of other sites that this one is joined with. Default: none, except that a FederationPeer may admit
    /// its rooms to this one (spec.rooms there); a semi-anonymous room then needs jidExposure here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub federation: Option<FederationSpec>,

    /// What happens to the room when this object is deleted. Retain: it leaves its federation and keeps its
    /// history (default). Destroy: occupants are sent out and everything is deleted.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
}

/// A MucService by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceRef {
    /// Name of the MucService.
    #[schemars(length(min = 1, max = 63), regex(pattern = OBJECT_NAME))]
    pub name: String,
    /// Its namespace. Default: the room's. Another one must allow it: MucService.spec.allowedRooms.
    #[schemars(length(min = 1, max = 63), regex(pattern = OBJECT_NAME))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}

/// How the room behaves.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct RoomSettings {
    /// Only members, admins and owners may enter. Default false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub members_only: Option<bool>,
    /// Newcomers are visitors without a voice until they are given one. Default false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub moderated: Option<bool>,
    /// Participants, not only moderators, may set the subject. Default false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub change_subject: Option<bool>,
    /// Who sees real JIDs. SemiAnonymous: moderators (default). NonAnonymous: everybody.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub anonymity: Option<AnonymitySpec>,
    /// Occupants at most; admins and owners are not counted. 1 to 10000. Default: no bound.
    #[schemars(range(min = 1, max = 10_000))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_occupants: Option<i32>,
    /// The password that is needed to enter. Default: none is needed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_secret_ref: Option<SecretKeyRef>,
    /// What newcomers are shown of what was said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub history: Option<HistorySpec>,
}

/// SemiAnonymous: moderators see real JIDs. NonAnonymous: everybody does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AnonymitySpec {
    #[default]
    SemiAnonymous,
    NonAnonymous,
}

/// Bounds of what newcomers are shown. A client may ask for less, never for more.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct HistorySpec {
    /// Messages at most; 0 switches history off. 0 to 1000. Default 50.
    #[schemars(range(min = 0, max = 1000))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_messages: Option<i32>,
    /// Older messages are not shown: a whole number and a unit, such as 12h or 30d; 1s to 3650d. Default: no bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_age: Option<DurationText>,
}

/// Owners, admins, members and banned users.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct AffiliationsSpec {
    /// Additive: the entries are ensured and others are left alone (default). Authoritative: others are removed.
    #[serde(default)]
    pub policy: AffiliationPolicy,
    /// One entry for each user. 500 at most.
    #[serde(default)]
    #[schemars(length(max = 500))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["jid".into()]))]
    pub entries: Vec<AffiliationEntry>,
}

/// Additive: the entries are ensured and others are left alone. Authoritative: others are removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AffiliationPolicy {
    #[default]
    Additive,
    Authoritative,
}

/// One user's affiliation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct AffiliationEntry {
    /// The user's bare JID: user@domain, without a resource.
    #[schemars(length(min = 1, max = 1024))]
    pub jid: String,
    /// Owner: may do everything. Admin: may ban and grant membership. Member: may enter a members-only room.
    /// Outcast: banned.
    pub affiliation: AffiliationSpec,
}

/// Owner: may do everything. Admin: may ban and grant membership. Member: may enter a members-only room. Outcast: banned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AffiliationSpec {
    Owner,
    Admin,
    Member,
    Outcast,
}

/// Rooms of other sites that this one is joined with.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = Rule::new(
    "self.required.all(r, self.downlinks.exists(d, d.peer == r) || \
     (has(self.uplink) && self.uplink.candidates.exists(c, c.peer == r)))"
).message("required names peers of uplink.candidates and downlinks only"))]
#[serde(rename_all = "camelCase")]
pub struct FederationSpec {
    /// What peers are told of real JIDs; no default for a semi-anonymous room. Real: the JIDs themselves, as
    /// XEP-0289 has it: the peers' administrators and moderators see them. Alias: refused as NotSupportedYet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jid_exposure: Option<JidExposureSpec>,
    /// The remote room that this one joins. Default: it joins none and is only joined.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uplink: Option<UplinkSpec>,
    /// Peers whose rooms may join this one, beyond those that a FederationPeer admits itself. 64 at most.
    #[serde(default)]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["peer".into()]))]
    pub downlinks: Vec<DownlinkSpec>,
    /// Names of FederationPeers without which the room is not Ready while it is occupied; uplink or downlinks name each.
    /// 64 at most. Default: none.
    #[serde(default)]
    #[schemars(length(max = 64), inner(length(min = 1, max = 63), regex(pattern = OBJECT_NAME)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub required: Vec<String>,
    /// What happens when two sites have an occupant of one nickname. Alias: the later one is shown here under
    /// another nickname (default). Strict: refused as NotSupportedYet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collision: Option<CollisionSpec>,
}

/// Real: peers are told the JIDs themselves. Alias: refused as NotSupportedYet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum JidExposureSpec {
    Real,
    Alias,
}

/// Alias: the later one is shown here under another nickname. Strict: refused as NotSupportedYet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum CollisionSpec {
    #[default]
    Alias,
    Strict,
}

/// The remote room that this one joins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct UplinkSpec {
    /// PrimaryPrimary: both sides decide for themselves and go on alone when the link is lost (default; XEP-0289
    /// called it master-master). PrimaryReplica: refused as NotSupportedYet.
    #[serde(default)]
    pub mode: UplinkMode,
    /// When the link is kept; required. WhenOccupied: while the room has occupants here, as XEP-0289 has it.
    /// Mirrored: refused as NotSupportedYet.
    pub sync: SyncSpec,
    /// The remote room; exactly one for now, more are refused as NotSupportedYet. Peers are distinct.
    #[schemars(length(min = 1, max = 8))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["peer".into()]))]
    pub candidates: Vec<CandidateSpec>,
    /// A candidate that is lost for so long is given up for the next one. Default 60s; 1s to 24h. Refused as
    /// NotSupportedYet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failover_after: Option<DurationText>,
    /// What the link is like. Normal (default). Slow, HF: refused as NotSupportedYet.
    #[serde(default)]
    pub profile: LinkProfile,
}

/// What a link is like. Slow, HF: refused as NotSupportedYet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum LinkProfile {
    #[default]
    Normal,
    Slow,
    HF,
}

/// PrimaryPrimary: both sides go on alone when the link is lost. PrimaryReplica: refused as NotSupportedYet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum UplinkMode {
    #[default]
    PrimaryPrimary,
    PrimaryReplica,
}

/// WhenOccupied: the link is kept while the room has occupants here. Mirrored: refused as NotSupportedYet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SyncSpec {
    WhenOccupied,
    Mirrored,
}

/// One remote room.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct CandidateSpec {
    /// Name of the FederationPeer, in the namespace of the MucService.
    #[schemars(length(min = 1, max = 63), regex(pattern = OBJECT_NAME))]
    pub peer: String,
    /// Localpart of the room there. Default: our own.
    #[schemars(length(min = 1, max = 256), regex(pattern = LOCALPART))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub room: Option<String>,
}

/// A peer whose rooms may join this one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct DownlinkSpec {
    /// Name of the FederationPeer, in the namespace of the MucService.
    #[schemars(length(min = 1, max = 63), regex(pattern = OBJECT_NAME))]
    pub peer: String,
    /// As in the FederationPeer, for this room. Default: what the FederationPeer says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote_kick: Option<RemoteKick>,
    /// As in the FederationPeer, for this room. Default: what the FederationPeer says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote_moderation: Option<RemoteModeration>,
}

/// Retain: the room leaves its federation and keeps its history. Destroy: everything is deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DeletionPolicy {
    #[default]
    Retain,
    Destroy,
}
