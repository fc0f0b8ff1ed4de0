//! Writes canonical bytes (`crate::stanza`) while a stanza is parsed.

use bytes::Bytes;

use crate::codec::StreamFault;
use crate::escape::{escape_into, escape_text_into};
use crate::names::{Ns, Scopes};
use crate::ns;
use crate::stanza::{Child, Content, position};
use crate::tag::Tag;
use crate::xml::not_well_formed;

/// What an open element has to be remembered for.
#[derive(Clone, Copy)]
struct Open {
    /// Its namespace; `None` is the stanza namespace.
    ns: Option<Ns>,
    /// Where its name stands in `out`.
    name_at: usize,
    name_len: usize,
}

/// Canonical bytes under construction.
#[derive(Default)]
pub(crate) struct Canon {
    out: Vec<u8>,
    index: Vec<Child>,
    open: Vec<Open>,
    /// The last start tag still lacks its `>`.
    tag_open: bool,
    /// The namespaces of the prefixed attributes of one element, by number of their prefix.
    prefixes: Vec<Ns>,
    /// The namespaces of the attributes of one element.
    spaces: Vec<Option<Ns>>,
}

impl Canon {
    /// Bytes kept for the next stanza.
    const KEPT: usize = 16 * 1024;

    /// Bytes written.
    pub fn len(&self) -> usize {
        self.out.len()
    }

    /// A start tag whose name and attributes are all there.
    pub fn start(&mut self, tag: &Tag, ns: Ns, scopes: &Scopes) -> Result<(), StreamFault> {
        self.check(tag, scopes)?;
        let name = tag.name();
        self.end_tag();
        let chained = self.open.last().is_none_or(|parent| parent.ns.is_none())
            && ns::STANZA_NAMESPACES.contains(&scopes.name(ns));
        let start = self.out.len();
        self.out.push(b'<');
        self.out.extend_from_slice(name.as_bytes());
        let mut ns_len = Child::STANZA_NS;
        if !chained {
            let inherits = self.open.last().and_then(|open| open.ns).is_some_and(|parent| scopes.same(parent, ns));
            if !inherits {
                self.out.extend_from_slice(b" xmlns='");
                let from = self.out.len();
                escape_into(&mut self.out, scopes.name(ns));
                ns_len = position(self.out.len() - from);
                self.out.push(b'\'');
            }
        }
        if self.open.is_empty() {
            self.index.push(Child { start: position(start), end: 0, name: position(name.len()), ns: ns_len });
        }
        self.open.push(Open { ns: (!chained).then_some(ns), name_at: start + 1, name_len: name.len() });
        self.attrs(tag, scopes);
        self.tag_open = true;
        Ok(())
    }

    /// Resolves the prefixes of the attributes of one element, and sees that none is there twice
    /// (Namespaces in XML 1.0 section 6.3).
    pub fn check(&mut self, tag: &Tag, scopes: &Scopes) -> Result<(), StreamFault> {
        self.spaces.clear();
        for attr in tag.attrs() {
            let ns = attr.prefix.map(|prefix| scopes.resolve(Some(prefix))).transpose()?;
            let twice = tag.attrs().zip(&self.spaces).any(|(other, space)| {
                other.name == attr.name
                    && match (*space, ns) {
                        (Some(a), Some(b)) => scopes.same(a, b),
                        (a, b) => a.is_none() && b.is_none(),
                    }
            });
            if twice {
                return Err(not_well_formed("duplicate attribute"));
            }
            self.spaces.push(ns);
        }
        Ok(())
    }

    fn attrs(&mut self, tag: &Tag, scopes: &Scopes) {
        self.prefixes.clear();
        for (at, attr) in tag.attrs().enumerate() {
            self.out.push(b' ');
            match self.spaces.get(at).copied().flatten() {
                None => {}
                Some(Ns::Xml) => self.out.extend_from_slice(b"xml:"),
                Some(ns) => self.prefix(ns, scopes),
            }
            self.out.extend_from_slice(attr.name.as_bytes());
            self.out.extend_from_slice(b"='");
            escape_into(&mut self.out, attr.value);
            self.out.push(b'\'');
        }
    }

    /// Writes the prefix for `ns`, and before its first use on this element its declaration.
    fn prefix(&mut self, ns: Ns, scopes: &Scopes) {
        let known = self.prefixes.iter().position(|known| scopes.same(*known, ns));
        let prefix = format!("n{}", known.unwrap_or(self.prefixes.len()));
        if known.is_none() {
            self.prefixes.push(ns);
            self.out.extend_from_slice(b"xmlns:");
            self.out.extend_from_slice(prefix.as_bytes());
            self.out.extend_from_slice(b"='");
            escape_into(&mut self.out, scopes.name(ns));
            self.out.extend_from_slice(b"' ");
        }
        self.out.extend_from_slice(prefix.as_bytes());
        self.out.push(b':');
    }

    /// A piece of text. Outside the top-level elements it is dropped.
    pub fn text(&mut self, text: &str) {
        if !self.open.is_empty() {
            self.end_tag();
            escape_text_into(&mut self.out, text);
        }
    }

    /// An end tag.
    pub fn end(&mut self) {
        let Some(open) = self.open.pop() else {
            return;
        };
        if std::mem::take(&mut self.tag_open) {
            self.out.extend_from_slice(b"/>");
        } else {
            self.out.extend_from_slice(b"</");
            self.out.extend_from_within(open.name_at..open.name_at + open.name_len);
            self.out.push(b'>');
        }
        if let (true, Some(child)) = (self.open.is_empty(), self.index.last_mut()) {
            child.end = position(self.out.len());
        }
    }

    fn end_tag(&mut self) {
        if std::mem::take(&mut self.tag_open) {
            self.out.push(b'>');
        }
    }

    /// The content. Starts anew.
    pub fn finish(&mut self) -> Content {
        // Copied, so that what is kept for long has no slack.
        let content = Content::from_parts(Bytes::copy_from_slice(&self.out), &self.index);
        self.clear();
        content
    }

    /// Forgets what was written.
    pub fn clear(&mut self) {
        self.out.clear();
        self.out.shrink_to(Self::KEPT);
        self.index.clear();
        self.index.shrink_to(Self::KEPT / size_of::<Child>());
        self.open.clear();
        self.tag_open = false;
    }
}
