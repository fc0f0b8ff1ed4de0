//! What runs the pods of a `MucService`, pure: a Deployment, the Service by which they are found, and of several pods what
//! keeps drains and strangers from them.

use serde_json::{Value, json};
use warren_crds::MucService;
use warren_crds::workload::{Amounts, StoreSpec};

use crate::{CONTROL, NAME};

/// Port of the control listener.
pub const CONTROL_PORT: u16 = 9190;
/// Port of the mesh: where pods of one service reach one another.
pub const MESH_PORT: u16 = 9182;
/// Port of the admin listener.
const ADMIN_PORT: u16 = 9180;
/// Where certificates are mounted.
const TLS: &str = "/etc/warren/tls";
/// Where the SQLite file is.
const DATA: &str = "/var/lib/warren";
/// An orderly end takes 27 s at most (muc-node's stop), and leaving the store what a database takes that hangs. Killed
/// after this time, the pod loses nothing that anybody was shown.
const GRACE_SECONDS: u32 = 60;
/// User and group of the process.
const USER: i64 = 65532;

/// Name of the control Service.
pub fn control_name(service: &str) -> String {
    format!("{service}-control")
}

/// Host name for which the pods' certificate is.
pub fn control_host(namespace: &str, service: &str) -> String {
    format!("{}.{namespace}.svc", control_name(service))
}

/// A child as it should be.
#[derive(Clone, Debug, PartialEq)]
pub struct Child {
    /// `Service`, `Deployment`, `PodDisruptionBudget` or `NetworkPolicy`.
    pub kind: &'static str,
    /// Its name, in the namespace of the service.
    pub name: String,
    /// What we say of it; other fields are others'.
    pub body: Value,
}

/// The children of a service. `image`: for services that name none.
pub fn children(service: &MucService, image: &str) -> Vec<Child> {
    let mut all = vec![control(service)];
    if let Some(store) = &service.spec.store {
        all.push(deployment(service, store, image));
        // Who leaves the replicas to an autoscaler has several at times.
        if store.postgres.is_some() && service.spec.replicas.is_none_or(|replicas| replicas > 1) {
            all.extend([budget(service), policy(service)]);
        }
    }
    all
}

fn selector(service: &MucService) -> Value {
    json!({"app.kubernetes.io/name": "muc-node", "app.kubernetes.io/instance": service.metadata.name})
}

/// The same as autoscalers read it.
pub fn selector_text(service: &MucService) -> String {
    let name = service.metadata.name.as_deref().unwrap_or_default();
    format!("app.kubernetes.io/instance={name},app.kubernetes.io/name=muc-node")
}

fn metadata(service: &MucService, name: &str) -> Value {
    let meta = &service.metadata;
    json!({
        "name": name,
        "namespace": meta.namespace,
        "labels": {
            "app.kubernetes.io/name": "muc-node",
            "app.kubernetes.io/instance": meta.name,
            "app.kubernetes.io/part-of": "warren",
            "app.kubernetes.io/managed-by": NAME,
        },
        "ownerReferences": [{
            "apiVersion": "warren.chat/v1alpha1", "kind": "MucService", "name": meta.name, "uid": meta.uid,
            "controller": true, "blockOwnerDeletion": true,
        }],
    })
}

fn control(service: &MucService) -> Child {
    let name = control_name(service.metadata.name.as_deref().unwrap_or_default());
    let mut metadata = metadata(service, &name);
    // Slices get the labels of their Service.
    metadata["labels"][CONTROL] = json!(service.metadata.name);
    let mut spec = json!({
        "clusterIP": "None",
        "ports": [{"name": "control", "port": CONTROL_PORT, "protocol": "TCP"}],
        // Pods become ready by being told what to do.
        "publishNotReadyAddresses": true,
    });
    if service.spec.store.is_some() {
        spec["selector"] = selector(service);
    }
    let body = json!({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec});
    Child { kind: "Service", name, body }
}

