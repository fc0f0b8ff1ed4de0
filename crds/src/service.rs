//! `MucService`: the deployment and its domain.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::types::{DOMAIN, DurationText, SecretKeyRef};

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
    validation = Rule::new("self.metadata.name.size() <= 63")
        .message("metadata.name may have 63 characters at most: it is used in labels"),
    printcolumn(name = "Domain", type_ = "string", json_path = ".spec.domain"),
    printcolumn(name = "Server", type_ = "string", json_path = ".spec.transport.component.host", priority = "1"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[cfg_attr(test, kube(cel))]
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
}

/// How the service reaches the XMPP world.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Transport {
    /// As a component (XEP-0114) of one XMPP server, which then speaks to all other servers.
    pub component: ComponentSpec,
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
pub struct RoomNamespaces {
    /// Same: the service's own namespace (default). All: every namespace. Selector: refused as NotSupportedYet.
    #[serde(default)]
    pub from: NamespacesFrom,
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
