//! Field types that the three kinds share.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use kube::KubeSchema;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// Host names and XMPP domains: lower-case, A-label form.
pub(crate) const DOMAIN: &str = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$";
/// What RFC 7622 forbids in a localpart, as far as a pattern can say it.
pub(crate) const LOCALPART: &str = r#"^[^\x00-\x20"&'/:<>@\x7F]+$"#;
/// Names of Kubernetes objects.
pub(crate) const OBJECT_NAME: &str = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$";
const DURATION: &str = "^[0-9]+(ms|s|m|h|d)$";

/// A length of time as people write it: a whole number and one of `ms`, `s`, `m`, `h`, `d`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DurationText(pub String);

impl DurationText {
    /// The length of time; `None` when the text is not one, or does not fit 64 bits of milliseconds.
    pub fn parse(&self) -> Option<Duration> {
        let digits = self.0.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = self.0.split_at(digits);
        let millis = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return None,
        };
        number.parse::<u64>().ok()?.checked_mul(millis).map(Duration::from_millis)
    }
}

/// Writes a length of time with the largest unit that needs no fraction.
pub(crate) fn duration_text(d: Duration) -> String {
    let ms = d.as_millis();
    for (unit, millis) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)] {
        if ms >= millis && ms.is_multiple_of(millis) {
            return format!("{}{unit}", ms / millis);
        }
    }
    if ms == 0 { "0s".to_owned() } else { format!("{ms}ms") }
}

impl JsonSchema for DurationText {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "DurationText".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "maxLength": 20, "pattern": DURATION})
    }
}

/// Labels that an object must have, all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct LabelsSpec {
    /// Names and values. 1 to 16.
    #[serde(default)]
    #[schemars(schema_with = "labels")]
    pub match_labels: BTreeMap<String, String>,
}

/// Up to 16 short texts by name.
pub(crate) fn labels(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object", "maxProperties": 16, "additionalProperties": {"type": "string", "maxLength": 1024}
    })
}

/// One value of a Secret in the namespace of the object that refers to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretKeyRef {
    /// Name of the Secret, in the same namespace.
    #[schemars(length(min = 1, max = 253), regex(pattern = OBJECT_NAME))]
    pub name: String,
    /// Key in its `data` or `stringData`. The value is text without a line break at its end.
    #[schemars(length(min = 1, max = 253))]
    pub key: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_a_number_and_a_unit() {
        let parse = |s: &str| DurationText(s.to_owned()).parse();
        assert_eq!(parse("1500ms"), Some(Duration::from_millis(1500)));
        assert_eq!(parse("35s"), Some(Duration::from_secs(35)));
        assert_eq!(parse("10m"), Some(Duration::from_mins(10)));
        assert_eq!(parse("2h"), Some(Duration::from_hours(2)));
        assert_eq!(parse("30d"), Some(Duration::from_hours(720)));
        for bad in
            ["", "s", "35", "35 s", "-1s", "1.5s", "1w", "1h30m", "99999999999999999999s", "9999999999999999999d"]
        {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn durations_are_written_without_fractions() {
        for text in ["0s", "500ms", "1500ms", "35s", "10m", "90s", "36h", "2d"] {
            assert_eq!(duration_text(DurationText(text.to_owned()).parse().unwrap()), text);
        }
    }
}
