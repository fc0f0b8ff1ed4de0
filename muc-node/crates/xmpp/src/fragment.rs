//! Text that is no stream: stored content, configuration, tests.

use crate::codec::{Decoder, Event, StreamFault};
use crate::limits::Limits;
use crate::stanza::{Content, ParseError, Stanza};

/// What stands around content to make a document of it.
const BEFORE: &[u8] = b"<message>";
const AFTER: &[u8] = b"</message>";

pub(crate) fn content(xml: &[u8]) -> Result<Content, ParseError> {
    if xml.is_empty() {
        return Ok(Content::empty());
    }
    let mut decoder = Decoder::fragment(limits());
    decoder.feed(BEFORE);
    decoder.feed(xml);
    // Nothing may be complete before the end that we write ourselves.
    if decoder.next()?.is_some() {
        return Err(ParseError::Xml("an end tag too many".into()));
    }
    decoder.feed(AFTER);
    only(decoder).map(|stanza| stanza.content)
}

pub(crate) fn stanza(xml: &[u8]) -> Result<Stanza, ParseError> {
    let xml = xml.trim_ascii();
    let mut decoder = Decoder::fragment(limits());
    decoder.feed(xml);
    only(decoder)
}

/// The limits of content, for what is wrapped.
fn limits() -> Limits {
    let limits = Limits::outgoing();
    Limits { stanza_bytes: limits.stanza_bytes + BEFORE.len() + AFTER.len(), ..limits }
}

fn only(mut decoder: Decoder) -> Result<Stanza, ParseError> {
    let event = decoder.next()?;
    if decoder.next()?.is_some() || decoder.unread() > 0 {
        return Err(ParseError::Xml("something behind the end".into()));
    }
    match event {
        Some(Event::Stanza(stanza)) => Ok(stanza),
        Some(Event::Refused { why, .. }) => Err(ParseError::Refused(why)),
        Some(_) => Err(ParseError::NoStanza),
        None => Err(ParseError::Xml("an element without end".into())),
    }
}

impl From<StreamFault> for ParseError {
    fn from(fault: StreamFault) -> Self {
        Self::Xml(fault.text.into_owned())
    }
}
