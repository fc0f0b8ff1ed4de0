//! Writing stanzas: elements, whole stanzas, and templates that take their `to` last.
//!
//! Everything here writes the canonical bytes of [`crate::stanza`]: no prefixes, no `xmlns` on
//! elements of the stanza namespace, so that the same bytes can go into a stream of any content
//! namespace.

use bytes::Bytes;
use jid::Jid;

pub use crate::escape::{escape_attr, escape_into};
use crate::escape::{escape_into as attr_into, escape_text_into};
use crate::ns;
use crate::stanza::{Head, Kind};

/// A small element under construction.
///
/// Names and namespaces come from the program, values from anywhere: values are escaped, names are
/// not checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct El {
    name: Box<str>,
    ns: Option<Box<str>>,
    attrs: Vec<u8>,
    inner: Vec<u8>,
}

impl El {
    /// An element in the namespace of its parent: the stanza namespace at the top of a stanza.
    pub fn new(name: &str) -> Self {
        Self { name: name.into(), ns: None, attrs: Vec::with_capacity(96), inner: Vec::new() }
    }

    /// An element in namespace `ns`.
    pub fn ns(name: &str, ns: &str) -> Self {
        Self { ns: Some(ns.into()), ..Self::new(name) }
    }

    /// Adds an attribute. `name` may be `xml:lang`, but no other prefixed name.
    #[must_use]
    pub fn attr(mut self, name: &str, value: impl AsRef<str>) -> Self {
        push_attr(&mut self.attrs, name, value.as_ref());
        self
    }

    /// Adds an attribute if there is a value.
    #[must_use]
    pub fn attr_opt(self, name: &str, value: Option<impl AsRef<str>>) -> Self {
        match value {
            Some(value) => self.attr(name, value),
            None => self,
        }
    }

    /// Adds text. Characters that XML cannot carry (XML 1.0 section 2.2) are the caller's to avoid.
    #[must_use]
    pub fn text(mut self, text: &str) -> Self {
        escape_text_into(&mut self.inner, text);
        self
    }

    /// Adds a child.
    // By value like the rest of the builder: callers build the child in place.
    #[allow(clippy::needless_pass_by_value)]
    #[must_use]
    pub fn child(mut self, child: El) -> Self {
        let inherits = child.ns.is_some() && child.ns == self.ns;
        child.write(&mut self.inner, inherits);
        self
    }

    /// Adds the children that there are.
    #[must_use]
    pub fn children(self, children: impl IntoIterator<Item = El>) -> Self {
        children.into_iter().fold(self, El::child)
    }

    /// Adds canonical bytes as they are.
    #[must_use]
    pub fn raw(mut self, bytes: &[u8]) -> Self {
        self.inner.extend_from_slice(bytes);
        self
    }

    /// The canonical bytes.
    pub fn to_bytes(&self) -> Bytes {
        let mut out = Vec::with_capacity(self.len());
        self.write(&mut out, false);
        out.into()
    }

    /// Name and namespace; `None` stands for the stanza namespace.
    pub(crate) fn name(&self) -> (&str, Option<&str>) {
        (&self.name, self.ns.as_deref())
    }

    /// An upper bound of the bytes that [`Self::write`] appends.
    pub(crate) fn len(&self) -> usize {
        let ns = self.ns.as_ref().map_or(0, |ns| ns.len() + 9);
        2 * self.name.len() + 5 + ns + self.attrs.len() + self.inner.len()
    }

    /// Appends the element as a child of a stanza.
    pub(crate) fn write_top(&self, out: &mut Vec<u8>) {
        let stanza_ns = self.ns.as_deref().is_some_and(|own| ns::STANZA_NAMESPACES.contains(&own));
        self.write(out, stanza_ns);
    }

    fn write(&self, out: &mut Vec<u8>, inherits: bool) {
        out.push(b'<');
        out.extend_from_slice(self.name.as_bytes());
        if let (Some(ns), false) = (&self.ns, inherits) {
            push_attr(out, "xmlns", ns);
        }
        out.extend_from_slice(&self.attrs);
        if self.inner.is_empty() {
            out.extend_from_slice(b"/>");
        } else {
            out.push(b'>');
            out.extend_from_slice(&self.inner);
            close(out, &self.name);
        }
    }
}

