//! `MucService`: the deployment and its domain.
#![allow(clippy::struct_field_names, reason = "names are those of the YAML; the derive repeats the structs")]

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::status::MucServiceStatus;
use crate::types::{DOMAIN, DurationText, LabelsSpec, SecretKeyRef};
use crate::workload::{NetworkingSpec, PodTemplate, ResourcesSpec, StoreSpec, TlsSpec};

/// What the service is called, whose users are ours, and how it attaches to the users' server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, CustomResource, KubeSchema)]
#[kube(
    group = "warren.chat",
    version = "v1alpha1",
    kind = "MucService",
    plural = "mucservices",
    shortname = "mucs",
    category = "muc",
    namespaced,
    derive = "PartialEq",
    doc = "MucService is one chat room service: its domain, its users' domains and its link to their XMPP server. \
           The FederationPeers of its namespace are its peers. Unstable until the first release.",
    status = "MucServiceStatus",
    scale(
        spec_replicas_path = ".spec.replicas",
        status_replicas_path = ".status.replicas",
        label_selector_path = ".status.selector"
    ),
    validation = Rule::new("self.metadata.name.size() <= 63")
        .message("metadata.name may have 63 characters at most: it is used in labels"),
    printcolumn(name = "Domain", type_ = "string", json_path = ".spec.domain"),
    printcolumn(name = "Ready", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#),
    printcolumn(name = "Reason", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].reason"#),
    printcolumn(name = "Pods", type_ = "integer", json_path = ".status.readyReplicas"),
    printcolumn(name = "Rooms", type_ = "integer", json_path = ".status.rooms.programmed"),
    printcolumn(name = "Server", type_ = "string", json_path = ".spec.transport.component.host", priority = "1"),
    printcolumn(
        name = "Message", type_ = "string", priority = "1",
        json_path = r#".status.conditions[?(@.type=="Ready")].message"#
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[cfg_attr(test, kube(cel))]
#[x_kube(
    validation = Rule::new(
        "!has(self.store) || !has(self.store.sqlite) || !has(self.replicas) || self.replicas <= 1"
    ).message("a service on SQLite has one pod at most: write replicas: 1, or store.postgres"),
    validation = Rule::new("!has(self.store) || has(self.tls)")
        .message("pods that the operator runs need tls.secretName: configuration travels to them over mTLS")
)]
#[serde(rename_all = "camelCase")]
pub struct MucServiceSpec {
    /// The domain of the rooms: a room is localpart@domain. Lower-case, A-label form. Immutable, because every
    /// room's address ends in it: delete and re-create.
    #[schemars(length(min = 1, max = 253), regex(pattern = DOMAIN))]
    #[x_kube(validation = Rule::new("self == oldSelf").message("domain is immutable: delete and re-create"))]
    pub domain: String,

    /// Domains of our own users. No FederationPeer may ever vouch for a user of one of them. At least one,
    /// 64 at most.
    #[schemars(length(min = 1, max = 64), inner(length(min = 1, max = 253), regex(pattern = DOMAIN)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub home_domains: Vec<String>,

    /// How the service reaches the XMPP world.
    pub transport: Transport,

    /// Which namespaces may put rooms into this service. Default: only its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed_rooms: Option<AllowedRooms>,

    /// Waiting times. The defaults suit servers on the internet; shorter ones find faults sooner and take slow
    /// servers for broken ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timers: Option<ServiceTimersSpec>,

    /// Who may make rooms that no FederatedRoom declares. Nobody (default). HomeUsers, Anybody: refused as
    /// NotSupportedYet.
    #[serde(default)]
    pub room_creation: RoomCreation,

    /// Bare JIDs of people who may do everything in every room. 64 at most. Refused as NotSupportedYet.
    #[serde(default)]
    #[schemars(length(max = 64), inner(length(min = 1, max = 1024)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub admins: Vec<String>,

    /// Limits that users and peers meet. Refused as NotSupportedYet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limits: Option<ServiceLimits>,

    /// The archive that clients may query (XEP-0313). Default: none. enabled: true is refused as NotSupportedYet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub archive: Option<ArchiveSpec>,

    /// Where the pods keep everything. Default: the operator runs no pods, and configures those that stand behind
    /// the service's control Service, whoever runs them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store: Option<StoreSpec>,

    /// Certificates between the operator and the pods, and between pods. Required with store; without it pods are
    /// reached at loopback addresses only, and if the operator allows that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsSpec>,

    /// Number of pods, 0 to 1000. Default: one, unless an autoscaler says otherwise.
    #[schemars(range(min = 0, max = 1000))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i32>,

    /// Image of the pods. Default: the operator's.
    #[schemars(length(min = 1, max = 512))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,

    /// Processor time and memory of each pod. Default: no bounds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<ResourcesSpec>,

    /// Anything else that pods need, merged into their template. Refused as NotSupportedYet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod_template: Option<PodTemplate>,

    /// How other servers reach the service. Refused as NotSupportedYet: a component is not reached from outside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub networking: Option<NetworkingSpec>,

    /// What status says of rooms. Transitions: what changes seldom (default). Sampled: refused as NotSupportedYet.
    #[serde(default)]
    pub status_detail: StatusDetail,

