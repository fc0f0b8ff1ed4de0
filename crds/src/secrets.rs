//! Resolves `secretRef` from Secrets that the caller has read.

use std::collections::BTreeMap;
use std::fmt;

use k8s_openapi::api::core::v1::Secret;

use crate::problem::{Finding, Reason, Resource};
use crate::types::SecretKeyRef;

/// Values of Secrets by namespace and name. Never printed.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secrets(BTreeMap<(String, String), BTreeMap<String, Vec<u8>>>);

impl Secrets {
    /// Adds one Secret; `stringData` wins over `data`, as it does at an API server. One without a namespace is in
    /// `default`; one without a name is left out.
    pub fn add(&mut self, secret: &Secret) {
        let Some(name) = secret.metadata.name.clone() else { return };
        let namespace = secret.metadata.namespace.clone().unwrap_or_else(|| "default".to_owned());
        let data = secret.data.iter().flatten().map(|(k, v)| (k.clone(), v.0.clone()));
        let text = secret.string_data.iter().flatten().map(|(k, v)| (k.clone(), v.clone().into_bytes()));
        self.0.insert((namespace, name), data.chain(text).collect());
    }

    /// The text behind `reference`, which stands in `field` of an object in `namespace`.
    pub(crate) fn resolve(
        &self,
        namespace: &str,
        field: &str,
        reference: &SecretKeyRef,
        finding: &mut Finding,
    ) -> Option<String> {
        let SecretKeyRef { name, key } = reference;
        let Some(secret) = self.0.get(&(namespace.to_owned(), name.clone())) else {
            finding
                .refuse(
                    format!("{field}.name"),
                    Reason::SecretNotFound,
                    format!("there is no Secret {name:?} in namespace {namespace:?}"),
                    "add it (v1/Secret), or correct the name; a reference never leaves its namespace",
                )
                .because = Some(Resource::new("Secret", namespace, name));
            return None;
        };
        let Some(value) = secret.get(key) else {
            let keys: Vec<_> = secret.keys().map(String::as_str).collect();
            finding.refuse(
                format!("{field}.key"),
                Reason::SecretNotFound,
                format!("Secret {namespace}/{name} has no key {key:?}"),
                match keys.as_slice() {
                    [] => "it has no data at all".to_owned(),
                    keys => format!("it has {}", keys.join(", ")),
                },
            );
            return None;
        };
        let (message, remedy) = match std::str::from_utf8(value) {
            Err(_) => ("is not UTF-8 text", "write text, not binary data"),
            Ok("") => ("is empty", "give it a value"),
            // What `echo | base64` makes; the server at the other end would only say "not authorized".
            Ok(text) if text.ends_with(['\n', '\r']) => {
                ("ends with a line break", "leave it out: `printf %s` instead of `echo`, `>-` or quotes instead of `|`")
            }
            Ok(text) if text.chars().any(char::is_control) => ("holds control characters", "write text of one line"),
            Ok(text) => return Some(text.to_owned()),
        };
        finding.refuse(
            format!("{field}.key"),
            Reason::InvalidObject,
            format!("the value of {key:?} in Secret {namespace}/{name} {message}"),
            remedy,
        );
        None
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::ByteString;

    fn secrets() -> Secrets {
        let mut secret = Secret::default();
        secret.metadata.name = Some("link".to_owned());
        secret.metadata.namespace = Some("chat".to_owned());
        secret.data = Some(
            [("both", "data"), ("echo", "x\n"), ("empty", ""), ("tab", "a\tb")]
                .map(|(k, v)| (k.to_owned(), ByteString(v.into())))
                .into_iter()
                .chain([("bytes".to_owned(), ByteString(vec![0xff]))])
                .collect(),
        );
        secret.string_data = Some([("both".to_owned(), "text".to_owned())].into());
        let mut all = Secrets::default();
        all.add(&secret);
        all
    }

    fn resolve(name: &str, key: &str) -> Result<String, (Reason, String, String)> {
        let mut finding = Finding::of(Resource::new("MucService", "chat", "s"));
        let reference = SecretKeyRef { name: name.to_owned(), key: key.to_owned() };
        let value = secrets().resolve("chat", "spec.ref", &reference, &mut finding);
        value.ok_or_else(|| {
            let p = finding.problems.remove(0);
            (p.reason, p.field, p.message)
        })
    }

    #[test]
    fn string_data_wins_over_data() {
        assert_eq!(resolve("link", "both"), Ok("text".to_owned()));
    }

    #[test]
    fn what_cannot_be_used_is_said() {
        let error = |name, key| resolve(name, key).unwrap_err();
        assert_eq!(error("lnk", "both").0, Reason::SecretNotFound);
        assert_eq!(error("lnk", "both").1, "spec.ref.name");
        assert_eq!(error("link", "bot").1, "spec.ref.key");
        for (key, says) in
            [("bytes", "not UTF-8"), ("empty", "is empty"), ("echo", "a line break"), ("tab", "control characters")]
        {
            let (reason, field, message) = error("link", key);
            assert_eq!((reason, field.as_str()), (Reason::InvalidObject, "spec.ref.key"));
            assert!(message.contains(says), "{message}");
        }
    }

    #[test]
    fn values_are_not_printed() {
        assert_eq!(format!("{:?}", secrets()), r#"{("chat", "link")}"#);
    }
}
