//! The fields of `MucService` that say how its pods are run. Without Kubernetes there is nobody to act on them.

use std::borrow::Cow;
use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::types::{OBJECT_NAME, SecretKeyRef, labels};

/// Where the pods keep everything: exactly one of the two.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.sqlite) != has(self.postgres)")
    .message("say exactly one of sqlite and postgres"))]
pub struct StoreSpec {
    /// A file on a volume, for a service of one pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sqlite: Option<SqliteSpec>,
    /// A PostgreSQL database, for a service of any number of pods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub postgres: Option<PostgresSpec>,
}

/// A file on a volume.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct SqliteSpec {
    /// Name of the PersistentVolumeClaim that holds the file, in the same namespace. It is not made and not deleted
    /// for you.
    #[schemars(length(min = 1, max = 253), regex(pattern = OBJECT_NAME))]
    pub claim_name: String,
}

/// A PostgreSQL database.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PostgresSpec {
    /// How it is reached: postgres://user:password@host/database?sslmode=verify-full.
    pub dsn_secret_ref: SecretKeyRef,
}

/// Certificates between the operator and the pods, and between pods.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct TlsSpec {
    /// Name of a Secret in the same namespace with tls.crt, tls.key and ca.crt, as cert-manager makes it. The
    /// certificate names the host NAME-control.NAMESPACE.svc and is for servers and clients.
    #[schemars(length(min = 1, max = 253), regex(pattern = OBJECT_NAME))]
    pub secret_name: String,
}

/// Processor time and memory of each pod.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResourcesSpec {
    /// What a pod is promised.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests: Option<Amounts>,
    /// What a pod may use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limits: Option<Amounts>,
}

/// Processor time and memory.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Amounts {
    /// Processors, such as 500m or 2.
    #[schemars(length(min = 1, max = 20), regex(pattern = r"^[0-9]+(\.[0-9]+)?m?$"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<String>,
    /// Bytes, such as 512Mi or 2Gi.
    #[schemars(length(min = 1, max = 20), regex(pattern = r"^[0-9]+(\.[0-9]+)?(k|M|G|T|Ki|Mi|Gi|Ti)?$"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<String>,
}

/// A piece of a pod template, as Deployments have it. Refused as NotSupportedYet.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PodTemplate(pub BTreeMap<String, serde_json::Value>);

impl JsonSchema for PodTemplate {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "PodTemplate".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})
    }
}

/// How other servers reach the service.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct NetworkingSpec {
    /// ClusterIP: from inside the cluster (default). LoadBalancer: from outside.
    #[serde(default)]
    pub service_type: ServiceType,
    /// Cluster: any node takes connections (default). Local: nodes with a pod, which then sees clients' addresses.
    #[serde(default)]
    pub external_traffic_policy: TrafficPolicy,
    /// Whether the load balancer tells clients' addresses by the PROXY protocol. Default false.
    #[serde(default)]
    pub proxy_protocol: bool,
    /// Annotations of the Service, such as those of external-dns. 16 at most.
    #[serde(default)]
    #[schemars(schema_with = "labels")]
    pub annotations: BTreeMap<String, String>,
    /// SingleStack (default), PreferDualStack, RequireDualStack.
    #[serde(default)]
    pub ip_family_policy: IpFamilyPolicy,
}

/// ClusterIP: from inside the cluster. LoadBalancer: from outside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ServiceType {
    #[default]
    ClusterIP,
    LoadBalancer,
}

/// Cluster: any node takes connections. Local: nodes with a pod.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TrafficPolicy {
    #[default]
    Cluster,
    Local,
}

/// Whether the Service has addresses of one family or of both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum IpFamilyPolicy {
    #[default]
    SingleStack,
    PreferDualStack,
    RequireDualStack,
}
