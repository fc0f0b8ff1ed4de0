//! Second step, pure: what is right, and what is wrong with the rest, in words for a condition.

use std::collections::BTreeMap;

use warren_crds::{Problem, Validated};
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

/// Judges everything. Also: refusals by object.
pub fn validate(snapshot: &Snapshot) -> (Validated<'_>, BTreeMap<ObjectName, Refusal>) {
    let validated = warren_crds::validate(&snapshot.declared);
    let mut problems: BTreeMap<ObjectName, Vec<&Problem>> = BTreeMap::new();
    for problem in &validated.problems {
        if let Some(name) = problem.resource.object_name() {
            problems.entry(name).or_default().push(problem);
        }
    }
    let mut refusals: BTreeMap<_, _> = problems.into_iter().map(|(name, all)| (name, refusal(&all))).collect();
    for (name, _, error) in &snapshot.unreadable {
        let message = format!("the object cannot be read: {error}; correct it, or update the operator");
        refusals.insert(name.clone(), Refusal { reason: "InvalidObject".to_owned(), message: short(&message) });
    }
    (validated, refusals)
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
        let (_, refusals) = validate(&snapshot);
        let [refusal] = refusals.into_values().collect::<Vec<_>>().try_into().unwrap();
        assert_eq!(refusal.reason, Reason::ServiceNotFound.to_string());
        for part in ["spec.serviceRef.name", "there is no MucService", "add it", "spec.localpart", "leave out"] {
            assert!(refusal.message.contains(part), "{}", refusal.message);
        }
    }

    #[test]
    fn messages_stay_short_and_clean() {
        assert_eq!(short("a\u{1b}[31mb\nc"), "a [31mb\nc");
        assert_eq!(short(&"ä".repeat(2000)).chars().count(), LONGEST);
    }
}