fn push_attr(out: &mut Vec<u8>, name: &str, value: &str) {
    out.push(b' ');
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"='");
    attr_into(out, value);
    out.push(b'\'');
}

fn close(out: &mut Vec<u8>, name: &str) {
    out.extend_from_slice(b"</");
    out.extend_from_slice(name.as_bytes());
    out.push(b'>');
}

/// One whole stanza without `to`, made once and sent to many: `to` is spliced in while the link
/// writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// The stanza.
    pub bytes: Bytes,
    /// Where ` to='…'` goes.
    pub at: usize,
}

impl Template {
    /// Appends the stanza for one recipient. `to_escaped` is a JID as [`escape_attr`] leaves it.
    pub fn splice(&self, to_escaped: &[u8], out: &mut Vec<u8>) {
        let (head, tail) = self.bytes.split_at(self.at);
        out.reserve(self.bytes.len() + to_escaped.len() + 6);
        out.extend_from_slice(head);
        out.extend_from_slice(b" to='");
        out.extend_from_slice(to_escaped);
        out.push(b'\'');
        out.extend_from_slice(tail);
    }

    /// The stanza for one recipient.
    pub fn to(&self, to: &Jid) -> Bytes {
        let mut out = Vec::new();
        self.splice(escape_attr(to.as_str()).as_bytes(), &mut out);
        out.into()
    }

    /// The stanza without a `to`.
    pub fn untargeted(&self) -> &Bytes {
        &self.bytes
    }

    /// Bytes of the stanza without `to`.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Never: a stanza has at least a name.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

/// Writes one stanza, into one buffer. `from` comes first, wherever it is called; the other attributes come in the
/// order of the calls, each at most once, and before all children.
#[derive(Debug, Clone)]
pub struct StanzaWriter {
    kind: Kind,
    out: Vec<u8>,
    /// Where ` to='…'` goes.
    at: usize,
    /// Where the attributes end.
    tag: usize,
}

impl StanzaWriter {
    /// An empty stanza.
    pub fn new(kind: Kind) -> Self {
        let name = kind.as_str();
        // Most stanzas fit.
        let mut out = Vec::with_capacity(512);
        out.push(b'<');
        out.extend_from_slice(name.as_bytes());
        let at = out.len();
        Self { kind, out, at, tag: at }
    }

    /// A stanza with the `type`, `id` and `lang` of `head`, but its own `from`.
    pub fn like(head: &Head) -> Self {
        Self::new(head.kind).type_(head.type_.as_deref()).id(head.id.as_deref()).lang(head.lang.as_deref())
    }

    /// Sets `from`, not escaped yet.
    #[must_use]
    pub fn from(self, from: impl AsRef<str>) -> Self {
        self.from_parts(from.as_ref(), None)
    }

    /// Sets `from` to a JID in two parts, not escaped yet: the bare one and its resource.
    #[must_use]
    pub fn from_parts(mut self, bare: &str, resource: Option<&str>) -> Self {
        let rest = self.out.split_off(self.at);
        let begin = self.at;
        self.out.extend_from_slice(b" from='");
        attr_into(&mut self.out, bare);
        if let Some(resource) = resource {
            self.out.push(b'/');
            attr_into(&mut self.out, resource);
        }
        self.out.push(b'\'');
        self.at = self.out.len();
        self.tag += self.at - begin;
        self.out.extend_from_slice(&rest);
        self
    }

    /// Adds `type`, if there is one.
    #[must_use]
    pub fn type_(self, type_: Option<&str>) -> Self {
        self.attr("type", type_)
    }

    /// Adds `id`, if there is one.
    #[must_use]
    pub fn id(self, id: Option<&str>) -> Self {
        self.attr("id", id)
    }

