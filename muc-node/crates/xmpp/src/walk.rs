//! A walk over canonical bytes.
//!
//! Canonical bytes are a small subset of XML (`crate::stanza` says which), written by this crate
//! only: a `<` or `>` is always markup, so no parser is needed to find one's way in them.

/// One step of the walk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step<'a> {
    /// A start tag. `at` is where its `<` stands.
    Start { tag: Tag<'a>, at: usize },
    /// Text, still escaped.
    Text(&'a str),
    /// An end tag, or the end of an empty element. `end` is the first position behind it.
    End { end: usize },
}

/// What stands between `<` and `>` (or `/>`) of a start tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tag<'a> {
    pub name: &'a str,
    /// The attributes, with the space before each.
    pub attrs: &'a str,
}

impl<'a> Tag<'a> {
    /// The start tag that `bytes` begin with. Looks at nothing behind it.
    pub fn first(bytes: &'a [u8]) -> Option<Self> {
        let end = bytes.iter().position(|byte| *byte == b'>')?;
        match Walk::new(&bytes[..=end]).next() {
            Some(Step::Start { tag, .. }) => Some(tag),
            _ => None,
        }
    }

    /// The attributes in order, values still escaped.
    pub fn attrs(self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let mut rest = self.attrs;
        std::iter::from_fn(move || {
            let (name, behind) = rest.trim_start_matches(' ').split_once("='")?;
            let (value, behind) = behind.split_once('\'')?;
            rest = behind;
            Some((name, value))
        })
    }

    /// The namespace declared on this element, still escaped.
    pub fn xmlns(self) -> Option<&'a str> {
        // Canonical bytes have it right behind the name.
        self.attrs.strip_prefix(" xmlns='")?.split_once('\'').map(|(ns, _)| ns)
    }
}

/// The steps through `bytes`.
#[derive(Debug, Clone)]
pub(crate) struct Walk<'a> {
    s: &'a str,
    at: usize,
    /// The tag just seen was `<x/>`: its end comes next.
    empty: bool,
}

impl<'a> Walk<'a> {
    /// A walk over canonical bytes; over nothing if they are not even UTF-8.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { s: std::str::from_utf8(bytes).unwrap_or_default(), at: 0, empty: false }
    }

    /// Skips to the end of the element whose start tag was the last step.
    /// Returns the first position behind it.
    pub fn leave(&mut self) -> usize {
        let mut depth = 1_usize;
        for step in &mut *self {
            match step {
                Step::Start { .. } => depth += 1,
                Step::Text(_) => {}
                Step::End { end } => {
                    depth -= 1;
                    if depth == 0 {
                        return end;
                    }
                }
            }
        }
        self.s.len()
    }
}

impl<'a> Iterator for Walk<'a> {
    type Item = Step<'a>;

    fn next(&mut self) -> Option<Step<'a>> {
        if std::mem::take(&mut self.empty) {
            return Some(Step::End { end: self.at });
        }
        let at = self.at;
        let rest = self.s.get(at..)?;
        let Some(markup) = rest.strip_prefix('<') else {
            if rest.is_empty() {
                return None;
            }
            let end = rest.find('<').unwrap_or(rest.len());
            self.at += end;
            return Some(Step::Text(&rest[..end]));
        };
        let close = markup.find('>').unwrap_or(markup.len());
        self.at = (at + close + 2).min(self.s.len());
        let inside = &markup[..close];
        if inside.starts_with('/') {
            return Some(Step::End { end: self.at });
        }
        let inside = match inside.strip_suffix('/') {
            Some(inside) => {
                self.empty = true;
                inside
            }
            None => inside,
        };
        let name = inside.find(' ').unwrap_or(inside.len());
        Some(Step::Start { tag: Tag { name: &inside[..name], attrs: &inside[name..] }, at })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn walks() {
        let mut walk = Walk::new(b"<a xmlns='u:x/' b='c'>t<d/></a><e/>");
        let Some(Step::Start { tag, at: 0 }) = walk.next() else { panic!() };
        assert_eq!((tag.name, tag.xmlns()), ("a", Some("u:x/")));
        assert_eq!(tag.attrs().collect::<Vec<_>>(), [("xmlns", "u:x/"), ("b", "c")]);
        assert_eq!(walk.next(), Some(Step::Text("t")));
        assert!(matches!(walk.next(), Some(Step::Start { at: 23, .. })));
        assert_eq!(walk.next(), Some(Step::End { end: 27 }));
        assert_eq!(walk.leave(), 31);
        assert!(matches!(walk.next(), Some(Step::Start { at: 31, .. })));
        assert_eq!(walk.next(), Some(Step::End { end: 35 }));
        assert_eq!(walk.next(), None);
    }

    #[test]
    fn rubbish_ends() {
        for rubbish in [&b"<"[..], b"<a", b"</", b"<a b='", b"\xff", b">", b"<a/", b"<>"] {
            assert!(Walk::new(rubbish).count() < 4);
        }
    }
}
