//! Stories of streams: what comes out of the decoder.
#![allow(clippy::unwrap_used)] // helpers of tests

use jid::Jid;
use warren_xmpp::{Decoder, Event, Kind, Limits, Refusal, Stanza, StreamCondition, StreamFault, ns};

const OPEN: &str = "<?xml version='1.0'?><stream:stream xmlns='jabber:component:accept' \
    xmlns:stream='http://etherx.jabber.org/streams' id='s1' from='muc.lit'>";

fn component() -> Decoder {
    Decoder::new(ns::COMPONENT, Limits::default())
}

/// All events of one feed.
fn drain(decoder: &mut Decoder) -> Result<Vec<Event>, StreamFault> {
    let mut events = Vec::new();
    while let Some(event) = decoder.next()? {
        events.push(event);
    }
    Ok(events)
}

/// The events behind the header of a component stream that carries `xml`.
fn read(xml: &str) -> Result<Vec<Event>, StreamFault> {
    let mut decoder = component();
    decoder.feed(OPEN.as_bytes());
    decoder.feed(xml.as_bytes());
    let mut events = drain(&mut decoder)?;
    assert!(matches!(events.remove(0), Event::Open(_)));
    Ok(events)
}

fn stanza(xml: &str) -> Stanza {
    match read(xml).unwrap().as_slice() {
        [Event::Stanza(stanza)] => stanza.clone(),
        other => panic!("{other:?}"),
    }
}

fn content(xml: &str) -> String {
    String::from_utf8(stanza(xml).content.bytes().to_vec()).unwrap()
}

fn refused(xml: &str) -> (warren_xmpp::Head, Refusal) {
    // Whatever happened, the next stanza arrives.
    match read(&format!("{xml}<iq id='next'/>")).unwrap().as_slice() {
        [Event::Refused { head, why }, Event::Stanza(next)] if next.head.id.as_deref() == Some("next") => {
            (head.clone(), *why)
        }
        other => panic!("{other:?}"),
    }
}

fn fault(xml: &str) -> StreamCondition {
    read(xml).unwrap_err().condition
}

#[test]
fn a_whole_stream() {
    let mut decoder = Decoder::new(ns::SERVER, Limits::default());
    decoder.feed(
        b"<?xml version='1.0'?>\n<stream:stream xmlns='jabber:server' xmlns:db='jabber:server:dialback' \
          xmlns:stream='http://etherx.jabber.org/streams' from='a.lit' to='b.lit' id='i' version='1.0' xml:lang='en'>\
          <stream:features><dialback xmlns='urn:xmpp:features:dialback'/></stream:features> \n \
          <db:result from='a.lit' to='b.lit'>key</db:result></stream:stream>",
    );
    let events = drain(&mut decoder).unwrap();
    let [Event::Open(header), Event::Nonza(features), Event::Nonza(result), Event::Close] = events.as_slice() else {
        panic!("{events:?}");
    };
    assert_eq!((&*header.ns, header.xmlns_db), (ns::SERVER, true));
    let of = |s: &Option<Box<str>>| s.as_deref().unwrap().to_owned();
    assert_eq!((of(&header.from), of(&header.to), of(&header.id)), ("a.lit".into(), "b.lit".into(), "i".into()));
    assert_eq!((of(&header.version), of(&header.lang)), ("1.0".into(), "en".into()));
    assert!(features.is("features", ns::STREAMS));
    assert!(features.element().children().has("dialback", ns::DIALBACK_FEATURE));
    assert!(result.is("result", ns::DIALBACK));
    assert_eq!(result.element().text(), "key");
    assert_eq!(result.element().attr("to").as_deref(), Some("b.lit"));
    // Nothing comes behind the end.
    decoder.feed(b"<iq/>");
    assert_eq!(decoder.next(), Ok(None));
    assert_eq!(decoder.unread(), 0);
}

#[test]
fn heads() {
    let stanza = stanza("<message from='a@b/c' to='d@e' id='&lt;1' type='groupchat' xml:lang='de' x='y'>\n</message>");
    assert_eq!(stanza.head.kind, Kind::Message);
    assert_eq!(stanza.head.from, Jid::new("a@b/c").ok());
    assert_eq!(stanza.head.to, Jid::new("d@e").ok());
    assert_eq!(stanza.head.id.as_deref(), Some("<1"));
    assert_eq!(stanza.head.type_.as_deref(), Some("groupchat"));
    assert_eq!(stanza.head.lang.as_deref(), Some("de"));
    assert!(stanza.content.is_empty());
    assert_eq!(stanza.to_bytes(), "<message from='a@b/c' to='d@e' type='groupchat' id='&lt;1' xml:lang='de'/>");
}

