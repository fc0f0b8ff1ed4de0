//! Fourth step: finalizers, children, and the calls of the pods.

use kube::runtime::reflector::Lookup;
use kube::{Resource, ResourceExt};
use serde_json::Value;
use warren_control::{Answer, Refusal};
use warren_model::{Object, ObjectKind, ObjectName};

use crate::FINALIZER;
use crate::api::WriteError;
use crate::build::{Facts, Item, ServiceKey, Verdict};
use crate::engine::Context;
use crate::report::{Found, Kind};
use crate::workload::Child;

/// What has become of an object in the pods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Programmed {
    /// They have it: the one that decides has made it durable, and the others are told.
    Yes,
    /// Nobody can be asked.
    NoNodes,
    /// It is on its way; why, for people.
    Pending(String),
    /// They have refused it.
    Rejected(Refusal),
    /// It is not to be told.
    Not,
    /// An object of the wanted name belongs to somebody else.
    Foreign(String),
}

/// Does what the plan says of an accepted object.
///
/// # Errors
/// [`WriteError`].
pub async fn apply<K: Kind>(ctx: &Context, item: &Item, found: &Found<K::Status>) -> Result<Programmed, WriteError> {
    let Verdict::Accepted(object) = &item.verdict else { return Ok(Programmed::Not) };
    if item.paused {
        return Ok(Programmed::Not);
    }
    // A room that was never told to anybody may go as it came; a service does not while rooms name it.
    let effective = item.name.kind == ObjectKind::MucService || item.services.iter().any(|s| ctx.pods.reachable(s));
    if effective && !found.finalizers.iter().any(|f| f == FINALIZER) {
        // Before the first effect outside of the object.
        let finalizers: Vec<_> = found.finalizers.iter().cloned().chain([FINALIZER.to_owned()]).collect();
        let ObjectName { namespace, name, .. } = &item.name;
        ctx.writer.finalizers::<K>(namespace, name, found.version.as_deref(), &finalizers).await?;
    }
    if let Facts::Service { children, .. } = &item.facts {
        for child in children {
            if !make(ctx, item, child).await? {
                return Ok(Programmed::Foreign(format!("{} {}", child.kind, child.name)));
            }
        }
    }
    if let Some(missing) = awaited(ctx, item) {
        return Ok(Programmed::Pending(format!("the pods are told of {missing} first")));
    }
    for service in &item.services {
        match program(ctx, service, object).await {
            Programmed::Yes => {}
            other => return Ok(other),
        }
    }
    Ok(if item.services.is_empty() { Programmed::NoNodes } else { Programmed::Yes })
}

/// What a room needs before it: its service, and the peers that it names.
fn awaited(ctx: &Context, item: &Item) -> Option<ObjectName> {
    let Facts::Room { peers, .. } = &item.facts else {
        // A pod knows nothing before its service.
        return item
            .services
            .iter()
            .filter(|_| item.name.kind == ObjectKind::FederationPeer)
            .find_map(|service| not_current(ctx, service, &service_name(service)));
    };
    let service = item.services.first()?;
    let names = peers.iter().map(|peer| ObjectName {
        kind: ObjectKind::FederationPeer,
        namespace: service.0.clone(),
        name: peer.name.clone(),
    });
    [service_name(service)].into_iter().chain(names).find_map(|name| not_current(ctx, service, &name))
}

fn service_name((namespace, name): &ServiceKey) -> ObjectName {
    ObjectName { kind: ObjectKind::MucService, namespace: namespace.clone(), name: name.clone() }
}

fn not_current(ctx: &Context, service: &ServiceKey, name: &ObjectName) -> Option<ObjectName> {
    let item = ctx.item(name)?;
    let Verdict::Accepted(object) = &item.verdict else { return None };
    let view = ctx.pods.view(service, object);
    (view.nodes && !view.current).then(|| name.clone())
}

/// Has the pods of a service take an object, unless they have.
async fn program(ctx: &Context, service: &ServiceKey, object: &Object) -> Programmed {
    let view = ctx.pods.view(service, object);
    if view.current {
        return Programmed::Yes;
    }
    let Some(answer) = ctx.pods.apply(service, object).await else { return Programmed::NoNodes };
    ctx.metrics.called("apply");
    match answer {
        Ok(Answer::Done(_)) => Programmed::Yes,
        Ok(Answer::Refused(refusal)) => match &refusal.holder {
            // Left over from an object that is gone: its name and address are free for this one.
            Some((name, uid)) if !ctx.plan().has_uid(uid) => {
                tracing::info!(%name, uid, "an object that is not declared any more is removed");
                ctx.metrics.called("remove");
                drop(ctx.pods.remove(service, name, uid).await);
                Programmed::Pending("an earlier object of that name or address is removed first".to_owned())
            }
            _ => Programmed::Rejected(refusal),
        },
        Err(failed) => {
            ctx.metrics.failed("apply");
            tracing::info!(object = %object.name, %failed, "the pods have not taken an object");
            Programmed::Pending("the pods were asked and have not acknowledged; they are asked again".to_owned())
        }
    }
}

