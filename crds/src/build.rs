//! The pure step after validating: what is right becomes objects as the pods know them.

use data_encoding::HEXLOWER;
use serde::Serialize;
use sha2::{Digest, Sha256};
use warren_model::{Body, Generation, Object};

use crate::problem::Resource;
use crate::validate::{Accepted, Validated};

/// Builds everything that is right: services, then peers, then rooms, each in the order of the declaration. uid and
/// generation are those of the metadata; where an object has none, as in manifests, they are [`manifest_uid`] and 1.
pub fn build(validated: &Validated<'_>) -> Vec<Object> {
    let services = validated.services.iter().filter_map(|a| object(a, Body::Service(a.body.clone())));
    let peers = validated.peers.iter().filter_map(|a| object(a, Body::Peer(a.body.clone())));
    let rooms = validated.rooms.iter().filter_map(|a| {
        let body = Body::Room {
            jid: a.body.jid.clone(),
            config: a.body.config.clone(),
            destroy_on_delete: a.body.destroy_on_delete,
        };
        object(a, body)
    });
    services.chain(peers).chain(rooms).collect()
}

fn object<T>(accepted: &Accepted<'_, T>, body: Body) -> Option<Object> {
    Some(Object {
        // `None` cannot be: only our kinds are accepted.
        name: accepted.resource.object_name()?,
        uid: accepted.meta.uid.clone().unwrap_or_else(|| manifest_uid(&accepted.resource)),
        generation: Generation(accepted.meta.generation.unwrap_or(1)),
        digest: digest(&body),
        body,
    })
}

/// Identity of an object that no API server has given one: a hash of kind, namespace and name. Deleted and created
/// again it is the same.
pub fn manifest_uid(resource: &Resource) -> String {
    let Resource { kind, namespace, name } = resource;
    // Names hold no line breaks, so the parts cannot be confused.
    let hash = Sha256::digest(format!("{kind}\n{namespace}\n{name}"));
    format!("manifest-{}", HEXLOWER.encode(&hash[..16]))
}

/// Hash of what an object says, with its secrets: 64 hexadecimal digits.
pub fn digest(body: &impl Serialize) -> String {
    // Maps are ordered and keys are text, so this neither fails nor differs between two runs.
    let bytes = serde_json::to_vec(body).unwrap_or_default();
    HEXLOWER.encode(&Sha256::digest(bytes))
}
