//! From tokens to stanzas: levels, limits, heads.

use jid::Jid;

use crate::canon::Canon;
use crate::codec::{Event, Nonza, StreamFault, StreamHeader};
use crate::error::StreamCondition;
use crate::limits::{Limits, Refusal};
use crate::names::{Ns, Scopes};
use crate::ns;
use crate::stanza::{Head, Kind, Stanza};
use crate::tag::{Attr, Tag};
use crate::tokens::Token;
use crate::xml::Name;

/// The level of the stream header.
const HEADER: usize = 1;
/// The level of stanzas.
const STANZA: usize = 2;
/// What is being read.
enum State {
    /// The stream header is not complete.
    Header,
    /// Between two stanzas, or in a start tag at their level.
    Between,
    /// In a stanza.
    Stanza(Head),
    /// In another element at the level of stanzas.
    Nonza,
    /// In a stanza that is not built. No head: its start tag is not complete.
    Skip(Option<Head>, Refusal),
    /// Behind the end of the stream.
    Closed,
}

/// The state of a stream above its tokens.
pub(crate) struct Reader {
    content_ns: &'static str,
    limits: Limits,
    state: State,
    scopes: Scopes,
    canon: Canon,
    tag: Tag,
    /// Open elements, the stream header included.
    depth: usize,
    /// Bytes of the header or stanza in progress.
    bytes: usize,
    /// Its elements.
    elements: usize,
}

impl Reader {
    pub fn stream(content_ns: &'static str, limits: Limits) -> Self {
        Self {
            content_ns,
            limits,
            state: State::Header,
            scopes: Scopes::default(),
            canon: Canon::default(),
            tag: Tag::default(),
            depth: 0,
            bytes: 0,
            elements: 0,
        }
    }

    /// A stanza that is a document of its own, in the stanza namespace if it does not say otherwise.
    pub fn fragment(limits: Limits) -> Self {
        let mut reader = Self { state: State::Between, depth: HEADER, ..Self::stream(ns::CLIENT, limits) };
        // The first declaration of all: it cannot fail.
        let _ = reader.scopes.declare(HEADER, None, ns::CLIENT);
        reader
    }

    pub fn restart(&mut self) {
        *self = Self::stream(self.content_ns, self.limits);
    }

    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    pub fn closed(&self) -> bool {
        matches!(self.state, State::Closed)
    }

