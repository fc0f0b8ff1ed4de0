//! Second step, pure: what is right, and what is wrong with the rest, in words for a condition.

use std::collections::{BTreeMap, BTreeSet};

use warren_crds::{Problem, Resource, Validated};
use warren_model::ObjectName;

use crate::dereference::Snapshot;

/// Longest message of a condition, in characters.
pub const LONGEST: usize = 900;

/// What is wrong with an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Of `warren_crds::Reason`.
    pub reason: String,
    /// Field, what is wrong, remedy.
    pub message: String,
}

/// What is wrong, by object.
#[derive(Debug, Default)]
pub struct Judged {
    /// These are refused.
    pub refusals: BTreeMap<ObjectName, Refusal>,
    /// Of these nobody can say yet: a Secret that they need, or that what they need needs, has not been read.
    pub waiting: BTreeSet<ObjectName>,
}

/// Judges everything.
pub fn validate(snapshot: &Snapshot) -> (Validated<'_>, Judged) {
    let validated = warren_crds::validate(&snapshot.declared);
    let pending = snapshot.pending.iter().map(|(namespace, name)| Resource::new("Secret", namespace, name));
    let mut unknown: BTreeSet<Resource> = pending.collect();
    let mut problems: BTreeMap<ObjectName, Vec<&Problem>> = BTreeMap::new();
    // Services come first, then peers, then rooms: who refers to whom, the other way round.
    for problem in &validated.problems {
        if problem.because.as_ref().is_some_and(|because| unknown.contains(because)) {
            unknown.insert(problem.resource.clone());
        }
        if let Some(name) = problem.resource.object_name() {
            problems.entry(name).or_default().push(problem);
        }
    }
    let waiting: BTreeSet<ObjectName> = unknown.iter().filter_map(Resource::object_name).collect();
    problems.retain(|name, _| !waiting.contains(name));
    let mut refusals: BTreeMap<_, _> = problems.into_iter().map(|(name, all)| (name, refusal(&all))).collect();
    for (name, _, error) in &snapshot.unreadable {
        let message = format!("the object cannot be read: {error}; correct it, or update the operator");
        refusals.insert(name.clone(), Refusal { reason: "InvalidObject".to_owned(), message: short(&message) });
    }
    (validated, Judged { refusals, waiting })
}

/// The first problem names the reason; all of them are said as far as there is room.
fn refusal(problems: &[&Problem]) -> Refusal {
    let said: Vec<_> = problems.iter().map(|p| format!("{}: {}; {}", p.field, p.message, p.remedy)).collect();
    let reason = problems.first().map(|p| p.reason.to_string()).unwrap_or_default();
    Refusal { reason, message: short(&said.join("\n")) }
}

/// Cuts a text that is too long, and takes control characters out of it.
pub fn short(text: &str) -> String {
    let clean = text.chars().map(|c| if c.is_control() && c != '\n' { ' ' } else { c });
    if text.chars().count() <= LONGEST {
        return clean.collect();
    }
    clean.take(LONGEST - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use warren_crds::{FederatedRoom, Reason};

    #[test]
    fn a_refusal_names_field_and_remedy() {
        let room = serde_json::json!({"apiVersion": "warren.chat/v1alpha1", "kind": "FederatedRoom",
            "metadata": {"name": "tea", "namespace": "chat"},
            "spec": {"serviceRef": {"name": "rooms"}, "localpart": "in valid"}});
        let room: FederatedRoom = serde_json::from_value(room).unwrap();
        let mut snapshot = Snapshot::default();
        snapshot.declared.rooms.push(room);
        let (_, judged) = validate(&snapshot);
        let [refusal] = judged.refusals.into_values().collect::<Vec<_>>().try_into().unwrap();
        assert_eq!(refusal.reason, Reason::ServiceNotFound.to_string());
        for part in ["spec.serviceRef.name", "there is no MucService", "add it", "spec.localpart", "leave out"] {
            assert!(refusal.message.contains(part), "{}", refusal.message);
        }
    }

    /// At a start Secrets are not there yet: nobody is told that they do not exist.
    #[test]
    fn what_needs_a_secret_that_is_not_read_waits() {
        let service = serde_json::json!({"apiVersion": "warren.chat/v1alpha1", "kind": "MucService",
            "metadata": {"name": "rooms", "namespace": "chat"}, "spec": {"domain": "rooms.lit", "homeDomains": ["lit"],
            "transport": {"component": {"host": "h", "port": 1, "secretRef": {"name": "s", "key": "k"}}}}});
        let room = serde_json::json!({"apiVersion": "warren.chat/v1alpha1", "kind": "FederatedRoom",
            "metadata": {"name": "tea", "namespace": "chat"}, "spec": {"serviceRef": {"name": "rooms"}}});
        let mut snapshot = Snapshot::default();
        snapshot.declared.services.push(serde_json::from_value(service).unwrap());
        snapshot.declared.rooms.push(serde_json::from_value(room).unwrap());
        snapshot.pending.insert(("chat".to_owned(), "s".to_owned()));
        let (_, judged) = validate(&snapshot);
        assert_eq!((judged.refusals.len(), judged.waiting.len()), (0, 2));
        // It has been read, and is not there.
        snapshot.pending.clear();
        let (_, judged) = validate(&snapshot);
        let reasons: Vec<_> = judged.refusals.values().map(|r| r.reason.as_str()).collect();
        assert_eq!((reasons, judged.waiting.len()), (vec!["SecretNotFound", "ServiceNotFound"], 0));
    }

    #[test]
    fn messages_stay_short_and_clean() {
        assert_eq!(short("a\u{1b}[31mb\nc"), "a [31mb\nc");
        assert_eq!(short(&"ä".repeat(2000)).chars().count(), LONGEST);
    }
}