    /// What deleting the service does while rooms refer to it. Default: it waits until there are none. Orphan: the
    /// rooms' objects stay, without a service. Cascade: refused as NotSupportedYet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deletion_policy: Option<ServiceDeletion>,
}

/// Who may make rooms that no FederatedRoom declares. HomeUsers, Anybody: refused as NotSupportedYet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RoomCreation {
    #[default]
    Nobody,
    HomeUsers,
    Anybody,
}

/// What status says of rooms. Sampled: refused as NotSupportedYet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum StatusDetail {
    #[default]
    Transitions,
    Sampled,
}

/// Orphan: the rooms' objects stay, without a service. Cascade: refused as NotSupportedYet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ServiceDeletion {
    Orphan,
    Cascade,
}

/// Limits that users and peers meet.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceLimits {
    /// Size of a stanza in bytes. 10000 to 524288. Default 262144.
    #[schemars(range(min = 10_000, max = 524_288))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_stanza_bytes: Option<i32>,
    /// Levels of elements in a stanza. 16 to 256. Default 64.
    #[schemars(range(min = 16, max = 256))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_stanza_depth: Option<i32>,
    /// Rooms of the service. 1 to 10000000. Default: no bound.
    #[schemars(range(min = 1, max = 10_000_000))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_rooms: Option<i32>,
    /// Occupants of a room that does not say. 1 to 10000. Default: no bound.
    #[schemars(range(min = 1, max = 10_000))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_occupants: Option<i32>,
}

/// The archive that clients may query (XEP-0313).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ArchiveSpec {
    /// Whether there is one. Default false; true is refused as NotSupportedYet.
    #[serde(default)]
    pub enabled: bool,
    /// Older messages are deleted. 1h to 3650d. Default: none is. Refused as NotSupportedYet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_age: Option<DurationText>,
}

/// How the service reaches the XMPP world: exactly one of the two.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.component) != has(self.s2s)")
    .message("say exactly one of component and s2s"))]
pub struct Transport {
    /// As a component (XEP-0114) of one XMPP server, which then speaks to all other servers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub component: Option<ComponentSpec>,
    /// As a server of its own, with streams to all other servers (RFC 6120). Refused as NotSupportedYet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub s2s: Option<S2sSpec>,
}

/// Streams to other servers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct S2sSpec {
    /// Whether streams without TLS are refused. Default true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub require_tls: Option<bool>,
    /// How servers may prove who they are. Default: both.
    #[serde(default)]
    #[schemars(length(max = 2))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub mechanisms: Vec<Mechanism>,
    /// Domains that nothing is taken from and nothing is sent to. 1000 at most.
    #[serde(default)]
    #[schemars(length(max = 1000), inner(length(min = 1, max = 253), regex(pattern = DOMAIN)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub blocked: Vec<String>,
}

/// External: by certificate (XEP-0178). Dialback: by asking back (XEP-0220).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Mechanism {
    External,
    Dialback,
}

/// The link to the XMPP server whose component the service is (XEP-0114).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ComponentSpec {
    /// Host name or IP address of the server.
    #[schemars(length(min = 1, max = 253))]
    pub host: String,
    /// Port of the server's component listener, 1 to 65535. Customary: 5347 (Prosody), 8888 (ejabberd).
    #[schemars(range(min = 1, max = 65535))]
    pub port: i32,
    /// The secret that the server knows for this component.
    pub secret_ref: SecretKeyRef,
}

/// Which rooms a service takes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct AllowedRooms {
    /// Namespaces of FederatedRooms. Default: the service's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespaces: Option<RoomNamespaces>,
}

/// Namespaces of FederatedRooms that a service takes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.selector) == (self.from == 'Selector')")
    .message("selector goes with from: Selector, and only with that"))]
pub struct RoomNamespaces {
    /// Same: the service's own namespace (default). All: every namespace. Selector: refused as NotSupportedYet.
    #[serde(default)]
    pub from: NamespacesFrom,
    /// With from: Selector: labels that a namespace must have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selector: Option<LabelsSpec>,
}

/// Same: the service's own namespace. All: every namespace. Selector: refused as NotSupportedYet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum NamespacesFrom {
    #[default]
    Same,
    All,
    Selector,
}

/// Waiting times towards servers: a whole number and a unit, such as 500ms, 35s, 10m, 1h.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceTimersSpec {
    /// Pings of a busy path come no closer together than this. Default 1s; 100ms to 1m.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ping_interval: Option<DurationText>,
    /// An idle path is pinged once, so long after its last stanza. Default 2s; 100ms to 10m.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ping_idle: Option<DurationText>,
    /// A ping that is unanswered for so long makes its path Suspect. Default 35s; 1s to 10m.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspect_after: Option<DurationText>,
    /// Occupants behind a path that is Down stay for so long. Default 10m; 0s to 24h.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain_grace: Option<DurationText>,
    /// Silence of the component link after which it is probed; unanswered for as long again, it counts as lost.
    /// Default 30s; 100ms to 10m.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub liveness: Option<DurationText>,
}
