//! A YAML or JSON document as a tree that knows its lines.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

/// A place in a file; both count from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) line: usize,
    pub(super) column: usize,
}

/// A value with its place.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) place: Place,
    pub(super) value: Value,
}

#[derive(Clone, Debug)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Integer(i64),
    Number(f64),
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// One key of a map with the key's own place.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) place: Place,
    pub(super) node: Node,
}

/// Why a document cannot be read.
#[derive(Debug)]
pub(super) struct SyntaxError {
    pub(super) place: Option<Place>,
    pub(super) message: String,
}

impl Node {
    /// Reads one document. `None`: it is empty. Places count from the start of `text`.
    pub(super) fn parse(text: &str) -> Result<Option<Self>, SyntaxError> {
        // A List of 100,000 rooms is one document, and right; a bomb of aliases is not.
        let options = serde_saphyr::options! {
            budget: serde_saphyr::budget! { max_nodes: 20_000_000, max_events: 20_000_000 },
            alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: 250_000 },
        };
        let read: Spanned<Value> = serde_saphyr::from_str_with_options(text, options).map_err(|e| {
            let place = e.location().map(|l| Place { line: number(l.line()), column: number(l.column()) });
            // The parser's first line says what is wrong; the rest quotes the file, and so perhaps a secret.
            let full = e.without_snippet().to_string();
            let line = full.lines().next().unwrap_or_default();
            let line = line.trim_start_matches("error: ");
            // It also ends in the place, which the report has in front, or in advice to programmers.
            let end = [" at line ", ", set "].iter().filter_map(|end| line.find(end)).min();
            let message = line[..end.unwrap_or(line.len())].to_owned();
            SyntaxError { place, message }
        })?;
        let node = Self::from(read);
        Ok((!matches!(node.value, Value::Null)).then_some(node))
    }

    /// Moves all places down by `lines`.
    pub(super) fn shift(&mut self, lines: usize) {
        self.place.line += lines;
        match &mut self.value {
            Value::List(items) => items.iter_mut().for_each(|n| n.shift(lines)),
            Value::Map(entries) => {
                for entry in entries {
                    entry.place.line += lines;
                    entry.node.shift(lines);
                }
            }
            _ => {}
        }
    }

    /// The entry under `key` of a map.
    pub(super) fn entry(&self, key: &str) -> Option<&Entry> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|e| e.key == key),
            _ => None,
        }
    }

    /// The text under `key` of a map.
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        match &self.entry(key)?.node.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The place of a field such as `spec.vouch.domains[0]`, or of the nearest field above it that is there.
    pub(super) fn locate(&self, field: &str) -> Place {
        let mut place = self.place;
        let mut node = self;
        for part in field.split('.') {
            let (key, indices) = part.split_once('[').unwrap_or((part, ""));
            let Some(entry) = node.entry(key) else { return place };
            (place, node) = (entry.place, &entry.node);
            for index in indices.split('[').filter_map(|i| i.trim_end_matches(']').parse::<usize>().ok()) {
                let Value::List(items) = &node.value else { return place };
                let Some(item) = items.get(index) else { return place };
                (place, node) = (item.place, item);
            }
        }
        place
    }

    /// As JSON. A field that is null is left out, as an API server does for fields that have a default.
    pub(super) fn to_json(&self) -> serde_json::Value {
        match &self.value {
            Value::Null => serde_json::Value::Null,
            Value::Bool(b) => (*b).into(),
            Value::Integer(i) => (*i).into(),
            Value::Number(f) => (*f).into(),
            Value::Text(s) => s.as_str().into(),
            Value::List(items) => items.iter().map(Self::to_json).collect(),
            Value::Map(entries) => entries
                .iter()
                .filter(|e| !matches!(e.node.value, Value::Null))
                .map(|e| (e.key.clone(), e.node.to_json()))
                .collect::<serde_json::Map<_, _>>()
                .into(),
        }
    }
}

impl Value {
    /// What it is, with an article.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Integer(_) => "an integer",
            Self::Number(_) => "a number",
            Self::Text(_) => "a string",
            Self::List(_) => "a list",
            Self::Map(_) => "an object",
        }
    }
}

