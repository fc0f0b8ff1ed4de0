//! A stranger's bytes do not make the decoder grow. Alone in its process: it looks at its memory.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)] // helpers of tests

use warren_xmpp::{Decoder, Event, Limits, Refusal, ns};

/// Resident memory in KiB at its highest since the start.
fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Feeds `part` so often, and expects to be told of a refusal.
fn refused(before: &str, part: &str, times: usize, after: &str) -> Refusal {
    let mut decoder = Decoder::new(ns::COMPONENT, Limits::default());
    decoder.feed(b"<stream:stream xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams'>");
    decoder.feed(before.as_bytes());
    assert!(matches!(decoder.next(), Ok(Some(Event::Open(_)))));
    for _ in 0..times {
        decoder.feed(part.as_bytes());
        assert_eq!(decoder.next(), Ok(None));
    }
    decoder.feed(after.as_bytes());
    match decoder.next() {
        Ok(Some(Event::Refused { why, .. })) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn big_stanzas_cost_nothing() {
    let text = "x".repeat(100_000);
    let before = peak();
    assert_eq!(refused("<message><body>", &text, 60, "</body></message>"), Refusal::TooBig);
    assert_eq!(refused("<message><body ", "a='' ", 200_000, "/></message>"), Refusal::TooManyAttributes);
    assert_eq!(refused("<message>", "<a/>", 200_000, "</message>"), Refusal::TooManyElements);
    assert_eq!(
        refused("<message>", "<a xmlns='u' xmlns:b='v'>", 30_000, &("</a>".repeat(30_000) + "</message>")),
        Refusal::TooDeep
    );
    let grown = peak() - before;
    // The stack of names, 24 bytes each, and some text.
    assert!(grown < 8 * 1024, "{grown} KiB");
}
