//! What must hold for the codec, whatever the bytes: run by the fuzzer, and by the crate's own
//! tests on mutations of [`SEEDS`].

use minidom::Element;
use warren_xmpp::{Content, Decoder, Event, HardLimits, Limits, ParseError, Stanza, StreamFault, ns};

/// Where mutation begins. The part behind the header of a stream.
#[allow(dead_code)] // the fuzzer has a corpus of its own
pub const SEEDS: [&str; 12] = [
    "<message from='a@b/c' to='d@e' type='groupchat' id='1' xml:lang='en'><body>x &amp; y</body></message>",
    "<presence from='a@b/c'><x xmlns='http://jabber.org/protocol/muc'/><show>dnd</show></presence><iq/>",
    "<message xmlns:p='u:p'><p:a p:b='1' p:c='2' c=''><p:d xmlns:p='u:q'/></p:a>text</message>",
    "<message><f xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client'><body>&lt;</body></message></f></message>",
    "<message><error type='wait'><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>xmpp:a@b</gone></error></message>",
    "<message><body><![CDATA[]]]]><![CDATA[>&<]]>&#13;&#x1F600;\r\n\t</body></message>",
    "<message><a xmlns=''><b xmlns='jabber:component:accept'><c xmlns='u' d=\"&quot;'\"/></b></a></message>",
    "<message><a><a><a><a><a><a><a><a><a><a/></a></a></a></a></a></a></a></a></a></message> <iq/>",
    "<message a1='' a2='' a3='' a4='' a5='' a6='' a7='' a8='' a9=''/><message from='@' to='a@b'/>",
    "<stream:error><conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>",
    "<message xmlns='jabber:server' xmlns:x='u&apos;&amp;'><x:y x:z='&#9;'/></message><handshake>0</handshake>",
    "<?xml version='1.0'?><!-- --><!DOCTYPE x><a b='c' b='d'/>&nope;]]>\u{0}\u{fffe}",
];

const HEADER: &[u8] = b"<stream:stream xmlns='jabber:component:accept' \
    xmlns:stream='http://etherx.jabber.org/streams' xmlns:db='jabber:server:dialback'>";

/// Limits so small that random bytes meet them.
const LIMITS: Limits = Limits {
    depth: 8,
    attributes: 8,
    declarations: 12,
    elements: 32,
    stanza_bytes: 1024,
    name_bytes: 64,
    value_bytes: 128,
    hard: HardLimits { header_bytes: 512, stanza_bytes: 4096, depth: 64, token_bytes: 512, name_bytes: 512 },
};

/// Checks one input.
pub fn check(data: &[u8]) {
    let whole = events(LIMITS, &[HEADER, data]);
    // It does not matter how the bytes arrive. (Which of two faults in one place is met first may.)
    let at = data.first().map_or(0, |first| usize::from(*first) % data.len());
    let (a, b) = data.split_at(at);
    let bytes: Vec<&[u8]> = HEADER.iter().chain(data).map(std::slice::from_ref).collect();
    for (events, fault) in [events(LIMITS, &[HEADER, a, b]), events(LIMITS, &bytes)] {
        assert_eq!(whole.0, events);
        assert_eq!(whole.1.is_some(), fault.is_some());
    }
    let generous = events(Limits::default(), &[HEADER, data]);

    for event in whole.0.iter().chain(&generous.0) {
        match event {
            Event::Stanza(stanza) => {
                content(&stanza.content);
                let again = Stanza::parse(&stanza.to_bytes()).expect("what we send can be read");
                assert_eq!(again, *stanza);
            }
            Event::Nonza(nonza) => {
                assert_eq!(nonza.content.len(), 1);
                content(&nonza.content);
            }
            _ => {}
        }
    }
    for event in &whole.0 {
        if let Event::Stanza(stanza) = event {
            let bytes = stanza.content.bytes();
            assert!(bytes.len() <= LIMITS.stanza_bytes);
            assert!(depth(&stanza.content) <= LIMITS.depth);
        }
    }

    // From the first byte on, and as a fragment.
    let _ = events(LIMITS, &[data]);
    let parsed = Content::parse(data);
    if let Ok(parsed) = &parsed {
        content(parsed);
    }
    oracle(data, &parsed);
    let _ = Stanza::parse(data);
}

/// Another parser must take the same, and see the same in it.
fn oracle(data: &[u8], ours: &Result<Content, ParseError>) {
    // Where they may differ: we take the three names of the stanza namespace for one, let pass what
    // Prosody writes, and take references with more zeros. And that parser is recursive.
    let has = |part: &[u8]| data.windows(part.len()).any(|window| window == part);
    if has(b"jabber:") || has(b"w3.org") || has(b"\r") || has(b"&#0") || has(b"&#x0") || data.len() > 2000 {
        return;
    }
    let whole = [&b"<message xmlns='jabber:client'>"[..], data, b"</message>"].concat();
    let mut unread = &whole[..];
    let theirs = Element::from_reader(&mut unread);
    match (ours, theirs) {
        // It looks at nothing behind the first element.
        (Err(_), Ok(_)) if !unread.is_empty() => {}
        (Ok(ours), Ok(theirs)) => assert!(ours.iter().map(|child| child.element()).eq(theirs.children().cloned())),
        (Ok(_), Err(error)) => panic!("only we take it: {error}"),
        // rxml 0.14 does not find all of them.
        (Err(ParseError::Xml(error)), Ok(_)) if error == "duplicate attribute" => {}
        (Err(ParseError::Xml(error)), Ok(_)) => panic!("only we do not take it: {error}"),
        (Err(_), _) => {}
    }
}

/// Everything that comes out, and how it ends.
fn events(limits: Limits, parts: &[&[u8]]) -> (Vec<Event>, Option<StreamFault>) {
    let mut decoder = Decoder::new(ns::COMPONENT, limits);
    let mut events = Vec::new();
    // At last a byte with which no text can go on: what was wrong with it comes out.
    for part in parts.iter().chain([&&b"<"[..]]) {
        decoder.feed(part);
        loop {
            match decoder.next() {
                Ok(Some(event)) => events.push(event),
                Ok(None) => break,
                Err(fault) => return (events, Some(fault)),
            }
        }
        assert!(decoder.unread() <= limits.hard.token_bytes);
    }
    (events, None)
}

/// Canonical bytes are a fixed point, and every part of them can be read.
fn content(content: &Content) {
    let again = Content::parse(content.bytes()).expect("canonical bytes can be read");
    assert_eq!(again, *content);
    assert!(again.iter().eq(content.iter()));
    assert_eq!(content.filter(|_| true), *content);
    let mut parts = Content::empty();
    for child in content.iter() {
        let single = Content::parse(child.bytes).expect("one child can be read");
        assert_eq!(single.iter().next(), Some(child));
        parts = parts.concat(&single);
        assert_eq!(child.element().name(), child.name);
        assert_eq!(child.text(), child.element().text());
        assert_eq!(child.children().len(), child.element().children().count());
        let _ = Content::parse(child.children().bytes()).expect("children can be read");
    }
    assert_eq!(parts, *content);
}

fn depth(content: &Content) -> usize {
    content.iter().map(|child| 1 + depth(&child.children())).max().unwrap_or(0)
}