#[test]
fn the_stanza_namespace_is_inherited() {
    assert_eq!(
        content("<message><body>a</body><error><x/><gone xmlns='urn:x'>b</gone></error></message>"),
        "<body>a</body><error><x/><gone xmlns='urn:x'>b</gone></error>"
    );
    // Under a stanza its three names mean the same, else one could smuggle a subject past the room.
    assert_eq!(
        content("<message><body xmlns='jabber:client'>a</body><subject xmlns='jabber:server'/></message>"),
        "<body>a</body><subject/>"
    );
    let c = stanza("<message><body>a</body></message>").content;
    assert_eq!(c.iter().next().unwrap().ns, ns::CLIENT);
    assert!(c.has("body", ns::CLIENT));
}

#[test]
fn foreign_namespaces_are_written_where_they_change() {
    assert_eq!(
        content("<message><a xmlns='u:1'><b xmlns='u:1'/><c xmlns='u:2'><d/></c><e/></a></message>"),
        "<a xmlns='u:1'><b/><c xmlns='u:2'><d/></c><e/></a>"
    );
    // A forwarded message stays a client's, wherever it goes (XEP-0297).
    let forwarded =
        "<forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client'><body>x</body></message></forwarded>";
    assert_eq!(content(&format!("<message>{forwarded}</message>")), forwarded);
    // And what is in the namespace of the stream, but in a foreign element, keeps that.
    assert_eq!(
        content(
            "<message xmlns:c='jabber:component:accept'><f xmlns='u:f'><c:message><c:body/></c:message></f></message>"
        ),
        "<f xmlns='u:f'><message xmlns='jabber:component:accept'><body/></message></f>"
    );
    // The chain is broken for ever.
    assert_eq!(
        content("<message><x xmlns='u'><y xmlns='jabber:component:accept'/></x><z xmlns=''><y/></z></message>"),
        "<x xmlns='u'><y xmlns='jabber:component:accept'/></x><z xmlns=''><y/></z>"
    );
}

#[test]
fn prefixes_are_resolved() {
    assert_eq!(
        content(
            "<message xmlns:p='u:p' xmlns:q='u:q'><p:a q:x='1' x='2' p:x='3' q:y='4' xml:lang='en'>\
             <p:b xmlns:p='u:other' p:z=''/></p:a></message>"
        ),
        "<a xmlns='u:p' xmlns:n0='u:q' n0:x='1' x='2' xmlns:n1='u:p' n1:x='3' n0:y='4' xml:lang='en'>\
         <b xmlns='u:other' xmlns:n0='u:other' n0:z=''/></a>"
    );
    // Declarations end with their element.
    assert_eq!(fault("<message><a xmlns:p='u:p'/><p:b/></message>"), StreamCondition::BadNamespacePrefix);
    assert_eq!(fault("<message xmlns:p='u:p'/><message><p:b/></message>"), StreamCondition::BadNamespacePrefix);
}

#[test]
fn text_is_escaped_anew() {
    assert_eq!(
        content(
            "<message>dropped<body a=\"'&quot;&gt;&#10;&#x9;&#13;\t\">&lt;<![CDATA[<&>]]>&#13;\r\n&#x10FFFF;\"'</body>dropped</message>"
        ),
        "<body a='&apos;\"&gt;&#10;&#9;&#13; '>&lt;&lt;&amp;&gt;&#13;\n\u{10ffff}\"'</body>"
    );
}

#[test]
fn what_prosody_writes_is_read() {
    // Prosody 0.12 does not escape a carriage return, and declares what none may declare; any user
    // can make it do so. Neither may end a component's stream.
    assert_eq!(
        content("<message><body>a\r\nb\rc\t]]&gt;</body><x xmlns='u' a='\r\n\t\rx'/></message>"),
        "<body>a\nb\nc\t]]&gt;</body><x xmlns='u' a='   x'/>"
    );
    assert_eq!(
        content("<message><a xmlns:ns1='http://www.w3.org/XML/1998/namespace' ns1:foo='1' xml:lang='de'/></message>"),
        "<a xml:foo='1' xml:lang='de'/>"
    );
    let (_, why) = refused("<message><foo xmlns='http://www.w3.org/XML/1998/namespace'/></message>");
    assert_eq!(why, Refusal::ReservedNamespace);
}

