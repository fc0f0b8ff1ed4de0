//! Properties of canonical bytes, over random trees written in random ways.
#![allow(clippy::unwrap_used)] // helpers of tests

use std::borrow::Cow;
use std::fmt::Write;

use minidom::Element;
use proptest::prelude::*;
use warren_xmpp::{Content, Decoder, El, Event, Limits, escape_attr, ns};

/// A tree, and how it is written.
#[derive(Debug, Clone)]
struct Tree {
    name: &'static str,
    ns: usize,
    /// By prefix instead of `xmlns`.
    prefixed: bool,
    /// Name, namespace (0: none), value.
    attrs: Vec<(&'static str, usize, String)>,
    children: Vec<Node>,
}

#[derive(Debug, Clone)]
enum Node {
    Tree(Tree),
    Text(String),
    Cdata(String),
}

/// The first is that of the stanza.
const NAMESPACES: [&str; 5] = [ns::CLIENT, "u:1", "u:'&2<", "", "u:3"];
const NAMES: [&str; 5] = ["a", "body", "é", "message", "xmlns"];

fn text() -> impl Strategy<Value = String> {
    "[a-z<>&'\"\\]\r\n\t é\u{1f600}]{0,6}"
}

/// An element without children.
fn leaf() -> impl Strategy<Value = Tree> {
    let attrs = prop::collection::btree_map((prop::sample::select(&["a", "b", "to"][..]), 0..4_usize), text(), 0..4);
    (prop::sample::select(&NAMES[..]), 0..NAMESPACES.len(), any::<bool>(), attrs).prop_map(
        |(name, ns, prefixed, attrs)| Tree {
            name,
            ns,
            // No prefix can stand for no namespace.
            prefixed: prefixed && !NAMESPACES[ns].is_empty(),
            attrs: attrs.into_iter().map(|((name, ns), value)| (name, if ns == 3 { 4 } else { ns }, value)).collect(),
            children: Vec::new(),
        },
    )
}

fn tree() -> impl Strategy<Value = Tree> {
    leaf().prop_recursive(5, 40, 5, |inner| {
        let node = prop_oneof![
            inner.prop_map(Node::Tree),
            text().prop_map(Node::Text),
            text().prop_map(|text| Node::Cdata(text.replace(['>', '\r'], "")))
        ];
        (leaf(), prop::collection::vec(node, 0..5)).prop_map(|(leaf, children)| Tree { children, ..leaf })
    })
}

/// Writes it with `default` as the default namespace in force.
fn write(tree: &Tree, default: &str, out: &mut String) {
    let ns = NAMESPACES[tree.ns];
    let prefix = if tree.prefixed { "p:" } else { "" };
    let _ = write!(out, "<{prefix}{}", tree.name);
    let mut default = default;
    if tree.prefixed {
        let _ = write!(out, " xmlns:p=\"{}\"", escape_attr(ns));
    } else if ns != default {
        let _ = write!(out, "\n xmlns='{}'", escape_attr(ns));
        default = ns;
    }
    for (name, ns, value) in &tree.attrs {
        // Each by a prefix of its own.
        if *ns == 0 {
            let _ = write!(out, " {name}='{}'", escape_attr(value));
        } else {
            let prefix = format!("{name}{ns}");
            let _ = write!(
                out,
                " {prefix}:{name} = '{}' xmlns:{prefix}='{}'",
                escape_attr(value),
                escape_attr(NAMESPACES[*ns])
            );
        }
    }
    out.push('>');
    for child in &tree.children {
        match child {
            Node::Tree(tree) => write(tree, default, out),
            Node::Text(text) => out.push_str(&escape_attr(text)),
            Node::Cdata(text) => {
                let _ = write!(out, "<![CDATA[{text}]]>");
            }
        }
    }
    let _ = write!(out, "</{prefix}{}>", tree.name);
}

fn xml(trees: &[Tree]) -> String {
    let mut out = String::new();
    for tree in trees {
        write(tree, ns::CLIENT, &mut out);
    }
    out
}

/// The children of a stanza as another parser sees them.
fn oracle(content: &str) -> Vec<Element> {
    let stanza: Element = format!("<message xmlns='jabber:client'>{content}</message>").parse().unwrap();
    stanza.children().cloned().collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn canonical_bytes_mean_the_same(trees in prop::collection::vec(tree(), 0..4)) {
        let xml = xml(&trees);
        let content = Content::parse(xml.as_bytes()).unwrap();
        let canonical = std::str::from_utf8(content.bytes()).unwrap();
        prop_assert_eq!(&oracle(&xml), &oracle(canonical));
        prop_assert_eq!(&oracle(&xml), &content.iter().map(|child| child.element()).collect::<Vec<_>>());
        for (child, element) in content.iter().zip(oracle(&xml)) {
            prop_assert_eq!(child.text(), element.text());
            prop_assert_eq!(child.attr("a"), element.attr("a").map(Cow::Borrowed));
            let children: Vec<_> = child.children().iter().map(|child| child.element()).collect();
            prop_assert_eq!(children, element.children().cloned().collect::<Vec<_>>());
        }
    }

    #[test]
    fn canonical_bytes_are_a_fixed_point(trees in prop::collection::vec(tree(), 0..4)) {
        let content = Content::parse(xml(&trees).as_bytes()).unwrap();
        let again = Content::parse(content.bytes()).unwrap();
        prop_assert_eq!(&again, &content);
        prop_assert!(again.iter().eq(content.iter()));
    }

    #[test]
    fn bytes_may_be_cut_anywhere(
        trees in prop::collection::vec(tree(), 0..4),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let inner = xml(&trees);
        let xml = format!(
            "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>\
             <message from='a@b'>{inner}</message><iq/></stream:stream>"
        );
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(xml.len())).collect();
        cuts.extend([0, xml.len()]);
        cuts.sort_unstable();
        let mut decoder = Decoder::new(ns::CLIENT, Limits::default());
        let mut events = Vec::new();
        for cut in cuts.windows(2) {
            decoder.feed(&xml.as_bytes()[cut[0]..cut[1]]);
            while let Some(event) = decoder.next().unwrap() {
                events.push(event);
            }
        }
        let content = Content::parse(inner.as_bytes()).unwrap();
        prop_assert_eq!(events.len(), 4);
        prop_assert!(matches!(&events[1], Event::Stanza(stanza) if stanza.content == content));
    }

    #[test]
    fn what_is_written_is_read(name in "[a-z]{1,5}", space in text(), a in text(), b in text()) {
        let el = El::ns(&name, &format!("u:{space}")).attr("a", &a).child(El::new("c").text(&b)).text(&a);
        let content = Content::empty().with(el.clone());
        prop_assert_eq!(content.bytes(), &el.to_bytes());
        let again = Content::parse(content.bytes()).unwrap();
        prop_assert_eq!(&again, &content);
        prop_assert!(again.iter().eq(content.iter()));
        let child = again.iter().next().unwrap();
        prop_assert_eq!(child.attr("a"), Some(Cow::Borrowed(a.as_str())));
        prop_assert_eq!(child.text(), a);
        prop_assert_eq!(child.children().iter().next().unwrap().text(), b);
    }
}