    /// Adds `xml:lang`, if there is one.
    #[must_use]
    pub fn lang(self, lang: Option<&str>) -> Self {
        self.attr("xml:lang", lang)
    }

    fn attr(mut self, name: &str, value: Option<&str>) -> Self {
        debug_assert_eq!(self.tag, self.out.len(), "{name} comes before all children");
        if let Some(value) = value {
            push_attr(&mut self.out, name, value);
            self.tag = self.out.len();
        }
        self
    }

    /// Where children go.
    fn inner(&mut self) -> &mut Vec<u8> {
        if self.tag == self.out.len() {
            self.out.push(b'>');
        }
        &mut self.out
    }

    /// Adds canonical bytes as they are.
    #[must_use]
    pub fn raw(mut self, bytes: &[u8]) -> Self {
        if !bytes.is_empty() {
            self.inner().extend_from_slice(bytes);
        }
        self
    }

    /// Adds an empty child of another namespace, without the pieces of an [`El`]: for what goes with every message.
    #[must_use]
    pub fn leaf(mut self, name: &str, ns: &str, attrs: &[(&str, &str)]) -> Self {
        let inner = self.inner();
        inner.push(b'<');
        inner.extend_from_slice(name.as_bytes());
        push_attr(inner, "xmlns", ns);
        for (name, value) in attrs {
            push_attr(inner, name, value);
        }
        inner.extend_from_slice(b"/>");
        self
    }

    /// Adds a child.
    // By value, like `El::child`.
    #[allow(clippy::needless_pass_by_value)]
    #[must_use]
    pub fn el(mut self, el: El) -> Self {
        el.write_top(self.inner());
        self
    }

    /// The stanza.
    pub fn finish(mut self) -> Template {
        if self.tag == self.out.len() {
            self.out.extend_from_slice(b"/>");
        } else {
            close(&mut self.out, self.kind.as_str());
        }
        // Many of them wait in queues, so none keeps room that it does not need.
        self.out.shrink_to_fit();
        Template { bytes: self.out.into(), at: self.at }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements() {
        let x = El::ns("x", ns::MUC_USER)
            .child(El::ns("item", ns::MUC_USER).attr("affiliation", "none").attr_opt("jid", None::<&str>))
            .child(El::new("status").attr("code", "110"))
            .child(El::ns("reason", "urn:x").text("<'&'>\n"));
        assert_eq!(
            &*x.to_bytes(),
            b"<x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='none'/>\
              <status code='110'/><reason xmlns='urn:x'>&lt;'&amp;'&gt;\n</reason></x>"
        );
    }

    #[test]
    fn a_template_takes_its_recipient_last() {
        let template = StanzaWriter::new(Kind::Message)
            .type_(Some("groupchat"))
            .id(Some("1'2"))
            .lang(Some("en"))
            .el(El::new("body").text("hi"))
            .from("room@conf.lit/thirdwitch")
            .raw(b"<x xmlns='u'/>")
            .finish();
        let to = Jid::new("dartagnan@gascon.lit/d'a").unwrap();
        assert_eq!(
            template.to(&to),
            "<message from='room@conf.lit/thirdwitch' to='dartagnan@gascon.lit/d&apos;a' type='groupchat' \
             id='1&apos;2' xml:lang='en'><body>hi</body><x xmlns='u'/></message>"
        );
        assert_eq!(template.untargeted().len(), template.len());
        assert_eq!(
            StanzaWriter::new(Kind::Presence).finish().to(&to),
            "<presence to='dartagnan@gascon.lit/d&apos;a'/>"
        );
    }

    #[test]
    fn the_stanza_namespace_is_never_written_at_the_top() {
        let template = StanzaWriter::new(Kind::Message).el(El::ns("body", ns::CLIENT).text("x")).finish();
        assert_eq!(template.untargeted(), "<message><body>x</body></message>");
        let inner = El::ns("forwarded", ns::FORWARD).child(El::ns("message", ns::CLIENT));
        assert_eq!(
            inner.to_bytes(),
            "<forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client'/></forwarded>"
        );
    }
}