fn deployment(service: &MucService, store: &StoreSpec, image: &str) -> Child {
    let name = service.metadata.name.clone().unwrap_or_default();
    let spec = &service.spec;
    let tls = spec.tls.as_ref().map(|t| t.secret_name.as_str()).unwrap_or_default();
    let mut volumes = vec![json!({"name": "tls", "secret": {"secretName": tls}})];
    let mut mounts = vec![json!({"name": "tls", "mountPath": TLS, "readOnly": true})];
    let mut env = vec![
        json!({"name": "WARREN_POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}),
        json!({"name": "WARREN_CONTROL", "value": format!("0.0.0.0:{CONTROL_PORT}")}),
        json!({"name": "WARREN_ADMIN", "value": format!("0.0.0.0:{ADMIN_PORT}")}),
        json!({"name": "WARREN_TLS_CERT", "value": format!("{TLS}/tls.crt")}),
        json!({"name": "WARREN_TLS_KEY", "value": format!("{TLS}/tls.key")}),
        json!({"name": "WARREN_TLS_CA", "value": format!("{TLS}/ca.crt")}),
    ];
    // Rooms move one pod at a time; one file has one process.
    let mut strategy = json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}});
    if let Some(sqlite) = &store.sqlite {
        volumes.push(json!({"name": "data", "persistentVolumeClaim": {"claimName": sqlite.claim_name}}));
        mounts.push(json!({"name": "data", "mountPath": DATA}));
        env.push(json!({"name": "WARREN_STORE", "value": format!("sqlite:{DATA}/rooms.db")}));
        strategy = json!({"type": "Recreate"});
    }
    let mut ports = vec![
        json!({"name": "control", "containerPort": CONTROL_PORT, "protocol": "TCP"}),
        json!({"name": "admin", "containerPort": ADMIN_PORT, "protocol": "TCP"}),
    ];
    if let Some(postgres) = &store.postgres {
        let reference = &postgres.dsn_secret_ref;
        let source = json!({"secretKeyRef": {"name": reference.name, "key": reference.key}});
        let namespace = service.metadata.namespace.as_deref().unwrap_or_default();
        env.extend([
            json!({"name": "WARREN_STORE", "valueFrom": source}),
            json!({"name": "WARREN_MESH", "value": format!("0.0.0.0:{MESH_PORT}")}),
            // Before the variable that names it.
            json!({"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}),
            json!({"name": "WARREN_MESH_ADDRESS", "value": format!("$(POD_IP):{MESH_PORT}")}),
            // One certificate for all of them, and for control.
            json!({"name": "WARREN_MESH_NAME", "value": control_host(namespace, &name)}),
        ]);
        ports.push(json!({"name": "mesh", "containerPort": MESH_PORT, "protocol": "TCP"}));
    }
    let probe = |path: &str, failures: u32| json!({"httpGet": {"path": path, "port": "admin"}, "periodSeconds": 5, "failureThreshold": failures});
    let mut container = json!({
        "name": "muc-node",
        "image": spec.image.as_deref().unwrap_or(image),
        "args": ["serve"],
        "env": env,
        "ports": ports,
        "readinessProbe": probe("/ready", 3),
        // The loop, and nothing else: a database outage must not restart anybody.
        "livenessProbe": probe("/live", 6),
        "securityContext": {
            "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": mounts,
    });
    let resources = spec.resources.clone().unwrap_or_default();
    for (field, amounts) in [("requests", resources.requests), ("limits", resources.limits)] {
        if let Some(Amounts { cpu, memory }) = amounts {
            let given = [("cpu", cpu), ("memory", memory)].into_iter().filter_map(|(k, v)| Some((k.to_owned(), v?)));
            container["resources"][field] = given.collect::<std::collections::BTreeMap<_, _>>().into_iter().collect();
        }
    }
    let mut body = json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata(service, &name),
        "spec": {
            "selector": {"matchLabels": selector(service)},
            "strategy": strategy,
            "minReadySeconds": 15,
            "progressDeadlineSeconds": 900,
            "template": {
                "metadata": {"labels": selector(service)},
                "spec": {
                    "automountServiceAccountToken": false,
                    "terminationGracePeriodSeconds": GRACE_SECONDS,
                    "securityContext": {
                        "runAsNonRoot": true, "runAsUser": USER, "runAsGroup": USER, "fsGroup": USER,
                        "seccompProfile": {"type": "RuntimeDefault"},
                    },
                    "topologySpreadConstraints": [{
                        "maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway",
                        "labelSelector": {"matchLabels": selector(service)},
                    }],
                    "containers": [container],
                    "volumes": volumes,
                },
            },
        },
    });
    // Left out, they belong to whoever scales: `kubectl scale` on the Deployment, or an autoscaler.
    if let Some(replicas) = spec.replicas {
        body["spec"]["replicas"] = json!(replicas);
    }
    Child { kind: "Deployment", name, body }
}

/// Drains take one pod at a time: it hands its rooms over, which the others must be there for. A pod that does not get
/// ready keeps nobody from emptying a machine.
fn budget(service: &MucService) -> Child {
    let name = service.metadata.name.clone().unwrap_or_default();
    let body = json!({
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": metadata(service, &name),
        "spec": {
            "maxUnavailable": 1,
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
            "selector": {"matchLabels": selector(service)},
        },
    });
    Child { kind: "PodDisruptionBudget", name, body }
}

