//! From a directory of manifests to calls of Apply and Remove: all of them, or none.

use std::fmt::{self, Write as _};
use std::path::Path;

use anyhow::{Context, bail};
use warren_control::{Change, Registry, diff, renumber};
use warren_crds::manifests::{self, Diagnostic};
use warren_model::{Body, Object, ServiceConfig};

use crate::control::Control;
use warren_pod::Outcome;

/// What is wrong with a directory of manifests, for people: the report of `muc-node check`.
#[derive(Debug)]
pub struct Wrong(pub Vec<Diagnostic>);

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the manifests are not right, so nothing of them was applied")?;
        self.0.iter().try_for_each(|diagnostic| write!(f, "\n{diagnostic}"))
    }
}

impl std::error::Error for Wrong {}

/// The objects that a directory declares.
///
/// # Errors
/// Everything that is wrong with it.
pub fn read(directory: &Path) -> Result<Vec<Object>, Wrong> {
    manifests::read(directory).into_objects().map_err(Wrong)
}

/// What leads from what is stored to what is wanted.
#[derive(Debug)]
pub struct Plan {
    /// The calls, in order.
    pub changes: Vec<Change>,
    /// The one service that is served then; `None`: nobody has said yet, and somebody will.
    pub service: Option<ServiceConfig>,
}

/// Works out the calls and whether every one of them will be accepted. `wanted`: what the manifests of that directory
/// declare; without manifests everything stays as it is stored, and if nothing is, a service may be `awaited`.
///
/// # Errors
/// One text that says what is in the way of each object.
pub fn plan(stored: &[Object], wanted: Option<(&Path, Vec<Object>)>, awaited: bool) -> anyhow::Result<Plan> {
    let mut registry = Registry::default();
    for object in stored {
        // The pod leaves out what contradicts itself, and says so.
        drop(registry.apply(object.clone()));
    }
    let Some((directory, wanted)) = wanted else {
        let source = "the store (no --manifests were given)";
        let service = match registry.services().next() {
            None if awaited => None,
            _ => Some(only_service(source, &registry)?),
        };
        return Ok(Plan { changes: Vec::new(), service });
    };
    let changes = diff(&registry, &renumber(&registry, wanted));
    let mut refused = String::new();
    for change in &changes {
        match change {
            Change::Apply(object) => {
                if let Err(why) = registry.apply((**object).clone()) {
                    let _ = write!(refused, "\n{why}");
                }
            }
            Change::Remove { name, uid } => drop(registry.remove(name, uid)),
        }
    }
    if !refused.is_empty() {
        bail!("the manifests do not fit what is stored, so nothing of them was applied{refused}");
    }
    Ok(Plan { changes, service: Some(only_service(&directory.display().to_string(), &registry)?) })
}

/// The service, if there is exactly one. `source` says where.
fn only_service(source: &str, registry: &Registry) -> anyhow::Result<ServiceConfig> {
    one_service(source, registry.objects())
}

/// The service among these objects, if there is exactly one. `source` says where they are from.
///
/// # Errors
/// One sentence.
pub fn one_service<'a>(source: &str, objects: impl IntoIterator<Item = &'a Object>) -> anyhow::Result<ServiceConfig> {
    let services = objects.into_iter().filter_map(|object| match &object.body {
        Body::Service(service) => Some((&object.name, service)),
        _ => None,
    });
    let services: Vec<_> = services.collect();
    match services.as_slice() {
        [(_, service)] => Ok((*service).clone()),
        [] => bail!(
            "there is no MucService in {source}: it says which domain is served and where the XMPP server is; \
             begin with a copy of examples/minimal"
        ),
        several => {
            let names: Vec<_> = several.iter().map(|(name, _)| format!("{}/{}", name.namespace, name.name)).collect();
            bail!(
                "there are {} MucServices in {source} ({}), and a node serves one for now: give each one a directory, \
                 a store and a node of its own",
                names.len(),
                names.join(", ")
            )
        }
    }
}

/// Makes the calls, in order, and waits for all.
///
/// # Errors
/// When one is refused, which means that the store could not take it. Others may have been carried out; the next
/// start does the rest.
pub async fn carry_out(control: &Control, changes: Vec<Change>) -> anyhow::Result<()> {
    let all = changes.len();
    let mut answers = Vec::with_capacity(all);
    for change in changes {
        let what = match &change {
            Change::Apply(object) => format!("{} cannot be applied", object.name),
            Change::Remove { name, .. } => format!("{name} cannot be removed"),
        };
        answers.push((control.call(change).await.with_context(|| what.clone())?, what));
    }
    for (answer, what) in answers {
        match answer.outcome().await.with_context(|| what.clone())? {
            Outcome::Done(_) => {}
            Outcome::Refused(why) => bail!("{what}: {why}"),
            Outcome::Failed(why) => bail!("{what}: {why}"),
        }
    }
    tracing::info!(changes = all, "the manifests are applied");
    Ok(())
}
