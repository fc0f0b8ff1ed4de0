//! The codec against plain rxml on the same bytes: what limits, canonical bytes and heads cost on top.

use std::hint::black_box;

use rxml::Parse;
use warren_xmpp::{Decoder, Event, Limits, ns};

use crate::time;
use crate::{Bound, Limit};

pub const HEADER: &[u8] = b"<stream:stream xmlns='jabber:component:accept' \
    xmlns:stream='http://etherx.jabber.org/streams' from='rooms.wonderland.lit' id='1'>";
/// A groupchat message of about 400 bytes, as clients send them.
pub const MESSAGE: &[u8] = b"<message type='groupchat' \
    from='alice@wonderland.lit/rabbit' to='rabbithole@rooms.wonderland.lit' id='5f0c0f2e-6b1e-4d7a-9a3f-1b2c3d4e5f60' xml:lang='en'>\
    <body>Curiouser and curiouser! cried Alice, who was so much surprised that for the moment she quite forgot how to speak good English.</body>\
    <origin-id xmlns='urn:xmpp:sid:0' id='5f0c0f2e-6b1e-4d7a-9a3f-1b2c3d4e5f60'/><markable xmlns='urn:xmpp:chat-markers:0'/></message>";
/// Messages of one feed: what a socket gives at once.
const AT_ONCE: usize = 32;

/// One pass of the codec over one message, in CPU nanoseconds.
pub fn pass() -> f64 {
    let chunk = MESSAGE.repeat(AT_ONCE);
    let mut decoder = open();
    time::per_op(100, || decode(&mut decoder, &chunk)) / count()
}

pub fn against_rxml() -> Bound {
    let chunk = MESSAGE.repeat(AT_ONCE);
    let mut decoder = open();
    let mut parser = rxml::Parser::default();
    parse(&mut parser, HEADER);
    let (ratio, ours, plain) = time::ratio(100, || decode(&mut decoder, &chunk), || parse(&mut parser, &chunk));
    Bound {
        what: "codec : plain rxml, same bytes",
        ratio,
        limit: Limit::AtMost(1.5),
        figures: format!("{:.0} ns : {:.0} ns a message of {} bytes", ours / count(), plain / count(), MESSAGE.len()),
    }
}

fn count() -> f64 {
    f64::from(u32::try_from(AT_ONCE).unwrap_or(1))
}

fn open() -> Decoder {
    let mut decoder = Decoder::new(ns::COMPONENT, Limits::default());
    decoder.feed(HEADER);
    while let Ok(Some(_)) = decoder.next() {}
    decoder
}

fn decode(decoder: &mut Decoder, chunk: &[u8]) {
    decoder.feed(chunk);
    let mut stanzas = 0;
    while let Ok(Some(event)) = decoder.next() {
        stanzas += usize::from(matches!(event, Event::Stanza(_)));
        black_box(&event);
    }
    assert_eq!(stanzas, AT_ONCE, "the codec must take what it is measured with");
}

fn parse(parser: &mut rxml::Parser, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        match parser.parse(&mut bytes, false) {
            Ok(event) => {
                black_box(event);
            }
            Err(rxml::error::EndOrError::NeedMoreData) => break,
            Err(error) => panic!("rxml does not take the sample: {error:?}"),
        }
    }
}
