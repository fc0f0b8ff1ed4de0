//! A stanza: its head, and the canonical bytes of its children.
//!
//! **Canonical bytes** are the children of a stanza, one after the other, in the one form that
//! Warren keeps, stores and sends:
//!
//! - Elements of the stanza namespace (an unbroken chain of them from the stanza down, such as
//!   `body` or `error`) have no `xmlns`: they inherit whatever content namespace the outgoing stream
//!   has. Directly under a stanza the three names of [`ns::STANZA_NAMESPACES`] mean this namespace.
//! - Every other element has `xmlns='…'`, right behind its name, exactly where its namespace differs
//!   from its parent's. Inside such an element `jabber:client` is a namespace like any other and
//!   written (XEP-0297 needs it).
//! - Element names have no prefix. An attribute of a foreign namespace has a prefix (`n0`, `n1`, …)
//!   declared on its element right before it; `xml:lang` is literal.
//! - Attributes are in single quotes, one space before each; an element without content is `<x/>`;
//!   `& < >` are escaped everywhere, `'` and line breaks and tabs in attributes, a carriage return
//!   in text. So `<` and `>` are always markup.
//! - There is no text outside the top-level elements.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use jid::Jid;
use minidom::Element;

use crate::escape::unescape;
use crate::ns;
use crate::tree;
use crate::walk::{Step, Tag, Walk};
use crate::writer::{El, StanzaWriter};

/// The three kinds of stanzas (RFC 6120 section 8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// One-way, possibly with a body.
    Message,
    /// Broadcast of availability.
    Presence,
    /// Request and answer.
    Iq,
}

impl Kind {
    /// The name of the element.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::Presence => "presence",
            Self::Iq => "iq",
        }
    }

    /// Reads the name of the element.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Message, Self::Presence, Self::Iq].into_iter().find(|kind| kind.as_str() == name)
    }
}

/// The attributes of a stanza that have a meaning (RFC 6120 section 8.1). Others are not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Message, presence or IQ.
    pub kind: Kind,
    /// The sender.
    pub from: Option<Jid>,
    /// The recipient.
    pub to: Option<Jid>,
    /// The sender's id, any string.
    pub id: Option<Box<str>>,
    /// The type as it came; unknown types are the reader's to judge.
    pub type_: Option<Box<str>>,
    /// `xml:lang` of the stanza itself; a stream's default is not copied here.
    pub lang: Option<Box<str>>,
}

impl Head {
    /// A head without any attribute.
    pub fn new(kind: Kind) -> Self {
        Self { kind, from: None, to: None, id: None, type_: None, lang: None }
    }
}

/// One stanza.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stanza {
    /// Kind and attributes.
    pub head: Head,
    /// The children.
    pub content: Content,
}

impl Stanza {
    /// Reads one stanza from text, under the limits of [`Content::parse`]. Without an `xmlns` it is
    /// in the stanza namespace.
    pub fn parse(xml: &[u8]) -> Result<Self, ParseError> {
        crate::fragment::stanza(xml)
    }

    /// The whole stanza, ready to be sent.
    pub fn to_bytes(&self) -> Bytes {
        let mut writer = StanzaWriter::like(&self.head).raw(self.content.bytes());
        if let Some(from) = &self.head.from {
            writer = writer.from(from.as_str());
        }
        let template = writer.finish();
        match &self.head.to {
            Some(to) => template.to(to),
            None => template.bytes,
        }
    }
}

/// Why text is not the content of a stanza.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// Not well-formed, or with something that XMPP forbids (RFC 6120 section 11.1).
    #[error("not the XML of a stanza: {0}")]
    Xml(String),
    /// Beyond a limit.
    #[error("beyond a limit: {0}")]
    Refused(crate::limits::Refusal),
    /// A whole stanza was asked for, and this is none.
    #[error("not a message, presence or iq")]
    NoStanza,
}

/// Where a top-level child stands in the canonical bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Child {
    /// Position of its `<`.
    pub start: u32,
    /// First position behind it.
    pub end: u32,
    /// Length of its name, which follows the `<`.
    pub name: u32,
    /// Length of its namespace as written, which stands behind name and ` xmlns='`;
    /// [`Child::STANZA_NS`] if it is in the stanza namespace.
    pub ns: u32,
}

impl Child {
    /// The value of `ns` for the stanza namespace.
    pub const STANZA_NS: u32 = u32::MAX;
    /// Bytes of ` xmlns='`.
    const XMLNS: usize = 8;

