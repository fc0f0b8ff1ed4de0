//! Escaping and unescaping of canonical bytes.
//!
//! What must be escaped so that an XML parser reads the same characters back: the markup characters
//! everywhere; in attribute values the quote and, because parsers turn them into spaces (XML 1.0
//! section 3.3.3), line breaks and tabs; in text the carriage return (XML 1.0 section 2.11).

use std::borrow::Cow;

/// `s` as it stands inside an attribute value in single quotes.
pub fn escape_attr(s: &str) -> Cow<'_, str> {
    if s.bytes().any(|b| attr_reference(b).is_some()) {
        let mut out = String::with_capacity(s.len() + 16);
        for c in s.chars() {
            match u8::try_from(c).ok().and_then(attr_reference) {
                Some(reference) => out.push_str(reference),
                None => out.push(c),
            }
        }
        Cow::Owned(out)
    } else {
        Cow::Borrowed(s)
    }
}

/// Appends `s` as it stands inside an attribute value in single quotes.
pub fn escape_into(out: &mut Vec<u8>, s: &str) {
    escape_with(out, s.as_bytes(), attr_reference);
}

/// Appends `s` as it stands in text.
pub fn escape_text_into(out: &mut Vec<u8>, s: &str) {
    escape_with(out, s.as_bytes(), text_reference);
}

fn escape_with(out: &mut Vec<u8>, s: &[u8], reference: impl Fn(u8) -> Option<&'static str>) {
    let mut done = 0;
    for (at, &byte) in s.iter().enumerate() {
        if let Some(reference) = reference(byte) {
            out.extend_from_slice(&s[done..at]);
            out.extend_from_slice(reference.as_bytes());
            done = at + 1;
        }
    }
    out.extend_from_slice(&s[done..]);
}

fn text_reference(byte: u8) -> Option<&'static str> {
    match byte {
        b'&' => Some("&amp;"),
        b'<' => Some("&lt;"),
        b'>' => Some("&gt;"),
        b'\r' => Some("&#13;"),
        _ => None,
    }
}

fn attr_reference(byte: u8) -> Option<&'static str> {
    match byte {
        b'\'' => Some("&apos;"),
        b'\n' => Some("&#10;"),
        b'\t' => Some("&#9;"),
        other => text_reference(other),
    }
}

/// The characters that escaped text or an escaped attribute value stands for.
///
/// Knows the references that this module writes, and `&quot;`; anything else is left as it is, for
/// only canonical bytes come here.
pub(crate) fn unescape(s: &str) -> Cow<'_, str> {
    const REFERENCES: [(&str, char); 8] = [
        ("&amp;", '&'),
        ("&lt;", '<'),
        ("&gt;", '>'),
        ("&apos;", '\''),
        ("&quot;", '"'),
        ("&#10;", '\n'),
        ("&#13;", '\r'),
        ("&#9;", '\t'),
    ];
    let Some(first) = s.find('&') else {
        return Cow::Borrowed(s);
    };
    let mut out = String::with_capacity(s.len());
    out.push_str(&s[..first]);
    let mut rest = &s[first..];
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some((reference, c)) = REFERENCES.iter().find(|(reference, _)| rest.starts_with(reference)) {
            out.push(*c);
            rest = &rest[reference.len()..];
        } else {
            out.push('&');
            rest = &rest[1..];
        }
    }
    out.push_str(rest);
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_survive() {
        let s = "a&b<c>d'e\"f\ng\rh\ti é";
        assert_eq!(escape_attr(s), "a&amp;b&lt;c&gt;d&apos;e\"f&#10;g&#13;h&#9;i é");
        assert_eq!(unescape(&escape_attr(s)), s);
        let mut out = Vec::new();
        escape_into(&mut out, s);
        assert_eq!(out, escape_attr(s).as_bytes());
        assert!(matches!(escape_attr("juliet@capulet.lit"), Cow::Borrowed(_)));
    }

    #[test]
    fn text_keeps_its_line_breaks() {
        let mut out = Vec::new();
        escape_text_into(&mut out, "a\n\t'\"]]>\r");
        assert_eq!(out, b"a\n\t'\"]]&gt;&#13;");
    }

    #[test]
    fn unknown_references_stay() {
        assert_eq!(unescape("&foo;&&amp;amp;"), "&foo;&&amp;");
    }
}
