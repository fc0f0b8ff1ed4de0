//! What runs the pods of a `MucService`, pure: a Deployment, and the Service by which they are found.

use serde_json::{Value, json};
use warren_crds::MucService;
use warren_crds::workload::{Amounts, StoreSpec};

use crate::{CONTROL, NAME};

/// Port of the control listener.
pub const CONTROL_PORT: u16 = 9190;
/// Port of the admin listener.
const ADMIN_PORT: u16 = 9180;
/// Where certificates are mounted.
const TLS: &str = "/etc/warren/tls";
/// Where the SQLite file is.
const DATA: &str = "/var/lib/warren";
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
    /// `Service` or `Deployment`.
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
    if let Some(postgres) = &store.postgres {
        let reference = &postgres.dsn_secret_ref;
        let source = json!({"secretKeyRef": {"name": reference.name, "key": reference.key}});
        env.push(json!({"name": "WARREN_STORE", "valueFrom": source}));
    }
    let probe = |path: &str, failures: u32| json!({"httpGet": {"path": path, "port": "admin"}, "periodSeconds": 5, "failureThreshold": failures});
    let mut container = json!({
        "name": "muc-node",
        "image": spec.image.as_deref().unwrap_or(image),
        "args": ["serve"],
        "env": env,
        "ports": [
            {"name": "control", "containerPort": CONTROL_PORT, "protocol": "TCP"},
            {"name": "admin", "containerPort": ADMIN_PORT, "protocol": "TCP"},
        ],
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
                    "terminationGracePeriodSeconds": 120,
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

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::apps::v1::Deployment;
    use k8s_openapi::api::core::v1::Service;

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
    }
}