    fn view<'a>(&self, bytes: &'a [u8]) -> ChildRef<'a> {
        let part = |from: usize, len: usize| {
            bytes.get(from..from + len).and_then(|part| std::str::from_utf8(part).ok()).unwrap_or_default()
        };
        let name = self.start as usize + 1;
        ChildRef {
            name: part(name, self.name as usize),
            ns: match self.ns {
                Self::STANZA_NS => ns::CLIENT,
                len => part(name + self.name as usize + Self::XMLNS, len as usize),
            },
            bytes: bytes.get(self.start as usize..self.end as usize).unwrap_or_default(),
        }
    }
}

/// A position as it is kept. Content is limited to far below 4 GiB wherever it comes from.
pub(crate) fn position(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

/// The children of a stanza. Cheap to clone.
#[derive(Clone)]
pub struct Content {
    bytes: Bytes,
    // None is no children: an empty stanza has no allocation.
    index: Option<Arc<[Child]>>,
}

impl Content {
    /// No children.
    pub const fn empty() -> Self {
        Self { bytes: Bytes::new(), index: None }
    }

    /// Reads canonical bytes, or any XML fragment whose default namespace is the stanza namespace.
    ///
    /// Holds [`Limits::outgoing`](crate::limits::Limits::outgoing), as whatever is parsed here may be sent.
    pub fn parse(xml: &[u8]) -> Result<Self, ParseError> {
        crate::fragment::content(xml)
    }

    pub(crate) fn from_parts(bytes: Bytes, index: &[Child]) -> Self {
        Self { bytes, index: (!index.is_empty()).then(|| index.into()) }
    }

    fn index(&self) -> &[Child] {
        self.index.as_deref().unwrap_or_default()
    }

    /// The canonical bytes.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Whether there are no children.
    pub fn is_empty(&self) -> bool {
        self.index.is_none()
    }

    /// The number of children.
    pub fn len(&self) -> usize {
        self.index().len()
    }

    /// The children in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = ChildRef<'_>> + ExactSizeIterator {
        self.index().iter().map(|child| child.view(&self.bytes))
    }

    /// The first child of this name and namespace ([`ns::CLIENT`] for the stanza namespace).
    pub fn find(&self, name: &str, ns: &str) -> Option<ChildRef<'_>> {
        self.iter().find(|child| child.name == name && child.ns == ns)
    }

    /// Whether there is a child of this name and namespace.
    pub fn has(&self, name: &str, ns: &str) -> bool {
        self.find(name, ns).is_some()
    }

    /// Whether there is a child of this namespace.
    pub fn has_ns(&self, ns: &str) -> bool {
        self.iter().any(|child| child.ns == ns)
    }

    /// The children that `keep` wants. Copies nothing when that is all of them.
    #[must_use]
    pub fn filter(&self, mut keep: impl FnMut(&ChildRef<'_>) -> bool) -> Self {
        let Some(first) = self.iter().position(|child| !keep(&child)) else {
            return self.clone();
        };
        let mut builder = Builder::default();
        for (child, at) in self.iter().zip(self.index()).take(first) {
            builder.copy(child.bytes, at);
        }
        for (child, at) in self.iter().zip(self.index()).skip(first + 1) {
            if keep(&child) {
                builder.copy(child.bytes, at);
            }
        }
        builder.finish()
    }

    /// Adds a child behind the others.
    // By value: callers build the element in place.
    #[allow(clippy::needless_pass_by_value)]
    pub fn push(&mut self, el: El) {
        let index = self.index.take();
        let mut builder = Builder {
            // Copies only what others still hold.
            bytes: std::mem::take(&mut self.bytes).into(),
            index: index.as_deref().unwrap_or_default().to_vec(),
        };
        builder.push(&el);
        *self = builder.finish();
    }

    /// The same with one more child behind the others.
    #[must_use]
    pub fn with(mut self, el: El) -> Self {
        self.push(el);
        self
    }

    /// These children, then those of `other`.
    #[must_use]
    pub fn concat(&self, other: &Self) -> Self {
        if other.is_empty() {
            return self.clone();
        }
        if self.is_empty() {
            return other.clone();
        }
        let mut builder =
            Builder { bytes: Vec::with_capacity(self.bytes.len() + other.bytes.len()), index: Vec::new() };
        for content in [self, other] {
            for (child, at) in content.iter().zip(content.index()) {
                builder.copy(child.bytes, at);
            }
        }
        builder.finish()
    }
}

impl Default for Content {
    fn default() -> Self {
        Self::empty()
    }
}