#[test]
fn bytes_may_be_cut_anywhere() {
    let xml = format!(
        "{OPEN} <message from='a@b' xml:lang='en'><p:x xmlns:p='u&amp;v' p:a='é&#10;'>ü<![CDATA[]]]]>&lt;\r\n\u{1f600}</p:x></message>\n\
         <presence from='nobody@@'><x/></presence></stream:stream>"
    );
    let whole = {
        let mut decoder = component();
        decoder.feed(xml.as_bytes());
        drain(&mut decoder).unwrap()
    };
    assert_eq!(whole.len(), 4);
    for at in 0..xml.len() {
        let mut decoder = component();
        let (a, b) = xml.as_bytes().split_at(at);
        decoder.feed(a);
        let mut events = drain(&mut decoder).unwrap();
        decoder.feed(b);
        events.extend(drain(&mut decoder).unwrap());
        assert_eq!(events, whole, "cut at {at}");
    }
    let mut decoder = component();
    let mut events = Vec::new();
    for byte in xml.as_bytes() {
        decoder.feed(&[*byte]);
        events.extend(drain(&mut decoder).unwrap());
    }
    assert_eq!(events, whole);
}

#[test]
fn single_bytes_cost_no_more_than_many() {
    // Looking at everything again with each byte would take hours.
    let long = |part: &str| part.repeat(400_000);
    let cases = [
        (format!("<iq><{}/></iq>", long("n")), 2),
        (format!("<iq a='{}'/>", long("x")), 2),
        (format!("<iq a{0}={0}''{0}></iq{0}>", long(" ")), 2),
        (format!("<iq><body><![CDATA[{}]]></body></iq>", long("]")), 2),
        (format!("<iq><body>{}</body></iq>", long("&")), 1),
    ];
    for (xml, expected) in cases {
        let mut decoder = component();
        decoder.feed(OPEN.as_bytes());
        let mut events = Vec::new();
        for byte in xml.as_bytes() {
            decoder.feed(&[*byte]);
            events.extend(drain(&mut decoder).unwrap_or_default());
        }
        assert_eq!(events.len(), expected, "{}", &xml[..20]);
    }
}

#[test]
fn soft_limits_cost_one_stanza() {
    let from = "from='a@b/c' to='r@muc.lit' id='1' type='groupchat'";
    let nested = |levels: usize| format!("<message {from}>{}{}</message>", "<a>".repeat(levels), "</a>".repeat(levels));
    let cases = [
        // 35 KB, which end a process that builds a tree of them
        (nested(5_000), Refusal::TooDeep),
        // as deep as a user of Prosody can send, and more
        (nested(90_000), Refusal::TooDeep),
        (nested(65), Refusal::TooDeep),
        (format!("<message {from}><body>{}</body></message>", "x".repeat(10_000_000)), Refusal::TooBig),
        (format!("<message {from}><body a='{}'/></message>", "x".repeat(600_000)), Refusal::TooBig),
        (format!("<message {from} a='{}'/>", "x".repeat(600_000)), Refusal::TooBig),
        (format!("<message {from}>{}</message>", "<a/>".repeat(10_001)), Refusal::TooManyElements),
        (format!("<message {from}><x {}/></message>", attributes(100_000)), Refusal::TooManyAttributes),
        (format!("<message {} {from}/>", attributes(100_000)), Refusal::TooManyAttributes),
        (format!("<message {from}><x {}/></message>", attributes(65)), Refusal::TooManyAttributes),
        (format!("<message {from}><{}/></message>", "x".repeat(2_000)), Refusal::NameTooLong),
        (format!("<message {from}><x {}=''/></message>", "x".repeat(2_000)), Refusal::NameTooLong),
        (format!("<message {from}><x a='{}'/></message>", "x".repeat(8_193)), Refusal::ValueTooLong),
        (format!("<message {from}><xml:a/></message>"), Refusal::ReservedNamespace),
        (
            format!(
                "<message {from}>{}</message>",
                "<x a='' xmlns:b='u' xmlns:c='u' xmlns:d='u' xmlns:e='u'>".repeat(64) + &"</x>".repeat(64)
            ),
            Refusal::TooManyDeclarations,
        ),
        // 20 KB that would be 40 MB in canonical form
        (
            format!("<message {from} xmlns:p='{}'>{}</message>", "x".repeat(8_000), "<p:a/>".repeat(5_000)),
            Refusal::TooBig,
        ),
    ];
    for (xml, why) in cases {
        let (head, refusal) = refused(&xml);
        assert_eq!(refusal, why, "{}", &xml[..100]);
        assert_eq!(head.from, Jid::new("a@b/c").ok(), "{why:?}");
        assert_eq!(head.to, Jid::new("r@muc.lit").ok(), "{why:?}");
        assert_eq!((head.id.as_deref(), head.type_.as_deref()), (Some("1"), Some("groupchat")), "{why:?}");
    }
}