/// Who may open connections to pods. Where they connect to is not said here: databases and XMPP servers have names, and
/// policies know addresses only.
fn policy(service: &MucService) -> Child {
    let name = service.metadata.name.clone().unwrap_or_default();
    let operators = json!({"namespaceSelector": {}, "podSelector": {"matchLabels": {"app.kubernetes.io/name": NAME}}});
    let port = |number: u16| json!([{"protocol": "TCP", "port": number}]);
    let body = json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": metadata(service, &name),
        "spec": {
            "podSelector": {"matchLabels": selector(service)},
            "policyTypes": ["Ingress"],
            "ingress": [
                {"from": [{"podSelector": {"matchLabels": selector(service)}}], "ports": port(MESH_PORT)},
                {"from": [operators], "ports": port(CONTROL_PORT)},
                // Probes, and whoever collects metrics.
                {"ports": port(ADMIN_PORT)},
            ],
        },
    });
    Child { kind: "NetworkPolicy", name, body }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::apps::v1::Deployment;
    use k8s_openapi::api::core::v1::Service;
    use k8s_openapi::api::networking::v1::NetworkPolicy;
    use k8s_openapi::api::policy::v1::PodDisruptionBudget;

    #[allow(clippy::needless_pass_by_value, reason = "json! stands at the call")]
    fn service(more: Value) -> MucService {
        let mut spec = json!({"domain": "rooms.lit", "homeDomains": ["lit"],
            "transport": {"component": {"host": "h", "port": 1, "secretRef": {"name": "s", "key": "k"}}}});
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value(json!({"apiVersion": "warren.chat/v1alpha1", "kind": "MucService",
            "metadata": {"name": "chat", "namespace": "a", "uid": "u"}, "spec": spec}))
        .unwrap()
    }

    fn postgres() -> Value {
        json!({"store": {"postgres": {"dsnSecretRef": {"name": "db", "key": "dsn"}}}, "tls": {"secretName": "certs"}})
    }

    #[test]
    fn without_a_store_pods_are_somebody_elses() {
        let children = children(&service(json!({})), "image");
        let [control] = children.as_slice() else { panic!("{children:?}") };
        let control: Service = serde_json::from_value(control.body.clone()).unwrap();
        let spec = control.spec.unwrap();
        assert_eq!((spec.selector, spec.cluster_ip.as_deref()), (None, Some("None")));
        assert_eq!(control.metadata.labels.unwrap()[CONTROL], "chat");
    }

    #[test]
    fn the_deployment_is_one_that_kubernetes_reads() {
        let mut more = postgres();
        more["resources"] = json!({"requests": {"cpu": "500m"}, "limits": {"memory": "1Gi"}});
        more["replicas"] = json!(3);
        let deployment = children(&service(more), "warren/muc-node:1").remove(1);
        let read: Deployment = serde_json::from_value(deployment.body.clone()).unwrap();
        // Nothing was lost on the way: no field is misspelt.
        let mut written = serde_json::to_value(&read).unwrap();
        written["apiVersion"] = json!("apps/v1");
        written["kind"] = json!("Deployment");
        assert_eq!(written, deployment.body);
        let spec = read.spec.unwrap();
        assert_eq!(spec.replicas, Some(3));
        let pod = spec.template.spec.unwrap();
        assert_eq!(pod.automount_service_account_token, Some(false));
        assert_eq!(pod.containers[0].image.as_deref(), Some("warren/muc-node:1"));
        assert_eq!(spec.selector.match_labels, spec.template.metadata.unwrap().labels, "it selects its own pods");
        let owner = &read.metadata.owner_references.unwrap()[0];
        assert_eq!((owner.uid.as_str(), owner.controller), ("u", Some(true)));
        // No secret is in it, only names.
        assert!(deployment.body.to_string().contains(r#""secretKeyRef":{"key":"dsn","name":"db"}"#));
    }

    fn env(deployment: &Child) -> Vec<(String, String)> {
        let all = &deployment.body["spec"]["template"]["spec"]["containers"][0]["env"];
        let text = |v: &Value| v.as_str().map_or_else(|| v.to_string(), ToOwned::to_owned);
        let value = |e: &Value| text(if e["value"].is_null() { &e["valueFrom"] } else { &e["value"] });
        all.as_array().unwrap().iter().map(|e| (text(&e["name"]), value(e))).collect()
    }

    #[test]
    fn pods_of_one_database_reach_one_another() {
        let deployment = children(&service(postgres()), "i").remove(1);
        let env = env(&deployment);
        let at = |name: &str| env.iter().position(|(n, _)| n == name).unwrap_or_else(|| panic!("{name}: {env:?}"));
        let value = |name: &str| env[at(name)].1.as_str();
        assert_eq!(value("WARREN_POD"), r#"{"fieldRef":{"fieldPath":"metadata.name"}}"#);
        assert_eq!(value("WARREN_MESH"), "0.0.0.0:9182");
        assert_eq!(value("WARREN_MESH_ADDRESS"), "$(POD_IP):9182");
        assert!(at("POD_IP") < at("WARREN_MESH_ADDRESS"), "only what comes before is put in");
        assert_eq!(value("WARREN_MESH_NAME"), control_host("a", "chat"), "the one name of the certificate");
        let pod = &deployment.body["spec"]["template"]["spec"];
        let container = &pod["containers"][0];
        assert!(
            container["ports"]
                .as_array()
                .unwrap()
                .contains(&json!({"name": "mesh", "containerPort": MESH_PORT, "protocol": "TCP"}))
        );
        assert_eq!(container["readinessProbe"]["httpGet"], json!({"path": "/ready", "port": "admin"}));
        assert_eq!(pod["terminationGracePeriodSeconds"], 60);
    }

    #[test]
    fn several_pods_are_kept_from_drains_and_strangers() {
        let kinds = |more: Value| children(&service(more), "i").iter().map(|c| c.kind).collect::<Vec<_>>();
        let with = |replicas: i32| {
            let mut more = postgres();
            more["replicas"] = json!(replicas);
            more
        };
        let several = ["Service", "Deployment", "PodDisruptionBudget", "NetworkPolicy"];
        assert_eq!(kinds(with(2)), several);
        assert_eq!(kinds(postgres()), several, "an autoscaler's");
        assert_eq!(kinds(with(1)), several[..2]);
        let sqlite = json!({"store": {"sqlite": {"claimName": "rooms"}}, "tls": {"secretName": "certs"}});
        assert_eq!(kinds(sqlite), several[..2]);

        let all = children(&service(with(3)), "i");
        let labels = json!({"app.kubernetes.io/name": "muc-node", "app.kubernetes.io/instance": "chat"});
        assert_eq!(all[1].body["spec"]["template"]["metadata"]["labels"], labels);
        let read: PodDisruptionBudget = serde_json::from_value(all[2].body.clone()).unwrap();
        assert_eq!(serde_json::to_value(&read).unwrap(), all[2].body, "no field is misspelt");
        assert_eq!(
            all[2].body["spec"],
            json!({"maxUnavailable": 1, "unhealthyPodEvictionPolicy": "AlwaysAllow", "selector": {"matchLabels": labels}})
        );
        let read: NetworkPolicy = serde_json::from_value(all[3].body.clone()).unwrap();
        assert_eq!(serde_json::to_value(&read).unwrap(), all[3].body, "no field is misspelt");
        let operator = json!({"app.kubernetes.io/name": "warren-operator"});
        assert_eq!(
            all[3].body["spec"],
            json!({
                "podSelector": {"matchLabels": labels},
                "policyTypes": ["Ingress"],
                "ingress": [
                    {"from": [{"podSelector": {"matchLabels": labels}}], "ports": [{"protocol": "TCP", "port": 9182}]},
                    {"from": [{"namespaceSelector": {}, "podSelector": {"matchLabels": operator}}],
                     "ports": [{"protocol": "TCP", "port": 9190}]},
                    {"ports": [{"protocol": "TCP", "port": 9180}]},
                ],
            })
        );
        for child in &all {
            assert_eq!(child.body["metadata"]["ownerReferences"][0]["uid"], "u", "{}", child.kind);
            assert_eq!(child.body["metadata"]["namespace"], "a");
        }
    }

    #[test]
    fn replicas_that_nobody_names_are_not_ours() {
        let deployment = children(&service(postgres()), "i").remove(1);
        assert!(deployment.body["spec"].get("replicas").is_none());
    }

    #[test]
    fn one_file_has_one_process() {
        let more = json!({"store": {"sqlite": {"claimName": "rooms"}}, "tls": {"secretName": "certs"}});
        let deployment = children(&service(more), "i").remove(1);
        assert_eq!(deployment.body["spec"]["strategy"]["type"], "Recreate");
        assert!(env(&deployment).iter().all(|(name, _)| !name.contains("MESH")), "it is alone");
    }
}
