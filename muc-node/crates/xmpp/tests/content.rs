//! Stories of content: what a room does with the canonical bytes.
#![allow(clippy::unwrap_used)] // helpers of tests

use warren_xmpp::{Content, El, Kind, ParseError, Refusal, Stanza, ns};

const MUC_USER: &str = "http://jabber.org/protocol/muc#user";

fn parse(xml: &str) -> Content {
    Content::parse(xml.as_bytes()).unwrap()
}

fn names(content: &Content) -> Vec<(&str, &str)> {
    content.iter().map(|child| (child.name, child.ns)).collect()
}

#[test]
fn children_are_found() {
    let content = parse("<body>a</body><x xmlns='u:1' a='1'/><subject/><x xmlns='u:2'>t</x>");
    assert_eq!(names(&content), [("body", ns::CLIENT), ("x", "u:1"), ("subject", ns::CLIENT), ("x", "u:2")]);
    assert_eq!((content.len(), content.is_empty()), (4, false));
    assert_eq!(content.find("x", "u:2").unwrap().bytes, b"<x xmlns='u:2'>t</x>");
    assert!(content.has("subject", ns::CLIENT) && !content.has("subject", "u:1"));
    assert!(content.has_ns("u:1") && !content.has_ns("u:3"));
    assert_eq!(content.iter().next_back().unwrap().text(), "t");
}

#[test]
fn filtering_copies_nothing_when_nothing_goes() {
    let content = parse("<body/><x xmlns='u:1'/><subject/>");
    let all = content.filter(|_| true);
    assert_eq!(all.bytes().as_ptr(), content.bytes().as_ptr());
    let some = content.filter(|child| child.ns == ns::CLIENT);
    assert_eq!(some.bytes(), "<body/><subject/>");
    assert_eq!(names(&some), [("body", ns::CLIENT), ("subject", ns::CLIENT)]);
    assert_eq!(some.find("subject", ns::CLIENT).unwrap().bytes, b"<subject/>");
    assert!(content.filter(|_| false).is_empty());
    assert_eq!(content.filter(|_| false), Content::empty());
}

#[test]
fn content_grows() {
    let content = parse("<body>a</body>")
        .with(El::ns("x", MUC_USER).child(El::ns("item", MUC_USER).attr("role", "none")))
        .with(El::new("subject"))
        .with(El::ns("thread", ns::CLIENT))
        .with(El::ns("odd", "u:'&'").text("t"));
    assert_eq!(
        content.bytes(),
        "<body>a</body><x xmlns='http://jabber.org/protocol/muc#user'><item role='none'/></x><subject/><thread/>\
         <odd xmlns='u:&apos;&amp;&apos;'>t</odd>"
    );
    let again = Content::parse(content.bytes()).unwrap();
    assert_eq!(again, content);
    assert_eq!(names(&again), names(&content));
    assert_eq!(names(&content)[4], ("odd", "u:&apos;&amp;&apos;"));
    assert_eq!(content.iter().last().unwrap().element().ns(), "u:'&'");

    let shared = content.clone();
    let both = content.concat(&parse("<end/>"));
    assert_eq!(both.len(), 6);
    assert_eq!(both.find("end", ns::CLIENT).unwrap().bytes, b"<end/>");
    assert_eq!(shared.len(), 5);
    assert_eq!(Content::empty().concat(&shared), shared);
    assert_eq!(shared.concat(&Content::empty()), shared);
    assert_eq!([El::new("a"), El::ns("b", "u")].into_iter().collect::<Content>().bytes(), "<a/><b xmlns='u'/>");
}