// The index follows from the bytes.
impl PartialEq for Content {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for Content {}

impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Content({})", String::from_utf8_lossy(&self.bytes))
    }
}

impl FromIterator<El> for Content {
    fn from_iter<I: IntoIterator<Item = El>>(els: I) -> Self {
        let mut builder = Builder::default();
        for el in els {
            builder.push(&el);
        }
        builder.finish()
    }
}

/// Content under construction.
#[derive(Default)]
struct Builder {
    bytes: Vec<u8>,
    index: Vec<Child>,
}

impl Builder {
    fn push(&mut self, el: &El) {
        let start = self.bytes.len();
        self.bytes.reserve_exact(el.len());
        el.write_top(&mut self.bytes);
        let (name, ns) = el.name();
        let ns = match ns {
            Some(ns) if !ns::STANZA_NAMESPACES.contains(&ns) => position(crate::escape::escape_attr(ns).len()),
            _ => Child::STANZA_NS,
        };
        self.index.push(Child {
            start: position(start),
            end: position(self.bytes.len()),
            name: position(name.len()),
            ns,
        });
    }

    fn copy(&mut self, bytes: &[u8], at: &Child) {
        let start = position(self.bytes.len());
        self.bytes.extend_from_slice(bytes);
        self.index.push(Child { start, end: start + (at.end - at.start), ..*at });
    }

    fn finish(self) -> Content {
        Content::from_parts(self.bytes.into(), &self.index)
    }
}

/// A view of one top-level child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChildRef<'a> {
    /// The local name.
    pub name: &'a str,
    /// The namespace; [`ns::CLIENT`] for the stanza namespace. One with `& < > '` in its name (none
    /// is known) stands here escaped.
    pub ns: &'a str,
    /// Its canonical bytes.
    pub bytes: &'a [u8],
}

impl<'a> ChildRef<'a> {
    /// Whether it has this name and namespace.
    pub fn is(&self, name: &str, ns: &str) -> bool {
        self.name == name && self.ns == ns
    }

    /// The attribute `name` of this element itself. `xml:lang` is the only prefixed name to ask for.
    pub fn attr(&self, name: &str) -> Option<Cow<'a, str>> {
        let (_, value) = Tag::first(self.bytes)?.attrs().find(|(known, _)| *known == name)?;
        Some(unescape(value))
    }

    /// The text of this element itself, without that of its children.
    pub fn text(&self) -> String {
        let mut walk = Walk::new(self.bytes);
        let mut text = String::new();
        walk.next();
        while let Some(step) = walk.next() {
            match step {
                Step::Text(part) => text.push_str(&unescape(part)),
                Step::Start { .. } => {
                    walk.leave();
                }
                Step::End { .. } => break,
            }
        }
        text
    }

    /// The element as a tree, for payload types. Elements of the stanza namespace are in
    /// `jabber:client`.
    ///
    /// Levels below [`Limits::MAX_DEPTH`](crate::limits::Limits::MAX_DEPTH), which no content from
    /// outside has, are left out.
    pub fn element(&self) -> Element {
        tree::element(self.bytes)
    }

    /// The child elements as content of their own: each keeps its namespace.
    pub fn children(&self) -> Content {
        // The namespace that children without `xmlns` inherit.
        let inherited = Tag::first(self.bytes).and_then(Tag::xmlns);
        let mut walk = Walk::new(self.bytes);
        let mut builder = Builder::default();
        walk.next();
        while let Some(step) = walk.next() {
            let Step::Start { tag, at } = step else {
                if matches!(step, Step::End { .. }) {
                    break;
                }
                continue;
            };
            let declared = tag.xmlns();
            let end = walk.leave();
            let after_name = at + 1 + tag.name.len();
            let ns = declared.or(inherited).filter(|ns| !ns::STANZA_NAMESPACES.contains(ns));
            let after_ns = after_name + declared.map_or(0, |ns| ns.len() + Child::XMLNS + 1);
            let start = position(builder.bytes.len());
            let out = &mut builder.bytes;
            out.extend_from_slice(&self.bytes[at..after_name]);
            if let Some(ns) = ns {
                out.extend_from_slice(b" xmlns='");
                out.extend_from_slice(ns.as_bytes());
                out.push(b'\'');
            }
            out.extend_from_slice(&self.bytes[after_ns..end]);
            builder.index.push(Child {
                start,
                end: position(builder.bytes.len()),
                name: position(tag.name.len()),
                ns: ns.map_or(Child::STANZA_NS, |ns| position(ns.len())),
            });
        }
        builder.finish()
    }
}