fn attributes(n: usize) -> String {
    use std::fmt::Write;
    (0..n).fold(String::new(), |mut s, i| {
        let _ = write!(s, " a{i}=''");
        s
    })
}

#[test]
fn limits_are_met_exactly() {
    assert!(matches!(
        read(&format!("<iq>{}{}</iq>", "<a>".repeat(64), "</a>".repeat(64))).unwrap()[0],
        Event::Stanza(_)
    ));
    assert!(matches!(read(&format!("<iq><a{}/></iq>", attributes(64))).unwrap()[0], Event::Stanza(_)));
    assert!(matches!(read(&format!("<iq>{}</iq>", "<a/>".repeat(10_000))).unwrap()[0], Event::Stanza(_)));
    assert!(matches!(read(&format!("<iq a='{}'/>", "x".repeat(8_192))).unwrap()[0], Event::Stanza(_)));
    let body = |n: usize| format!("<iq><a>{}</a></iq>", "x".repeat(n - 16));
    assert!(matches!(read(&body(256 * 1024)).unwrap()[0], Event::Stanza(_)));
    assert!(matches!(read(&body(256 * 1024 + 1)).unwrap()[0], Event::Refused { .. }));
    // Limits are for each stanza.
    assert_eq!(read(&body(256 * 1024).repeat(3)).unwrap().len(), 3);
    assert_eq!(read(&(" ".repeat(300_000) + "<iq/>")).unwrap().len(), 1);
}

#[test]
fn malformed_addresses_cost_one_stanza() {
    let (head, why) = refused("<message from='a@b/c' to='@'><body>x</body></message>");
    assert_eq!((head.from.as_ref().map(Jid::as_str), head.to, why), (Some("a@b/c"), None, Refusal::BadAddress));
    let (head, _) = refused("<message from='' to='r@muc.lit'/>");
    assert_eq!((head.from, head.to.as_ref().map(Jid::as_str)), (None, Some("r@muc.lit")));
}

#[test]
fn hard_limits_end_the_stream() {
    let deep = "<a>".repeat(100_001);
    assert_eq!(fault(&format!("<message>{deep}")), StreamCondition::PolicyViolation);
    let long_names = format!("<{}>", "x".repeat(1_000)).repeat(1_100);
    assert_eq!(fault(&format!("<message>{long_names}")), StreamCondition::PolicyViolation);
    assert_eq!(fault(&format!("<message>{}", "x".repeat(17 << 20))), StreamCondition::PolicyViolation);
    assert_eq!(fault(&format!("<message a='{}", "x".repeat(2 << 20))), StreamCondition::PolicyViolation);
    assert_eq!(fault(&format!("<{}", "x".repeat(2 << 20))), StreamCondition::PolicyViolation);
    // Not a user's stanza: the peer's own fault.
    assert_eq!(fault(&format!("<x>{}</x>", "<a/>".repeat(10_001))), StreamCondition::PolicyViolation);
}