fn number(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

impl From<Spanned<Value>> for Node {
    fn from(read: Spanned<Value>) -> Self {
        let at = read.referenced;
        Self { place: Place { line: number(at.line()), column: number(at.column()) }, value: read.value }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }
    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        Value::deserialize(deserializer)
    }
    fn visit_bool<E>(self, b: bool) -> Result<Value, E> {
        Ok(Value::Bool(b))
    }
    fn visit_i64<E>(self, i: i64) -> Result<Value, E> {
        Ok(Value::Integer(i))
    }
    #[expect(clippy::cast_precision_loss, reason = "no field takes so large a number, and the report rounds it")]
    fn visit_u64<E>(self, u: u64) -> Result<Value, E> {
        Ok(i64::try_from(u).map_or(Value::Number(u as f64), Value::Integer))
    }
    fn visit_f64<E>(self, f: f64) -> Result<Value, E> {
        Ok(Value::Number(f))
    }
    fn visit_str<E>(self, s: &str) -> Result<Value, E> {
        Ok(Value::Text(s.to_owned()))
    }
    fn visit_string<E>(self, s: String) -> Result<Value, E> {
        Ok(Value::Text(s))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element::<Spanned<Value>>()? {
            items.push(item.into());
        }
        Ok(Value::List(items))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some((key, value)) = map.next_entry::<Spanned<String>, Spanned<Value>>()? {
            let at = key.referenced;
            let place = Place { line: number(at.line()), column: number(at.column()) };
            entries.push(Entry { key: key.value, place, node: value.into() });
        }
        Ok(Value::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_those_of_keys_and_items() {
        let node = Node::parse("# first\na:\n  b:\n  - x\n  - c: 1\n").unwrap().unwrap();
        let at = |field| {
            let Place { line, column } = node.locate(field);
            (line, column)
        };
        assert_eq!(at("a"), (2, 1));
        assert_eq!(at("a.b"), (3, 3));
        assert_eq!(at("a.b[0]"), (4, 5));
        assert_eq!(at("a.b[1].c"), (5, 5));
        assert_eq!(at("a.b[7].c"), (3, 3), "the nearest that is there");
        assert_eq!(at("a.z.z"), (2, 1));
    }

    #[test]
    fn json_is_yaml_also_with_tabs() {
        let node = Node::parse("{\n\t\"a\": {\n\t\t\"b\": [true, null, 1.5, \"\\u00e4\"]\n\t}\n}").unwrap().unwrap();
        assert_eq!(node.to_json(), serde_json::json!({"a": {"b": [true, null, 1.5, "ä"]}}));
        assert_eq!(node.locate("a.b").line, 3);
    }

    #[test]
    fn scalars_are_read_as_kubectl_reads_them() {
        let node = Node::parse("{a: yes, b: 'yes', c: 0x10, d: ~, e: 1s, f: 18446744073709551615}").unwrap().unwrap();
        let json = node.to_json();
        assert_eq!(json["a"], true);
        assert_eq!(json["b"], "yes");
        assert_eq!(json["c"], 16);
        assert!(json.get("d").is_none());
        assert_eq!(json["e"], "1s");
        assert!(json["f"].is_f64());
    }

    #[test]
    fn errors_have_a_place_and_quote_nothing() {
        let e = Node::parse("a: 1\nsecret: hunter2\na: 2\n").unwrap_err();
        assert_eq!(e.place.map(|p| p.line), Some(3));
        assert!(!e.message.contains("hunter2"), "{}", e.message);
        assert!(Node::parse("a: [1\n").is_err());
    }

    #[test]
    fn bombs_of_aliases_and_brackets_are_refused() {
        let level = |i: usize| format!("a{i}: &a{i} [{}]", vec![format!("*a{}", i - 1); 8].join(", "));
        let levels: Vec<_> = (1..9).map(level).collect();
        let bomb = format!("a0: &a0 [x, x, x, x, x, x, x, x]\n{}\n", levels.join("\n"));
        assert!(Node::parse(&bomb).is_err());
        assert!(Node::parse(&"[".repeat(100_000)).is_err());
    }

    #[test]
    fn comments_alone_are_an_empty_document() {
        assert!(Node::parse("# nothing\n\n").unwrap().is_none());
        assert!(Node::parse("").unwrap().is_none());
    }
}
