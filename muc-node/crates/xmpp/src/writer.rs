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

/// Writes one stanza. The attributes come out in the order `from`, (`to`), `type`, `id`,
/// `xml:lang`, whatever the order of the calls.
#[derive(Debug, Clone)]
pub struct StanzaWriter {
    kind: Kind,
    from: Vec<u8>,
    type_: Vec<u8>,
    id: Vec<u8>,
    lang: Vec<u8>,
    inner: Vec<u8>,
}

impl StanzaWriter {
    /// An empty stanza.
    pub fn new(kind: Kind) -> Self {
        Self {
            kind,
            from: Vec::new(),
            type_: Vec::new(),
            id: Vec::new(),
            lang: Vec::new(), // Most stanzas fit.
            inner: Vec::with_capacity(512),
        }
    }

    /// A stanza with the `type`, `id` and `lang` of `head`, but its own `from`.
    pub fn like(head: &Head) -> Self {
        Self::new(head.kind).type_(head.type_.as_deref()).id(head.id.as_deref()).lang(head.lang.as_deref())
    }

    /// Sets `from`, not escaped yet.
    #[must_use]
    pub fn from(mut self, from: impl AsRef<str>) -> Self {
        set_attr(&mut self.from, "from", Some(from.as_ref()));
        self
    }

    /// Sets or clears `type`.
    #[must_use]
    pub fn type_(mut self, type_: Option<&str>) -> Self {
        set_attr(&mut self.type_, "type", type_);
        self
    }

    /// Sets or clears `id`.
    #[must_use]
    pub fn id(mut self, id: Option<&str>) -> Self {
        set_attr(&mut self.id, "id", id);
        self
    }

    /// Sets or clears `xml:lang`.
    #[must_use]
    pub fn lang(mut self, lang: Option<&str>) -> Self {
        set_attr(&mut self.lang, "xml:lang", lang);
        self
    }

    /// Adds canonical bytes as they are.
    #[must_use]
    pub fn raw(mut self, bytes: &[u8]) -> Self {
        self.inner.extend_from_slice(bytes);
        self
    }

    /// Adds an empty child of another namespace, without the pieces of an [`El`]: for what goes with every message.
    #[must_use]
    pub fn leaf(mut self, name: &str, ns: &str, attrs: &[(&str, &str)]) -> Self {
        self.inner.push(b'<');
        self.inner.extend_from_slice(name.as_bytes());
        push_attr(&mut self.inner, "xmlns", ns);
        for (name, value) in attrs {
            push_attr(&mut self.inner, name, value);
        }
        self.inner.extend_from_slice(b"/>");
        self
    }

    /// Adds a child.
    // By value, like `El::child`.
    #[allow(clippy::needless_pass_by_value)]
    #[must_use]
    pub fn el(mut self, el: El) -> Self {
        el.write_top(&mut self.inner);
        self
    }

    /// The stanza.
    pub fn finish(self) -> Template {
        let name = self.kind.as_str();
        let attrs = [&self.type_, &self.id, &self.lang];
        let mut out = Vec::with_capacity(
            2 * name.len() + 5 + self.from.len() + attrs.iter().map(|a| a.len()).sum::<usize>() + self.inner.len(),
        );
        out.push(b'<');
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(&self.from);
        let at = out.len();
        for attr in attrs {
            out.extend_from_slice(attr);
        }
        if self.inner.is_empty() {
            out.extend_from_slice(b"/>");
        } else {
            out.push(b'>');
            out.extend_from_slice(&self.inner);
            close(&mut out, name);
        }
        Template { bytes: out.into(), at }
    }
}

fn set_attr(slot: &mut Vec<u8>, name: &str, value: Option<&str>) {
    slot.clear();
    if let Some(value) = value {
        slot.reserve(name.len() + value.len() + 4);
        push_attr(slot, name, value);
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
            .id(Some("1'2"))
            .lang(Some("en"))
            .type_(Some("groupchat"))
            .from("room@conf.lit/thirdwitch")
            .el(El::new("body").text("hi"))
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
