//! Cuts a file into documents before it is parsed, so that one bad document does not hide the others.

/// A document of a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Piece {
    /// Its text.
    pub(super) text: String,
    /// Lines of the file before it.
    pub(super) before: usize,
}

/// The documents of a YAML or JSON file. Like kubectl: `---` at the start of a line begins a document, a file that
/// starts with `{` may hold several JSON values, and documents of comments alone do not count.
pub(super) fn documents(text: &str) -> Vec<Piece> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let pieces = if text.trim_start().starts_with('{') { json(text) } else { None };
    pieces.unwrap_or_else(|| yaml(text))
}

/// Several JSON values one after the other; `None` when that is not what it is.
fn json(text: &str) -> Option<Vec<Piece>> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<serde::de::IgnoredAny>();
    let mut pieces = Vec::new();
    loop {
        let from = values.byte_offset();
        match values.next() {
            None => return Some(pieces),
            Some(Err(_)) => return None,
            Some(Ok(_)) => pieces.push(Piece {
                before: text[..from].matches('\n').count(),
                text: text[from..values.byte_offset()].to_owned(),
            }),
        }
    }
}

fn yaml(text: &str) -> Vec<Piece> {
    let mut pieces = vec![Piece { text: String::new(), before: 0 }];
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let rest = line.strip_prefix("---").filter(|r| r.is_empty() || r.starts_with([' ', '\t', '\r', '\n']));
        match (rest, pieces.last_mut()) {
            // What stands behind the marker is part of the document; blanks keep its columns.
            (Some(rest), _) => pieces.push(Piece { text: format!("   {rest}"), before: number }),
            (None, Some(piece)) => piece.text.push_str(line),
            (None, None) => {}
        }
    }
    pieces.retain(|p| !is_blank(&p.text));
    pieces
}

/// Whether a document holds nothing but comments, directives and the end marker.
fn is_blank(text: &str) -> bool {
    text.lines().all(|l| {
        let l = l.trim();
        l.is_empty() || l.starts_with(['#', '%']) || l == "..."
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(text: &str) -> Vec<(usize, String)> {
        documents(text).into_iter().map(|p| (p.before, p.text.trim().to_owned())).collect()
    }

    fn expect(pieces: &[(usize, &str)]) -> Vec<(usize, String)> {
        pieces.iter().map(|(n, t)| (*n, (*t).to_owned())).collect()
    }

    #[test]
    fn yaml_documents() {
        assert_eq!(cut("a: 1\n---\nb: 2\n"), expect(&[(0, "a: 1"), (1, "b: 2")]));
        assert_eq!(cut("\u{feff}---\na: 1\n--- # two\nb: 2"), expect(&[(0, "a: 1"), (2, "# two\nb: 2")]));
        assert_eq!(cut("---\n# none\n---\n\n---\r\na: 1\r\n---\n"), expect(&[(4, "a: 1")]));
        assert_eq!(cut("%YAML 1.2\n---\na: 1\n...\n"), expect(&[(1, "a: 1\n...")]));
        assert_eq!(cut("a: |\n  ---\n  x\n"), expect(&[(0, "a: |\n  ---\n  x")]), "indented: not a marker");
        assert_eq!(cut("----\n").len(), 1, "four are text");
        assert_eq!(cut(""), expect(&[]));
    }

    #[test]
    fn json_documents() {
        assert_eq!(cut("{\"a\": 1}\n{\"b\":\n2}\n"), expect(&[(0, "{\"a\": 1}"), (0, "{\"b\":\n2}")]));
        assert_eq!(cut("\u{feff} {a: 1}\n---\nb: 2\n"), expect(&[(0, "{a: 1}"), (1, "b: 2")]), "YAML after all");
    }
}
