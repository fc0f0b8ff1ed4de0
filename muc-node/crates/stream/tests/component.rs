//! Stories of a component and a scripted server.
#![allow(clippy::unwrap_used)] // helpers of tests

use std::time::Duration;

use warren_stream::{CloseReason, Component, ComponentConfig, Event};
use warren_xmpp::{Limits, Refusal, StreamCondition};

const HEADER: &str = "<?xml version='1.0'?><stream:stream xmlns:stream='http://etherx.jabber.org/streams' \
    xmlns='jabber:component:accept' from='muc.lit' id='3BF96D32'>";
const STANZA_ERROR: &str = "xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'";

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// A component and what its server sees.
struct Story {
    component: Component,
    now: Duration,
}

impl Story {
    fn new() -> Self {
        let config = ComponentConfig {
            domain: "muc.lit".into(),
            secret: "test".into(),
            limits: Limits::default(),
            liveness: secs(30),
            liveness_timeout: secs(60),
        };
        let mut component = Component::new(config, 7);
        assert_eq!(component.next_deadline(), None);
        assert_eq!(
            component.start(Duration::ZERO),
            "<?xml version='1.0'?><stream:stream xmlns='jabber:component:accept' \
             xmlns:stream='http://etherx.jabber.org/streams' to='muc.lit'>"
        );
        Self { component, now: Duration::ZERO }
    }

    fn online() -> Self {
        let mut story = Self::new();
        story.says(HEADER);
        assert_eq!(story.says("<handshake/>"), [Event::Online]);
        assert!(story.component.is_online());
        story
    }

    fn says(&mut self, xml: &str) -> Vec<Event> {
        self.component.feed(xml.as_bytes(), self.now);
        self.events()
    }

    fn at(&mut self, now: u64) -> Vec<Event> {
        self.now = secs(now);
        self.component.tick(self.now);
        self.events()
    }

    fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.component.poll()).collect()
    }
}

/// The only event, which sends bytes.
fn sent(events: &[Event]) -> String {
    match events {
        [Event::Send(bytes)] => String::from_utf8(bytes.to_vec()).unwrap(),
        other => panic!("{other:?}"),
    }
}

fn stream_error(condition: &str, text: &str) -> String {
    format!(
        "<stream:error><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>\
         <text xmlns='urn:ietf:params:xml:ns:xmpp-streams'>{text}</text></stream:error></stream:stream>"
    )
}