    /// Counts bytes that the tokenizer has read, before the token that they make.
    pub fn count(&mut self, bytes: usize) -> Result<(), StreamFault> {
        self.bytes += bytes;
        match self.state {
            State::Header if self.bytes > self.limits.hard.header_bytes => Err(policy("the stream header is too long")),
            _ if self.bytes > self.limits.hard.stanza_bytes => Err(policy("a stanza is far too big")),
            State::Stanza(_) | State::Nonza | State::Between if self.bytes > self.limits.stanza_bytes => {
                if self.depth >= STANZA {
                    self.refuse(Refusal::TooBig)?;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Looks at bytes that are there, but no token yet.
    pub fn pending(&self, bytes: usize) -> Result<(), StreamFault> {
        if matches!(self.state, State::Header) && self.bytes + bytes > self.limits.hard.header_bytes {
            return Err(policy("the stream header is too long"));
        }
        Ok(())
    }

    pub fn token(&mut self, token: Token<'_>) -> Result<Option<Event>, StreamFault> {
        match token {
            Token::Declaration => Ok(None),
            Token::Open(name) => self.open(name).map(|()| None),
            Token::Attr(name, value) => self.attr(name, &value).map(|()| None),
            Token::OpenEnd => self.open_end(),
            Token::Text(text) => self.text(&text).map(|()| None),
            Token::Close => Ok(self.close()),
        }
    }

    fn open(&mut self, name: Name<'_>) -> Result<(), StreamFault> {
        self.depth += 1;
        if matches!(self.state, State::Skip(..)) {
            return Ok(());
        }
        self.tag.open(name);
        if self.depth > STANZA {
            self.elements += 1;
            if self.elements > self.limits.elements {
                return self.refuse(Refusal::TooManyElements);
            }
            if self.depth - STANZA > self.limits.depth() {
                return self.refuse(Refusal::TooDeep);
            }
        }
        if name.len() > self.limits.name_bytes {
            return self.refuse(Refusal::NameTooLong);
        }
        Ok(())
    }

    fn attr(&mut self, name: Name<'_>, value: &str) -> Result<(), StreamFault> {
        if let State::Skip(head, _) = &self.state {
            // Who sent it may come after what is wrong with it.
            if head.is_none() && self.depth == STANZA && is_head(name) && value.len() <= self.limits.value_bytes {
                let known = self.tag.attrs().any(|attr| attr.prefix.is_none() && attr.name == name.local);
                if !known {
                    self.tag.push(name, value);
                }
            }
            return Ok(());
        }
        if self.tag.len() + self.tag.declarations >= self.limits.attributes {
            return self.refuse(Refusal::TooManyAttributes);
        }
        if name.len() > self.limits.name_bytes {
            return self.refuse(Refusal::NameTooLong);
        }
        if value.len() > self.limits.value_bytes {
            return self.refuse(Refusal::ValueTooLong);
        }
        let declared = match name {
            Name { prefix: None, local: "xmlns" } => None,
            Name { prefix: Some("xmlns"), local } => Some(local),
            _ => {
                self.tag.push(name, value);
                return Ok(());
            }
        };
        if self.scopes.len() >= self.limits.declarations {
            return self.refuse(Refusal::TooManyDeclarations);
        }
        self.tag.declarations += 1;
        self.scopes.declare(self.depth, declared, value)
    }

    fn open_end(&mut self) -> Result<Option<Event>, StreamFault> {
        match &mut self.state {
            State::Skip(head @ None, _) => {
                let kind = Kind::parse(self.tag.name()).ok_or_else(|| policy("an element beyond the limits"))?;
                *head = Some(read_head(kind, &self.tag).0);
                Ok(None)
            }
            State::Skip(..) | State::Closed => Ok(None),
            State::Header => self.header().map(|header| Some(Event::Open(header))),
            State::Between => {
                let ns = self.scopes.resolve(self.tag.prefix())?;
                let kind = Kind::parse(self.tag.name()).filter(|_| self.scopes.name(ns) == self.content_ns);
                if let Some(kind) = kind {
                    self.canon.check(&self.tag, &self.scopes)?;
                    let (head, sound) = read_head(kind, &self.tag);
                    self.state = if sound { State::Stanza(head) } else { State::Skip(Some(head), Refusal::BadAddress) };
                } else {
                    self.state = State::Nonza;
                    self.start()?;
                }
                Ok(None)
            }
            State::Stanza(_) | State::Nonza => self.start().map(|()| None),
        }
    }

    /// Writes the complete start tag of an element of content.
    fn start(&mut self) -> Result<(), StreamFault> {
        let ns = self.scopes.resolve(self.tag.prefix())?;
        if ns == Ns::Xml {
            return self.refuse(Refusal::ReservedNamespace);
        }
        self.canon.start(&self.tag, ns, &self.scopes)?;
        self.limit_canon()
    }

    /// The canonical form may be longer than what came.
    fn limit_canon(&mut self) -> Result<(), StreamFault> {
        if self.canon.len() > self.limits.stanza_bytes {
            return self.refuse(Refusal::TooBig);
        }
        Ok(())
    }

    fn header(&mut self) -> Result<StreamHeader, StreamFault> {
        let ns = self.scopes.resolve(self.tag.prefix())?;
        if self.scopes.name(ns) != ns::STREAMS {
            return Err(StreamFault::new(StreamCondition::InvalidNamespace, "no XMPP stream"));
        }
        if self.tag.name() != "stream" {
            return Err(StreamFault::new(StreamCondition::BadFormat, "not the element stream"));
        }
        self.canon.check(&self.tag, &self.scopes)?;
        let mut header = StreamHeader {
            ns: self.scopes.name(self.scopes.resolve(None)?).into(),
            xmlns_db: self.scopes.resolve(Some("db")).is_ok_and(|db| self.scopes.name(db) == ns::DIALBACK),
            ..StreamHeader::default()
        };
        for attr in self.tag.attrs() {
            let slot = match (attr.prefix, attr.name) {
                (None, "from") => &mut header.from,
                (None, "to") => &mut header.to,
                (None, "id") => &mut header.id,
                (None, "version") => &mut header.version,
                (Some("xml"), "lang") => &mut header.lang,
                _ => continue,
            };
            *slot = Some(attr.value.into());
        }
        self.state = State::Between;
        self.begin();
        Ok(header)
    }

    fn text(&mut self, text: &str) -> Result<(), StreamFault> {
        match self.state {
            State::Stanza(_) | State::Nonza => {
                self.canon.text(text);
                self.limit_canon()
            }
            State::Between => {
                // Whitespace between stanzas keeps connections alive (RFC 6120 section 4.6.1).
                if !text.bytes().all(|b| b.is_ascii_whitespace()) {
                    return Err(StreamFault::new(StreamCondition::BadFormat, "text between stanzas"));
                }
                self.begin();
                Ok(())
            }
            State::Header | State::Skip(..) | State::Closed => Ok(()),
        }
    }

    fn close(&mut self) -> Option<Event> {
        self.scopes.leave(self.depth);
        self.depth = self.depth.saturating_sub(1);
        if self.depth > HEADER {
            if !matches!(self.state, State::Skip(..)) {
                self.canon.end();
            }
            return None;
        }
        if self.depth < HEADER {
            self.state = State::Closed;
            return Some(Event::Close);
        }
        let event = match std::mem::replace(&mut self.state, State::Between) {
            State::Stanza(head) => Some(Event::Stanza(Stanza { head, content: self.canon.finish() })),
            State::Nonza => {
                self.canon.end();
                Some(Event::Nonza(Nonza { content: self.canon.finish() }))
            }
            State::Skip(head, why) => head.map(|head| Event::Refused { head, why }),
            State::Header | State::Between | State::Closed => None,
        };
        self.begin();
        event
    }

    /// Nothing is in progress.
    fn begin(&mut self) {
        self.bytes = 0;
        self.elements = 0;
        self.tag.shrink();
    }

    /// Skips the rest of the stanza. Other elements come from the peer itself, not from its users:
    /// it is told.
    fn refuse(&mut self, why: Refusal) -> Result<(), StreamFault> {
        let head = match std::mem::replace(&mut self.state, State::Between) {
            State::Stanza(head) => Some(head),
            // In the start tag of the stanza itself.
            State::Between => None,
            State::Header => return Err(policy("the stream header is beyond the limits")),
            State::Nonza | State::Skip(..) | State::Closed => return Err(policy("an element beyond the limits")),
        };
        self.canon.clear();
        // Declarations inside are not looked at any more.
        self.scopes.leave(STANZA);
        self.state = State::Skip(head, why);
        Ok(())
    }
}

fn policy(text: &'static str) -> StreamFault {
    StreamFault::new(StreamCondition::PolicyViolation, text)
}

/// Whether an attribute belongs to what is told of a refused stanza.
fn is_head(name: Name<'_>) -> bool {
    name.prefix.is_none() && matches!(name.local, "from" | "to" | "id" | "type")
}

/// The head, and whether its addresses are sound.
fn read_head(kind: Kind, tag: &Tag) -> (Head, bool) {
    let mut head = Head::new(kind);
    let mut sound = true;
    for Attr { prefix, name, value } in tag.attrs() {
        match (prefix, name) {
            (None, "from" | "to") => {
                let jid = Jid::new(value);
                sound &= jid.is_ok();
                if name == "from" {
                    head.from = jid.ok();
                } else {
                    head.to = jid.ok();
                }
            }
            (None, "id") => head.id = Some(value.into()),
            (None, "type") => head.type_ = Some(value.into()),
            (Some("xml"), "lang") => head.lang = Some(value.into()),
            _ => {}
        }
    }
    (head, sound)
}