#[test]
fn what_xmpp_forbids_ends_the_stream() {
    use StreamCondition::{BadFormat, BadNamespacePrefix, NotWellFormed, RestrictedXml};
    let cases = [
        ("<message><!-- c --></message>", RestrictedXml),
        ("<message><?pi?></message>", RestrictedXml),
        ("<!DOCTYPE x>", RestrictedXml),
        ("<message><!ENTITY x 'y'></message>", RestrictedXml),
        ("<message><body>&nbsp;</body></message>", NotWellFormed),
        ("<message><body>&#0;</body></message>", NotWellFormed),
        ("<message><body>\u{1}</body></message>", NotWellFormed),
        ("<message><body>\u{ffff}</body></message>", NotWellFormed),
        ("<message><body>]]></body></message>", NotWellFormed),
        ("<message a='1' a='2'/>", NotWellFormed),
        ("<message><x a='1' a='2'/></message>", NotWellFormed),
        ("<message><x xmlns='u' xmlns='u'/></message>", NotWellFormed),
        ("<message><x xmlns:a='u' xmlns:b='u' a:c='' b:c=''/></message>", NotWellFormed),
        ("<message><body></message>", NotWellFormed),
        ("<message><body a=1/></message>", NotWellFormed),
        ("<message a='<'/>", NotWellFormed),
        ("<a:message/>", BadNamespacePrefix),
        ("<message a:b=''/>", BadNamespacePrefix),
        ("<message><x a:b=''/></message>", BadNamespacePrefix),
        ("<message><x xmlns:a='http://www.w3.org/2000/xmlns/'/></message>", BadNamespacePrefix),
        ("<message xmlns:xml='u'/>", BadNamespacePrefix),
        ("<message xmlns:xmlns='u'/>", BadNamespacePrefix),
        ("<message xmlns:a=''/>", BadNamespacePrefix),
        ("<message xmlns:a:b='u'/>", NotWellFormed),
        ("<message ><1/></message>", NotWellFormed),
        ("<message a='1'b='2'/>", NotWellFormed),
        ("<message><body>&#+65;</body></message>", NotWellFormed),
        ("<message><body>&#xD800;</body></message>", NotWellFormed),
        ("<message><body>&amp</body></message>", NotWellFormed),
        ("<message><body a='&aaaaaaaaaaaaaaaaaaaa;'/></message>", NotWellFormed),
        ("text", BadFormat),
        ("</stream>", NotWellFormed),
    ];
    for (xml, condition) in cases {
        assert_eq!(fault(xml), condition, "{xml}");
    }

    // Before the header, too.
    for xml in [
        "<?>?>",
        "<??>",
        "<?xml?>",
        "<?xml versio='1.0'?>",
        "<?xml version='1.0' standalone='no'?>",
        "<!DOCTYPE x>",
        "<!-- -->",
        "<?xml version='1.1'?>",
        "<?xml version='1.0' encoding='latin1'?>",
        "x",
    ] {
        let mut decoder = component();
        decoder.feed(xml.as_bytes());
        assert!(drain(&mut decoder).is_err(), "{xml}");
    }
    for before in [String::new(), format!("{OPEN}<message><body>"), OPEN.into()] {
        for bad in [&b"\xff"[..], b"\xc0\x80", b"\xed\xa0\x80", b"<\xff/>", b"<a b='\xc3'/>", b"\xc3<"] {
            let mut decoder = component();
            decoder.feed(before.as_bytes());
            decoder.feed(bad);
            decoder.feed(b"</a><a>    ");
            assert!(drain(&mut decoder).is_err(), "{before} {bad:?}");
        }
    }
}

#[test]
fn the_header_is_checked() {
    let header = |xml: &str| {
        let mut decoder = component();
        decoder.feed(xml.as_bytes());
        drain(&mut decoder).map_err(|fault| fault.condition)
    };
    assert_eq!(header("<stream xmlns='jabber:client'>"), Err(StreamCondition::InvalidNamespace));
    assert_eq!(header("<iq/>"), Err(StreamCondition::InvalidNamespace));
    assert_eq!(header("<stream:stream>"), Err(StreamCondition::BadNamespacePrefix));
    assert_eq!(header("<s xmlns='http://etherx.jabber.org/streams'>"), Err(StreamCondition::BadFormat));
    let long = format!("<?xml version='1.0'?>{}", " ".repeat(9_000));
    assert_eq!(header(&long), Err(StreamCondition::PolicyViolation));
    assert_eq!(header(&format!("<stream:stream a='{}", "x".repeat(9_000))), Err(StreamCondition::PolicyViolation));
    assert_eq!(header(&format!("<stream:stream {}", attributes(65))), Err(StreamCondition::PolicyViolation));
    // Any prefix will do, and another content namespace is the stream's to judge.
    let events = header("<s:stream xmlns:s='http://etherx.jabber.org/streams' xmlns='jabber:client'><iq/>").unwrap();
    let [Event::Open(header), Event::Nonza(iq)] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!((&*header.ns, iq.name()), (ns::CLIENT, "iq"));
}

#[test]
fn a_fault_is_for_ever() {
    let mut decoder = component();
    decoder.feed(b"<oops>");
    let fault = decoder.next().unwrap_err();
    decoder.feed(OPEN.as_bytes());
    assert_eq!(decoder.next(), Err(fault));
    assert_eq!(decoder.unread(), 0);
}

#[test]
fn a_stream_restarts() {
    let mut decoder = component();
    decoder.feed(OPEN.as_bytes());
    decoder.feed(b"<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>");
    decoder.feed(OPEN.as_bytes());
    decoder.feed(b"<iq/>");
    assert!(matches!(decoder.next(), Ok(Some(Event::Open(_)))));
    assert!(matches!(decoder.next(), Ok(Some(Event::Nonza(_)))));
    assert_eq!(decoder.unread(), OPEN.len() + 5);
    decoder.restart();
    assert!(matches!(decoder.next(), Ok(Some(Event::Open(_)))));
    assert!(matches!(decoder.next(), Ok(Some(Event::Stanza(_)))));
    decoder.shrink();
    decoder.feed(b"<iq/>");
    assert!(matches!(decoder.next(), Ok(Some(Event::Stanza(_)))));
}