/// Makes a child what it should be, unless it is. `false`: it is somebody else's.
async fn make(ctx: &Context, item: &Item, child: &Child) -> Result<bool, WriteError> {
    let stores = &ctx.stores;
    match child.kind {
        "Service" => make_one(ctx, item, child, |key| stores.children.get(key)).await,
        "PodDisruptionBudget" => make_one(ctx, item, child, |key| stores.budgets.get(key)).await,
        "NetworkPolicy" => make_one(ctx, item, child, |key| stores.policies.get(key)).await,
        _ => make_one(ctx, item, child, |key| stores.deployments.get(key)).await,
    }
}

async fn make_one<C>(
    ctx: &Context,
    item: &Item,
    child: &Child,
    cached: impl Fn(&kube::runtime::reflector::ObjectRef<C>) -> Option<std::sync::Arc<C>>,
) -> Result<bool, WriteError>
where
    C: Resource<Scope = kube::core::NamespaceResourceScope>
        + Lookup<DynamicType = ()>
        + Clone
        + serde::de::DeserializeOwned
        + std::fmt::Debug,
    <C as Resource>::DynamicType: Default,
{
    let namespace = &item.name.namespace;
    let key = kube::runtime::reflector::ObjectRef::<C>::new(&child.name).within(namespace);
    let known = cached(&key);
    let made = ctx.made(item, child);
    if let (Some(known), Some((body, version))) = (&known, made)
        && body == child.body
        && version == fingerprint(&**known)
    {
        return Ok(true);
    }
    let known = match known {
        Some(known) => Some((*known).clone()),
        None => ctx.writer.read::<C>(namespace, &child.name).await?,
    };
    if let Some(known) = known {
        let ours = known.owner_references().iter().any(|o| o.uid == item.uid && o.controller == Some(true));
        if !ours {
            return Ok(false);
        }
    }
    let applied: C = ctx.writer.child(namespace, &child.name, &child.body).await?;
    ctx.make_note(item, child, child.body.clone(), fingerprint(&applied));
    Ok(true)
}

/// What changes when somebody changes what we have said.
fn fingerprint<C: Resource>(child: &C) -> Value {
    let meta = child.meta();
    match meta.generation {
        Some(generation) => generation.into(),
        None => meta.resource_version.clone().into(),
    }
}

/// What is in the way of an object's end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Removed {
    /// Nothing: it may go.
    Yes,
    /// These rooms name it.
    Rooms(usize),
    /// Nobody can be asked, or nobody has answered.
    NoNodes,
}

/// Takes an object that is to go out of the pods, then lets go of it.
///
/// # Errors
/// [`WriteError`].
pub async fn remove<K: Kind>(ctx: &Context, item: &Item, found: &Found<K::Status>) -> Result<Removed, WriteError> {
    if !found.finalizers.iter().any(|f| f == FINALIZER) {
        return Ok(Removed::Yes);
    }
    if let Facts::Service { rooms, orphan: false, .. } = &item.facts
        && !rooms.is_empty()
    {
        return Ok(Removed::Rooms(rooms.len()));
    }
    for service in &item.services {
        let Some(answer) = ctx.pods.remove(service, &item.name, &item.uid).await else {
            // A service takes its pods with it.
            if item.name.kind == ObjectKind::MucService {
                break;
            }
            return Ok(Removed::NoNodes);
        };
        ctx.metrics.called("remove");
        if let Err(failed) = answer {
            ctx.metrics.failed("remove");
            tracing::info!(object = %item.name, %failed, "the pods have not let go of an object");
            return Ok(Removed::NoNodes);
        }
    }
    let finalizers: Vec<_> = found.finalizers.iter().filter(|f| *f != FINALIZER).cloned().collect();
    let ObjectName { namespace, name, .. } = &item.name;
    match ctx.writer.finalizers::<K>(namespace, name, found.version.as_deref(), &finalizers).await {
        Err(error) if error.is_gone() => Ok(Removed::Yes),
        other => other.map(|()| Removed::Yes),
    }
}
