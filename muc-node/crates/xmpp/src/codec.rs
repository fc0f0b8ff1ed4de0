//! Reading a stream: bytes in, stanzas out.
//!
//! The decoder is strict where two parsers could disagree (RFC 6120 section 11: anything that is not
//! well-formed, undeclared prefixes, DTDs, comments, processing instructions and invalid UTF-8 end
//! the stream), and bounded everywhere ([`crate::limits`]). Bytes are counted before anything is
//! built from them, so its memory does not depend on what a stranger sends: a token
//! ([`HardLimits::token_bytes`]), the stanza under construction ([`Limits::stanza_bytes`]), the names
//! of open elements ([`HardLimits::depth`], [`HardLimits::name_bytes`]), and what was fed but not yet
//! taken out by [`Decoder::next`].
//!
//! In a stanza that is being skipped only the tokenizer still checks: its prefixes and duplicate
//! attributes are not looked at any more.
//!
//! [`HardLimits::token_bytes`]: crate::limits::HardLimits::token_bytes
//! [`HardLimits::depth`]: crate::limits::HardLimits::depth
//! [`HardLimits::name_bytes`]: crate::limits::HardLimits::name_bytes

use std::borrow::Cow;

use crate::error::StreamCondition;
use crate::limits::{Limits, Refusal};
use crate::reader::Reader;
use crate::stanza::{ChildRef, Content, Head, Stanza};
use crate::tokens::Tokens;

/// What a stream brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The stream header.
    Open(StreamHeader),
    /// A stanza.
    Stanza(Stanza),
    /// Another element at the level of stanzas, such as `stream:features`.
    Nonza(Nonza),
    /// A stanza that was skipped; the stream goes on.
    Refused {
        /// What was known of it: attributes that came before the limit was met are there.
        head: Head,
        /// What was wrong.
        why: Refusal,
    },
    /// The end of the stream, `</stream:stream>`. Nothing follows.
    Close,
}

/// The stream header as the peer sent it (RFC 6120 section 4.7). Nothing in it is judged yet, except
/// that it is one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StreamHeader {
    /// The content namespace: stanzas are recognised only in the one the decoder was made for.
    pub ns: Box<str>,
    /// `from`, as it came.
    pub from: Option<Box<str>>,
    /// `to`, as it came.
    pub to: Option<Box<str>>,
    /// The stream id.
    pub id: Option<Box<str>>,
    /// The version of XMPP; without it, before RFC 3920.
    pub version: Option<Box<str>>,
    /// `xml:lang`.
    pub lang: Option<Box<str>>,
    /// Whether the prefix `db` is declared for dialback (XEP-0220 section 2.1).
    pub xmlns_db: bool,
}

/// An element at the level of stanzas that is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nonza {
    /// The element itself, as the only child. Elements of the stream's content namespace (such as the
    /// `handshake` of XEP-0114) are, like everywhere, in [`crate::ns::CLIENT`].
    pub content: Content,
}

impl Nonza {
    /// The element.
    pub fn element(&self) -> ChildRef<'_> {
        self.content.iter().next().unwrap_or(ChildRef { name: "", ns: "", bytes: b"" })
    }

    /// Its local name.
    pub fn name(&self) -> &str {
        self.element().name
    }

    /// Its namespace.
    pub fn ns(&self) -> &str {
        self.element().ns
    }

    /// Whether it has this name and namespace.
    pub fn is(&self, name: &str, ns: &str) -> bool {
        self.element().is(name, ns)
    }
}

/// Why a stream cannot be read any further.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {text}", condition.as_str())]
pub struct StreamFault {
    /// What to tell the peer (RFC 6120 section 4.9.3).
    pub condition: StreamCondition,
    /// More of it, for the peer and the log.
    pub text: Cow<'static, str>,
}

impl StreamFault {
    /// A fault.
    pub fn new(condition: StreamCondition, text: impl Into<Cow<'static, str>>) -> Self {
        Self { condition, text: text.into() }
    }
}

/// The receiving half of one stream.
pub struct Decoder {
    tokens: Tokens,
    reader: Reader,
    buffer: Vec<u8>,
    /// What of `buffer` was read.
    at: usize,
    fault: Option<StreamFault>,
}

impl Decoder {
    /// Bytes of buffer kept while it is empty.
    const KEPT: usize = 64 * 1024;

    /// Reads a stream whose stanzas are in `content_ns`, from its first byte on.
    pub fn new(content_ns: &'static str, limits: Limits) -> Self {
        Self::over(Reader::stream(content_ns, limits), limits)
    }

    /// Reads a single stanza that is a document of its own.
    pub(crate) fn fragment(limits: Limits) -> Self {
        Self::over(Reader::fragment(limits), limits)
    }

    fn over(reader: Reader, limits: Limits) -> Self {
        Self { tokens: Tokens::new(limits.hard), reader, buffer: Vec::new(), at: 0, fault: None }
    }

    /// Takes bytes from the peer. They may be cut anywhere.
    pub fn feed(&mut self, bytes: &[u8]) {
        if self.fault.is_some() || self.reader.closed() {
            return;
        }
        if self.at > 0 {
            self.buffer.drain(..self.at);
            self.at = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// What the bytes so far amount to; `None` if more are needed. After an error the same error
    /// comes for ever.
    // An iterator could not be fed between two of its items.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Option<Event>, StreamFault> {
        if let Some(fault) = &self.fault {
            return Err(fault.clone());
        }
        let event = self.read();
        if let Err(fault) = &event {
            self.fault = Some(fault.clone());
            self.buffer = Vec::new();
            self.at = 0;
        }
        event
    }

    fn read(&mut self) -> Result<Option<Event>, StreamFault> {
        while !self.reader.closed() {
            let rest = self.buffer.get(self.at..).unwrap_or_default();
            let (used, token) = self.tokens.next(rest)?;
            self.at += used;
            self.reader.count(used)?;
            let Some(token) = token else {
                self.reader.pending(self.buffer.len() - self.at)?;
                break;
            };
            if let Some(event) = self.reader.token(token)? {
                return Ok(Some(event));
            }
        }
        // Behind the end of the stream nothing has a meaning.
        if self.at == self.buffer.len() || self.reader.closed() {
            self.buffer.clear();
            self.buffer.shrink_to(Self::KEPT);
            self.at = 0;
        }
        Ok(None)
    }

    /// Bytes that were fed and not read yet, those of an incomplete token too. After STARTTLS there must be none (RFC 6120 section
    /// 5.4.3.3).
    pub fn unread(&self) -> usize {
        self.buffer.len() - self.at
    }

    /// Expects a new stream on the same connection, as after SASL (RFC 6120 section 6.4.6). Bytes that
    /// were not read yet belong to it.
    pub fn restart(&mut self) {
        self.tokens = Tokens::new(self.reader.limits().hard);
        self.reader.restart();
    }

    /// Replaces the limits, as when a peer has proved who it is.
    pub fn set_limits(&mut self, limits: Limits) {
        self.tokens.set_limits(limits.hard);
        self.reader.set_limits(limits);
    }

    /// Gives back buffers that may have grown: for a stream that is idle.
    pub fn shrink(&mut self) {
        self.tokens.shrink();
        self.buffer.drain(..self.at);
        self.at = 0;
        self.buffer.shrink_to_fit();
    }
}