/// The reason in `[Send(_), Closed(reason)]`.
fn closed(events: &[Event]) -> (String, CloseReason) {
    match events {
        [Event::Send(bytes), Event::Closed(reason)] => (String::from_utf8(bytes.to_vec()).unwrap(), reason.clone()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_handshake() {
    let mut story = Story::new();
    // sha1("3BF96D32" + "test"), as in XEP-0114 section 3
    assert_eq!(sent(&story.says(HEADER)), "<handshake>aaee83c26aeeafcbabeabfcbcd50df997e0a2a1e</handshake>");
    assert!(!story.component.is_online());
    assert_eq!(story.says("<handshake/>"), [Event::Online]);
    let events = story.says("<message from='romeo@montague.lit/x' to='room@muc.lit'><body>hi</body></message>");
    let [Event::Stanza(stanza)] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!(stanza.content.bytes(), "<body>hi</body>");
}

#[test]
fn the_handshake_in_single_bytes() {
    let mut story = Story::new();
    let mut events = Vec::new();
    for byte in format!("{HEADER}<handshake></handshake><presence from='a@b/c'/>").bytes() {
        story.component.feed(&[byte], Duration::ZERO);
        events.extend(story.events());
    }
    assert!(matches!(events.as_slice(), [Event::Send(_), Event::Online, Event::Stanza(_)]), "{events:?}");
}

#[test]
fn a_refused_handshake_explains_itself() {
    let cases = [
        (
            "not-authorized",
            StreamCondition::NotAuthorized,
            "the secret of component muc.lit was refused by the server: why",
        ),
        ("host-unknown", StreamCondition::HostUnknown, "the server has no component muc.lit configured: why"),
        ("conflict", StreamCondition::Conflict, "component muc.lit is already connected"),
    ];
    for (name, expected, text) in cases {
        let mut story = Story::new();
        story.says(HEADER);
        let (bytes, reason) = closed(&story.says(&stream_error(name, "why")));
        assert_eq!(bytes, "</stream:stream>");
        let CloseReason::Error { condition, explanation } = &reason else { panic!("{reason:?}") };
        assert_eq!((*condition, reason.name()), (expected, name));
        assert!(explanation.starts_with(text), "{explanation}");
        assert_eq!((story.component.poll(), story.component.next_deadline()), (None, None));
    }
}

#[test]
fn the_wrong_port() {
    let mut story = Story::new();
    let (bytes, reason) = closed(&story.says(
        "<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' id='1'>",
    ));
    assert!(bytes.contains("<invalid-namespace "), "{bytes}");
    assert!(reason.to_string().contains("not a component's port"), "{reason}");

    // Something that is no XMPP at all.
    let (_, reason) = closed(&Story::new().says("HTTP/1.1 400 Bad Request\r\n"));
    assert!(matches!(reason, CloseReason::Fault(_)));
}

#[test]
fn stanzas_before_the_handshake_are_a_fault() {
    for stanza in ["<message/>", "<message from='@'/>"] {
        let mut story = Story::new();
        story.says(HEADER);
        let (bytes, reason) = closed(&story.says(stanza));
        assert!(bytes.starts_with("<stream:error><not-authorized "), "{bytes}");
        assert!(matches!(reason, CloseReason::Fault(_)));
    }
}

#[test]
fn a_server_that_says_nothing() {
    let mut story = Story::new();
    assert_eq!(story.component.next_deadline(), Some(secs(60)));
    assert_eq!(story.at(59), []);
    assert_eq!(closed(&story.at(60)).1, CloseReason::HandshakeTimeout);
}

#[test]
fn pings_prove_the_connection() {
    let mut story = Story::online();
    assert_eq!(story.component.next_deadline(), Some(secs(30)));
    assert_eq!(story.at(29), []);
    let ping = sent(&story.at(30));
    assert_eq!(
        ping,
        "<iq from='muc.lit' to='muc.lit' type='get' id='warren-live-0000000000000007-1'><ping xmlns='urn:xmpp:ping'/></iq>"
    );
    assert_eq!(story.component.next_deadline(), Some(secs(90)));
    assert_eq!(story.at(50), []);
    // It comes back as a request, and nobody else sees it.
    assert_eq!(story.says(&ping), []);
    assert_eq!(story.component.next_deadline(), Some(secs(80)));
    // An error about it has been there and back as well.
    let ping = sent(&story.at(80)).replace("type='get'", "type='error'");
    assert_eq!(story.says(&ping), []);
    assert_eq!(story.component.next_deadline(), Some(secs(110)));
    // Another's IQs are not ours, whatever their id.
    let other = story.says("<iq from='a@b/c' to='muc.lit' type='get' id='warren-live-0000000000000007-2'/>");
    assert!(matches!(other.as_slice(), [Event::Stanza(_)]));
}

#[test]
fn a_silent_server() {
    let mut story = Story::online();
    let ping = sent(&story.at(30));
    // A late ping of an earlier connection proves nothing, and neither does what only comes in.
    assert_eq!(story.says(&ping.replace("0007-1", "0006-1")), []);
    assert_eq!(story.says("<presence from='a@b/c'/>").len(), 1);
    // Nor does half a stanza.
    assert_eq!(story.says("<presence from='a"), []);
    assert_eq!(story.at(89), []);
    assert_eq!(story.at(90), [Event::Closed(CloseReason::Silent)]);
    assert_eq!(story.says(&ping), []);
}

#[test]
fn an_answer_that_was_not_looked_at_is_no_silence() {
    let mut story = Story::online();
    let ping = sent(&story.at(30));
    story.component.feed(ping.as_bytes(), secs(31));
    story.component.tick(secs(95));
    assert_eq!(story.events(), []);
    assert!(story.component.is_online());
}

#[test]
fn a_refused_stanza_is_answered() {
    let mut story = Story::online();
    let deep = format!(
        "<message from='a@b/c' to='room@muc.lit' id='1'>{}{}</message><presence from='a@b/c'/>",
        "<x>".repeat(5_000),
        "</x>".repeat(5_000)
    );
    let events = story.says(&deep);
    let [Event::Refused { head, why: Refusal::TooDeep, reply: Some(reply) }, Event::Stanza(_)] = events.as_slice()
    else {
        panic!("{events:?}")
    };
    assert_eq!(head.id.as_deref(), Some("1"));
    assert_eq!(
        *reply,
        format!(
            "<message from='room@muc.lit' to='a@b/c' type='error' id='1'><error type='modify' by='muc.lit'>\
             <policy-violation {STANZA_ERROR}/><text {STANZA_ERROR} xml:lang='en'>nested too deep</text></error></message>"
        )
    );

    let events = story.says("<message from='a@b/c' to='@muc.lit'/><message from='@' to='muc.lit'/>");
    let [Event::Refused { head, reply: Some(reply), .. }, Event::Refused { reply: None, .. }] = events.as_slice()
    else {
        panic!("{events:?}")
    };
    assert_eq!(head.to, None);
    let reply = String::from_utf8_lossy(reply);
    assert!(reply.starts_with("<message from='muc.lit' to='a@b/c' type='error'>"), "{reply}");
    assert!(reply.contains("<jid-malformed "), "{reply}");
}

#[test]
fn an_orderly_end() {
    let mut story = Story::online();
    story.now = secs(10);
    assert_eq!(story.says("<presence from='a@b/c'/>").len(), 1);
    story.component.close();
    story.component.close();
    assert_eq!(sent(&story.events()), "</stream:stream>");
    // What was under way still comes.
    assert_eq!(story.says("<presence from='a@b/c'/>").len(), 1);
    assert_eq!(story.component.next_deadline(), Some(secs(15)));
    assert_eq!(story.says("</stream:stream>"), [Event::Closed(CloseReason::Requested)]);

    let mut story = Story::online();
    story.component.close();
    story.events();
    assert_eq!(story.at(5), [Event::Closed(CloseReason::Requested)]);
}

#[test]
fn the_server_ends() {
    let mut story = Story::online();
    assert_eq!(closed(&story.says("</stream:stream>")), ("</stream:stream>".into(), CloseReason::ByPeer));

    let mut story = Story::online();
    story.component.eof();
    assert_eq!(story.events(), [Event::Closed(CloseReason::Lost)]);

    let mut story = Story::online();
    let (_, reason) = closed(&story.says(&stream_error("conflict", "Replaced by new connection")));
    assert_eq!(
        reason.to_string(),
        "conflict: another connection has taken the place of component muc.lit: Replaced by new connection"
    );
    let (_, reason) = closed(&Story::online().says(&stream_error("system-shutdown", "")));
    assert_eq!(reason.name(), "system-shutdown");
}

#[test]
fn a_server_that_speaks_nonsense() {
    let mut story = Story::online();
    let (bytes, reason) = closed(&story.says("<message><!-- --></message>"));
    assert!(
        bytes.starts_with("<stream:error><restricted-xml xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>"),
        "{bytes}"
    );
    assert!(bytes.ends_with("</stream:error></stream:stream>"), "{bytes}");
    assert_eq!(reason.name(), "fault");
    assert_eq!(story.says("<message/>"), []);
}

#[test]
fn unknown_elements_are_passed_over() {
    assert_eq!(Story::online().says("<features xmlns='urn:x'/><handshake/> "), []);
}

#[test]
fn the_secret_is_not_shown() {
    let config = ComponentConfig {
        domain: "muc.lit".into(),
        secret: "hunter2".into(),
        limits: Limits::default(),
        liveness: secs(1),
        liveness_timeout: secs(1),
    };
    assert!(!format!("{config:?}").contains("hunter2"));
}
