//! Checks of single values that more than one kind has.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::time::Duration;

use jid::NodePart;

use crate::problem::{Finding, Reason};
use crate::types::{DurationText, duration_text};

const MS: u64 = 1;
const SECOND: u64 = 1_000 * MS;
const MINUTE: u64 = 60 * SECOND;
const DAY: u64 = 24 * 60 * MINUTE;

/// Milliseconds that a waiting time for an answer may take.
pub(super) const WAIT: RangeInclusive<u64> = 100 * MS..=10 * MINUTE;
/// Milliseconds between two pings.
pub(super) const PING: RangeInclusive<u64> = 100 * MS..=MINUTE;
/// Milliseconds until a path is Suspect: below a second every garbage collection at the peer would do.
pub(super) const SUSPECT: RangeInclusive<u64> = SECOND..=10 * MINUTE;
/// Milliseconds that occupants stay behind a loss.
pub(super) const GRACE: RangeInclusive<u64> = 0..=DAY;
/// Milliseconds that history reaches back.
pub(super) const AGE: RangeInclusive<u64> = SECOND..=3650 * DAY;

/// A domain as we write it: lower-case, A-label form.
pub(super) fn domain(field: &str, value: &str, finding: &mut Finding) -> Option<Box<str>> {
    let label = |l: &str| {
        !l.is_empty()
            && l.len() <= 63
            && l.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !l.starts_with('-')
            && !l.ends_with('-')
    };
    let well_formed = value.len() <= 253 && value.split('.').all(label);
    // The pattern of the schema does not know that an `xn--` label must decode; the JID parser does.
    if well_formed && jid::DomainPart::new(value).is_ok_and(|d| d.as_str() == value) {
        return Some(value.into());
    }
    let remedy = if value.contains(['@', '/']) {
        "write the domain alone, such as rooms.example.org".to_owned()
    } else if value.chars().any(char::is_uppercase) {
        format!("write it in lower case: {}", value.to_lowercase())
    } else if !value.is_ascii() {
        "write it in A-label form (xn--…)".to_owned()
    } else {
        "write a host name such as rooms.example.org".to_owned()
    };
    finding.refuse(field, Reason::InvalidObject, format!("{value:?} is not a domain"), remedy);
    None
}

/// Domains, each once.
pub(super) fn domains(field: &str, values: &[String], finding: &mut Finding) -> BTreeSet<Box<str>> {
    let mut all = BTreeSet::new();
    for (i, value) in values.iter().enumerate() {
        let field = format!("{field}[{i}]");
        let Some(domain) = domain(&field, value, finding) else { continue };
        if !all.insert(domain) {
            finding.refuse(field, Reason::InvalidObject, format!("{value} is listed twice"), "delete one of them");
        }
    }
    all
}

/// A localpart, normalised by nodeprep.
pub(super) fn localpart(field: &str, value: &str, finding: &mut Finding) -> Option<String> {
    let fits = value.chars().count() <= 256;
    match NodePart::new(value) {
        Ok(part) if fits => Some(part.as_str().to_owned()),
        Ok(_) => {
            let message = "a localpart has 256 characters at most";
            finding.refuse(field, Reason::InvalidLocalpart, message, "shorten it");
            None
        }
        Err(e) => {
            let remedy = if value.contains('@') {
                "write what stands before the @ alone"
            } else {
                "leave out spaces, control characters and \" & ' / : < > @"
            };
            finding.refuse(field, Reason::InvalidLocalpart, format!("{value:?} is not a localpart: {e}"), remedy);
            None
        }
    }
}

/// A length of time within bounds; `default` where there is none or a wrong one.
pub(super) fn duration(
    field: &str,
    value: Option<&DurationText>,
    default: Duration,
    bounds: &RangeInclusive<u64>,
    finding: &mut Finding,
) -> Duration {
    let Some(text) = value else { return default };
    let (from, to) = (Duration::from_millis(*bounds.start()), Duration::from_millis(*bounds.end()));
    let range = format!("{} to {}", duration_text(from), duration_text(to));
    match text.parse() {
        Some(d) if (from..=to).contains(&d) => return d,
        Some(_) => finding.refuse(
            field,
            Reason::InvalidObject,
            format!("{} is out of bounds", text.0),
            format!("write a time of {range}"),
        ),
        None => finding.refuse(
            field,
            Reason::InvalidObject,
            format!("{:?} is not a length of time", text.0),
            format!("write a whole number and one of ms, s, m, h, d: {range}"),
        ),
    };
    default
}

/// Refuses a value that is part of the API and does not work yet.
pub(super) fn not_yet(field: &str, value: &str, instead: &str, finding: &mut Finding) {
    finding.refuse(field, Reason::NotSupportedYet, format!("{value} does not work yet"), instead);
}

/// Refuses a field that is part of the API and does not work yet, if it is there.
pub(super) fn later<T>(field: &str, value: Option<&T>, finding: &mut Finding) {
    if value.is_some() {
        let name = field.rsplit('.').next().unwrap_or(field);
        not_yet(field, name, "delete the field", finding);
    }
}

/// The first of a list, if there is one: for [`later`].
pub(super) fn any<T>(list: &[T]) -> Option<&T> {
    list.first()
}
