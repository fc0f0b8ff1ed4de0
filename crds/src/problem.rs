//! What `validate` and the manifest reader say is wrong.

use std::fmt;

use warren_model::{ObjectKind, ObjectName};

/// Why something is refused. The spelling is an API: conditions, alerts and scripts compare it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// The MucService that is referred to does not exist, or is refused itself; a FederationPeer: its namespace
    /// holds no MucService.
    ServiceNotFound,
    /// The MucService does not take rooms from this namespace (`allowedRooms`).
    NamespaceNotAllowed,
    /// Another object has the same address (rooms) or the same domain (services, peers).
    JidConflict,
    /// The localpart is not one by RFC 7622.
    InvalidLocalpart,
    /// The FederationPeer that is referred to does not exist in the service's namespace, or is refused itself.
    PeerNotFound,
    /// `FederationPeer.spec.auth` asks for a proof that the transport leaves to somebody else.
    AuthNotEnforceable,
    /// A semi-anonymous room that peers may join does not say who may see real JIDs.
    JidExposureUndecided,
    /// The Secret that is referred to, or its key, does not exist.
    SecretNotFound,
    /// The field or value is part of the API and does not work yet. It is never ignored.
    NotSupportedYet,
    /// A value is not one that the field takes; the message says what is.
    InvalidObject,
    /// Manifests only: no such field.
    UnknownField,
    /// Manifests only: no such `apiVersion` or `kind`.
    UnknownKind,
    /// Manifests only: kind, namespace and name occur twice.
    DuplicateObject,
    /// Manifests only: the file cannot be read, or is not YAML or JSON.
    UnreadableManifest,
    /// Manifests only, a warning: an object of an API that is not read without Kubernetes.
    NotRead,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::ServiceNotFound,
        Self::NamespaceNotAllowed,
        Self::JidConflict,
        Self::InvalidLocalpart,
        Self::PeerNotFound,
        Self::AuthNotEnforceable,
        Self::JidExposureUndecided,
        Self::SecretNotFound,
        Self::NotSupportedYet,
        Self::InvalidObject,
        Self::UnknownField,
        Self::UnknownKind,
        Self::DuplicateObject,
        Self::UnreadableManifest,
        Self::NotRead,
    ];

    /// As it is written in conditions and in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ServiceNotFound => "ServiceNotFound",
            Self::NamespaceNotAllowed => "NamespaceNotAllowed",
            Self::JidConflict => "JidConflict",
            Self::InvalidLocalpart => "InvalidLocalpart",
            Self::PeerNotFound => "PeerNotFound",
            Self::AuthNotEnforceable => "AuthNotEnforceable",
            Self::JidExposureUndecided => "JidExposureUndecided",
            Self::SecretNotFound => "SecretNotFound",
            Self::NotSupportedYet => "NotSupportedYet",
            Self::InvalidObject => "InvalidObject",
            Self::UnknownField => "UnknownField",
            Self::UnknownKind => "UnknownKind",
            Self::DuplicateObject => "DuplicateObject",
            Self::UnreadableManifest => "UnreadableManifest",
            Self::NotRead => "NotRead",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Kind, namespace and name of any Kubernetes object: unlike `ObjectName` also of Secrets and of unknown kinds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Resource {
    /// As in the manifest.
    pub kind: String,
    /// `default` where the manifest has none.
    pub namespace: String,
    /// Empty when the manifest has none.
    pub name: String,
}

impl Resource {
    /// A resource by its parts.
    pub fn new(kind: impl Into<String>, namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { kind: kind.into(), namespace: namespace.into(), name: name.into() }
    }

    /// The name under which `control` knows it; `None` for kinds that are not ours.
    pub fn object_name(&self) -> Option<ObjectName> {
        let kind = [ObjectKind::MucService, ObjectKind::FederationPeer, ObjectKind::FederatedRoom]
            .into_iter()
            .find(|k| k.as_str() == self.kind)?;
        Some(ObjectName { kind, namespace: self.namespace.clone(), name: self.name.clone() })
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = if self.name.is_empty() { "(no name)" } else { &self.name };
        write!(f, "{} {}/{name}", self.kind, self.namespace)
    }
}

/// One thing that is wrong with one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The object.
    pub resource: Resource,
    /// The field, such as `spec.federation.uplink.candidates[0].peer`.
    pub field: String,
    /// What kind of thing.
    pub reason: Reason,
    /// What is wrong, in a sentence without a full stop. Never holds a secret.
    pub message: String,
    /// What to do about it.
    pub remedy: String,
    /// The object that is missing or refused, when that is all that is wrong here: a report that already names
    /// what is wrong there may leave this problem out.
    pub because: Option<Resource>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {} ({}); {}", self.resource, self.field, self.message, self.reason, self.remedy)
    }
}

/// Problems of one object while it is looked at.
pub(crate) struct Finding {
    pub(crate) resource: Resource,
    pub(crate) problems: Vec<Problem>,
}

impl Finding {
    pub(crate) fn of(resource: Resource) -> Self {
        Self { resource, problems: Vec::new() }
    }

    pub(crate) fn refuse(
        &mut self,
        field: impl Into<String>,
        reason: Reason,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) -> &mut Problem {
        let at = self.problems.len();
        self.problems.push(Problem {
            resource: self.resource.clone(),
            field: field.into(),
            reason,
            message: message.into(),
            remedy: remedy.into(),
            because: None,
        });
        &mut self.problems[at]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_spelled_as_documented() {
        let spelled: Vec<_> = Reason::ALL.iter().map(ToString::to_string).collect();
        assert_eq!(
            spelled,
            [
                "ServiceNotFound",
                "NamespaceNotAllowed",
                "JidConflict",
                "InvalidLocalpart",
                "PeerNotFound",
                "AuthNotEnforceable",
                "JidExposureUndecided",
                "SecretNotFound",
                "NotSupportedYet",
                "InvalidObject",
                "UnknownField",
                "UnknownKind",
                "DuplicateObject",
                "UnreadableManifest",
                "NotRead",
            ]
        );
        // The name in code is the name on the outside.
        for r in Reason::ALL {
            assert_eq!(format!("{r:?}"), r.as_str());
        }
    }
}