#[test]
fn a_child_is_read() {
    let content = parse(
        "<x xmlns='u:1' a='&lt;&#10;' xml:lang='de'>one<y b='2'>not</y> two &amp; <z xmlns='u:2'/><body xmlns='jabber:client'/></x>",
    );
    let x = content.iter().next().unwrap();
    assert!(x.is("x", "u:1"));
    assert_eq!(x.attr("a").as_deref(), Some("<\n"));
    assert_eq!(x.attr("xml:lang").as_deref(), Some("de"));
    assert_eq!(x.attr("b"), None);
    assert_eq!(x.text(), "one two & ");
    let children = x.children();
    assert_eq!(names(&children), [("y", "u:1"), ("z", "u:2"), ("body", ns::CLIENT)]);
    assert_eq!(children.bytes(), "<y xmlns='u:1' b='2'>not</y><z xmlns='u:2'/><body/>");
    assert_eq!(Content::parse(children.bytes()).unwrap(), children);
    assert_eq!(children.find("y", "u:1").unwrap().attr("b").as_deref(), Some("2"));
    assert!(children.find("z", "u:2").unwrap().children().is_empty());
}

#[test]
fn a_child_as_a_tree() {
    let content =
        parse("<error type='wait'><a xmlns='u:1' xmlns:p='u:p' p:b='1' xml:lang='de' c='2'>t<d/></a></error>");
    let error = content.iter().next().unwrap().element();
    assert!(error.is("error", ns::CLIENT));
    assert_eq!(error.attr("type"), Some("wait"));
    let a = error.get_child("a", "u:1").unwrap();
    assert_eq!((a.attr("c"), a.attr_ns("u:p", "b"), a.attr_ns(ns::XML, "lang")), (Some("2"), Some("1"), Some("de")));
    assert_eq!(a.text(), "t");
    assert!(a.has_child("d", "u:1"));
}

#[test]
fn whole_stanzas() {
    let xml = "<message from='a@b/c' to='d@e' type='groupchat' id='1' xml:lang='en'><body>x</body></message>";
    let stanza = Stanza::parse(xml.as_bytes()).unwrap();
    assert_eq!(stanza.head.kind, Kind::Message);
    assert_eq!(stanza.to_bytes(), xml);
    assert_eq!(Stanza::parse(b" <iq xmlns='jabber:client'/>\n").unwrap().to_bytes(), "<iq/>");
    assert_eq!(Stanza::parse(b"<x/>"), Err(ParseError::NoStanza));
    assert_eq!(Stanza::parse(b"<iq to='@'/>"), Err(ParseError::Refused(Refusal::BadAddress)));
    for bad in ["", "<iq>", "<iq/><iq/>", "<iq/>x", "x<iq/>", "</iq>"] {
        assert!(matches!(Stanza::parse(bad.as_bytes()), Err(ParseError::Xml(_))), "{bad}");
    }
}

#[test]
fn what_is_no_content() {
    for bad in [
        "<a>",
        "</a>",
        "<a></b>",
        "</message>",
        "</message><message>",
        "<a/></message><message><b/>",
        "<a",
        "<a b='",
        "<a b='</message>",
        "<![CDATA[",
        "<![CDATA[</message>",
        "<p:a/>",
        "<?xml version='1.0'?>",
        "<!-- -->",
        "&x;",
        "&",
    ] {
        assert!(matches!(Content::parse(bad.as_bytes()), Err(ParseError::Xml(_))), "{bad}");
    }
    assert!(Content::parse(b"\xff").is_err());
    assert_eq!(parse("").bytes(), "");
    assert_eq!(parse(" text ").bytes(), "");
}

#[test]
fn content_has_the_limits_of_what_leaves() {
    let nested = |n: usize| "<a>".repeat(n - 1) + "<a/>" + &"</a>".repeat(n - 1);
    let deepest = parse(&nested(256));
    assert_eq!(deepest.bytes(), &*nested(256));
    let tree = deepest.iter().next().unwrap().element();
    assert_eq!(String::from(&tree).matches("<a").count(), 256);
    assert_eq!(Content::parse(nested(257).as_bytes()), Err(ParseError::Refused(Refusal::TooDeep)));
    let body = |n: usize| format!("<body>{}</body>", "x".repeat(n - 13));
    assert_eq!(parse(&body(512 * 1024)).bytes().len(), 512 * 1024);
    assert_eq!(Content::parse(body(512 * 1024 + 100).as_bytes()), Err(ParseError::Refused(Refusal::TooBig)));
}
