//! What all streams share: reading, and ending in order.

use bytes::Bytes;
use warren_xmpp::error::{StreamCondition, stream_error};
use warren_xmpp::{Decoder, Event, Limits, StreamFault, ns};

const END: &[u8] = b"</stream:stream>";

/// The receiving half, and what was promised on the sending half.
pub(crate) struct Wire {
    decoder: Decoder,
    /// We have sent the end of our stream: nothing may follow.
    ended: bool,
}

impl Wire {
    pub fn new(content_ns: &'static str, limits: Limits) -> Self {
        Self { decoder: Decoder::new(content_ns, limits), ended: false }
    }

    pub fn feed(&mut self, bytes: &[u8]) {
        self.decoder.feed(bytes);
    }

    pub fn next(&mut self) -> Result<Option<Event>, StreamFault> {
        self.decoder.next()
    }

    pub fn shrink(&mut self) {
        self.decoder.shrink();
    }

    /// The opening of our stream (RFC 6120 section 4.7), with more attributes of it, escaped.
    pub fn header(content_ns: &str, attrs: &[u8]) -> Bytes {
        let mut out = b"<?xml version='1.0'?><stream:stream xmlns='".to_vec();
        out.extend_from_slice(content_ns.as_bytes());
        out.extend_from_slice(b"' xmlns:stream='");
        out.extend_from_slice(ns::STREAMS.as_bytes());
        out.push(b'\'');
        out.extend_from_slice(attrs);
        out.push(b'>');
        out.into()
    }

    /// The end of our stream; `None` if it was sent before.
    pub fn end(&mut self) -> Option<Bytes> {
        (!std::mem::replace(&mut self.ended, true)).then_some(Bytes::from_static(END))
    }

    /// A stream error and the end of our stream (RFC 6120 section 4.9.1); `None` if that was sent before.
    pub fn fail(&mut self, condition: StreamCondition, text: &str) -> Option<Bytes> {
        let end = self.end()?;
        Some([&stream_error(condition, Some(text)), &end].map(|part| &part[..]).concat().into())
    }
}
