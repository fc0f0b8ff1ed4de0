//! The tokenizer: bytes in, raw XML tokens out (XML 1.0 as far as RFC 6120 section 11 allows it).
//!
//! Our own, and not `rxml`'s, because that ends the stream for two things that Prosody 0.12 passes on
//! from any user to a component: a carriage return in an attribute, which Prosody does not escape, and
//! names in the namespace of the prefix `xml`, which it writes with a declaration. It also copies every
//! name and value, which took most of the time of reading. `minidom`, which reads with `rxml`, is the
//! oracle of the tests and the fuzzer.
//!
//! What is checked here: start and end tags match; names, characters, references and UTF-8; DTDs,
//! comments and processing instructions are errors. What is not: namespaces, duplicate attributes, and
//! any limit but those that bound what is held here.

use std::borrow::Cow;

use crate::codec::StreamFault;
use crate::error::StreamCondition;
use crate::limits::HardLimits;
use crate::xml::{self, Context, Name, not_well_formed};

/// A raw XML token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Token<'a> {
    /// The name of a start tag.
    Open(Name<'a>),
    /// One attribute of it, namespace declarations included, references resolved.
    Attr(Name<'a>, Cow<'a, str>),
    /// The end of the start tag.
    OpenEnd,
    /// An end tag, also that of an empty element.
    Close,
    /// A piece of text, references and CDATA sections resolved.
    Text(Cow<'a, str>),
    /// The XML declaration.
    Declaration,
}

/// Where in the document the next byte stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// At its very beginning.
    Start,
    /// Before its first element.
    Prolog,
    /// Between tags.
    Content,
    /// In a CDATA section.
    Cdata,
    /// In a start tag behind the name. Whether there was a space.
    Tag(bool),
    /// Behind `/>`, of which the end tag is still to be told.
    Empty,
    /// Behind its last element.
    End,
}

/// What an incomplete token waits for, and from where on to look for it: without this, bytes that
/// come one by one would be looked at again and again.
#[derive(Debug, Clone, Copy)]
enum Wait {
    Nothing,
    /// A byte that is in no name.
    NameEnd(usize),
    /// A byte that is no space.
    SpaceEnd(usize),
    /// This quote.
    Quote(u8, usize),
}

/// The tokenizer of one stream.
#[derive(Debug)]
pub(crate) struct Tokens {
    limits: HardLimits,
    state: State,
    wait: Wait,
    /// The names of open elements, one behind the other.
    names: Vec<u8>,
    /// Where each of them begins.
    open: Vec<u32>,
}

impl Tokens {
    /// A text longer than this comes in pieces.
    const TEXT: usize = 8 * 1024;

    pub fn new(limits: HardLimits) -> Self {
        Self { limits, state: State::Start, wait: Wait::Nothing, names: Vec::new(), open: Vec::new() }
    }

    pub fn set_limits(&mut self, limits: HardLimits) {
        self.limits = limits;
    }

    /// Gives back buffers that may have grown.
    pub fn shrink(&mut self) {
        self.names.shrink_to_fit();
        self.open.shrink_to_fit();
    }

    /// The next token in `input`, and how much of it was read. Without a token, what was not read is
    /// the beginning of one and must be there again, with more behind it.
    pub fn next<'a>(&mut self, input: &'a [u8]) -> Result<(usize, Option<Token<'a>>), StreamFault> {
        let mut at = 0;
        loop {
            let rest = &input[at..];
            if self.state == State::Empty {
                return self.close().map(|()| (at, Some(Token::Close)));
            }
            if self.waits(rest) {
                return self.incomplete(rest).map(|()| (at, None));
            }
            let (used, token) = match self.state {
                State::Start => self.start(rest)?,
                State::Prolog | State::End => self.outside(rest)?,
                State::Content if rest.first() == Some(&b'<') => self.markup(rest)?,
                State::Content => Self::text(rest)?,
                State::Cdata => self.cdata(rest)?,
                State::Tag(space) => self.tag(rest, space)?,
                State::Empty => (0, None),
            };
            at += used;
            if token.is_some() {
                return Ok((at, token));
            }
            if used == 0 && self.state != State::Empty {
                return self.incomplete(&input[at..]).map(|()| (at, None));
            }
        }
    }

    /// Whether what the token waits for has not come.
    fn waits(&mut self, rest: &[u8]) -> bool {
        let find = |from: usize, wanted: &dyn Fn(u8) -> bool| rest.iter().skip(from).any(|b| wanted(*b));
        let (found, next) = match self.wait {
            Wait::Nothing => return false,
            Wait::NameEnd(from) => (find(from, &|b| !xml::is_name_byte(b)), Wait::NameEnd(rest.len())),
            Wait::SpaceEnd(from) => (find(from, &|b| !xml::is_space(b)), Wait::SpaceEnd(rest.len())),
            Wait::Quote(quote, from) => (find(from, &|b| b == quote), Wait::Quote(quote, rest.len())),
        };
        self.wait = if found { Wait::Nothing } else { next };
        !found
    }

    /// More bytes are needed. Only so many are waited for.
    fn incomplete(&self, rest: &[u8]) -> Result<(), StreamFault> {
        if rest.len() > self.limits.token_bytes {
            return Err(policy("a name or an attribute value is far too long"));
        }
        Ok(())
    }

    /// The XML declaration, if there is one (XML 1.0 section 2.8).
    fn start<'a>(&mut self, rest: &'a [u8]) -> Scan<'a> {
        if rest.len() < 2 && b"<?".starts_with(rest) {
            return MORE;
        }
        self.state = State::Prolog;
        let Some(inner) = rest.strip_prefix(b"<?") else {
            return self.outside(rest);
        };
        let Some(end) = inner.windows(2).position(|two| two == b"?>") else {
            self.state = State::Start;
            return MORE;
        };
        check_declaration(&inner[..end])?;
        Ok((end + 4, Some(Token::Declaration)))
    }

    /// Before the first element or behind the last.
    fn outside<'a>(&mut self, rest: &'a [u8]) -> Scan<'a> {
        let spaces = rest.iter().take_while(|b| xml::is_space(**b)).count();
        match rest.get(spaces) {
            Some(b'<') if self.state == State::Prolog => {
                let (used, token) = self.markup(&rest[spaces..])?;
                Ok((spaces + used, token))
            }
            Some(_) => Err(not_well_formed("something outside the only element")),
            None => Ok((spaces, None)),
        }
    }

    /// What begins with `<`.
    fn markup<'a>(&mut self, rest: &'a [u8]) -> Scan<'a> {
        const CDATA: &[u8] = b"<![CDATA[";
        let prolog = self.state == State::Prolog;
        match rest.get(1) {
            None => MORE,
            Some(b'/') if !prolog => self.end_tag(rest),
            Some(b'!') if !prolog && rest.starts_with(CDATA) => {
                self.state = State::Cdata;
                Ok((CDATA.len(), None))
            }
            Some(b'!') if !prolog && CDATA.starts_with(rest) => MORE,
            Some(b'!') => Err(restricted("a comment or DTD")),
            Some(b'?') => Err(restricted("a processing instruction")),
            Some(_) => self.open(rest),
        }
    }

    fn open<'a>(&mut self, rest: &'a [u8]) -> Scan<'a> {
        let Some(end) = self.name_end(rest, 1) else {
            return MORE;
        };
        let raw = &rest[1..end];
        let name = Name::parse(raw)?;
        if self.open.len() >= self.limits.depth {
            return Err(policy("nested far too deep"));
        }
        if self.names.len() + raw.len() > self.limits.name_bytes {
            return Err(policy("far too long names"));
        }
        // Cannot overflow: names are bounded by what was just checked, or by the address space.
        self.open.push(u32::try_from(self.names.len()).unwrap_or(u32::MAX));
        self.names.extend_from_slice(raw);
        self.state = State::Tag(false);
        Ok((end, Some(Token::Open(name))))
    }

    fn end_tag<'a>(&mut self, rest: &'a [u8]) -> Scan<'a> {
        let Some(end) = self.name_end(rest, 2) else {
            return MORE;
        };
        let Some(close) = self.space_end(rest, end) else {
            return MORE;
        };
        if rest[close] != b'>' {
            return Err(not_well_formed("an end tag with more than a name"));
        }
        let from = self.open.last().map_or(0, |from| *from as usize);
        if self.names.get(from..) != Some(&rest[2..end]) {
            return Err(not_well_formed("start and end tag do not match"));
        }
        self.close()?;
        Ok((close + 1, Some(Token::Close)))
    }

    /// An element ends.
    fn close(&mut self) -> Result<(), StreamFault> {
        let from = self.open.pop().ok_or_else(|| not_well_formed("an end tag too many"))?;
        self.names.truncate(from as usize);
        self.state = if self.open.is_empty() { State::End } else { State::Content };
        Ok(())
    }

    /// In a start tag, behind its name.
    fn tag<'a>(&mut self, rest: &'a [u8], space: bool) -> Scan<'a> {
        let spaces = rest.iter().take_while(|b| xml::is_space(**b)).count();
        if spaces > 0 {
            self.state = State::Tag(true);
            return Ok((spaces, None));
        }
        match rest {
            [] | [b'/'] => MORE,
            [b'>', ..] => {
                self.state = State::Content;
                Ok((1, Some(Token::OpenEnd)))
            }
            [b'/', b'>', ..] => {
                self.state = State::Empty;
                Ok((2, Some(Token::OpenEnd)))
            }
            _ if space => self.attr(rest),
            _ => Err(not_well_formed("no space before an attribute")),
        }
    }

    fn attr<'a>(&mut self, rest: &'a [u8]) -> Scan<'a> {
        let Some(end) = self.name_end(rest, 0) else {
            return MORE;
        };
        let name = Name::parse(&rest[..end])?;
        let Some(equals) = self.space_end(rest, end) else {
            return MORE;
        };
        if rest[equals] != b'=' {
            return Err(not_well_formed("an attribute without ="));
        }
        let Some(open) = self.space_end(rest, equals + 1) else {
            return MORE;
        };
        let quote = rest[open];
        if !matches!(quote, b'\'' | b'"') {
            return Err(not_well_formed("an attribute without quotes"));
        }
        let Some(len) = rest[open + 1..].iter().position(|b| *b == quote) else {
            self.wait = Wait::Quote(quote, rest.len());
            return MORE;
        };
        let close = open + 1 + len;
        if close > self.limits.token_bytes {
            return Err(policy("an attribute value is far too long"));
        }
        let value = xml::resolve(&rest[open + 1..close], Context::Attr)?;
        self.state = State::Tag(false);
        Ok((close + 1, Some(Token::Attr(name, value))))
    }

    /// Text up to the next tag, or as much of it as is there.
    fn text(rest: &[u8]) -> Scan<'_> {
        let window = &rest[..rest.len().min(Self::TEXT)];
        let raw = if let Some(end) = window.iter().position(|b| *b == b'<') {
            &window[..end]
        } else {
            // A reference may lack its end. One that is too long for any is told to be wrong.
            let tail = window.len().saturating_sub(xml::REFERENCE);
            let cut = window[tail..].iter().rposition(|b| matches!(b, b'&' | b';')).map(|cut| tail + cut);
            complete(&window[..cut.filter(|cut| window[*cut] == b'&').unwrap_or(window.len())])
        };
        if raw.is_empty() {
            return MORE;
        }
        Ok((raw.len(), Some(Token::Text(xml::resolve(raw, Context::Text)?))))
    }

    /// The same in a CDATA section.
    fn cdata<'a>(&mut self, rest: &'a [u8]) -> Scan<'a> {
        let window = &rest[..rest.len().min(Self::TEXT)];
        let end = window.windows(3).position(|three| three == b"]]>");
        if end == Some(0) {
            self.state = State::Content;
            return Ok((3, None));
        }
        let raw = match end {
            Some(end) => &window[..end],
            None => complete(window),
        };
        if raw.is_empty() {
            return MORE;
        }
        Ok((raw.len(), Some(Token::Text(xml::resolve(raw, Context::Cdata)?))))
    }

    /// Where the name that begins at `from` ends, if its end is there.
    fn name_end(&mut self, rest: &[u8], from: usize) -> Option<usize> {
        let len = rest[from..].iter().position(|b| !xml::is_name_byte(*b));
        if len.is_none() {
            self.wait = Wait::NameEnd(rest.len());
        }
        len.map(|len| from + len)
    }

    /// Where the space at `from`, if any, ends.
    fn space_end(&mut self, rest: &[u8], from: usize) -> Option<usize> {
        let len = rest[from..].iter().position(|b| !xml::is_space(*b));
        if len.is_none() {
            self.wait = Wait::SpaceEnd(rest.len());
        }
        len.map(|len| from + len)
    }
}

/// How much was read, and what it was.
type Scan<'a> = Result<(usize, Option<Token<'a>>), StreamFault>;

/// More bytes are needed.
const MORE: Scan<'static> = Ok((0, None));

/// Text without what may mean something else with more behind it: the first bytes of a character, a
/// carriage return, the first two bytes of `]]>`.
fn complete(raw: &[u8]) -> &[u8] {
    let mut raw = match std::str::from_utf8(raw) {
        Err(error) if error.error_len().is_none() => &raw[..error.valid_up_to()],
        _ => raw,
    };
    for _ in 0..2 {
        raw = raw.strip_suffix(b"]").unwrap_or(raw);
    }
    raw.strip_suffix(b"\r").unwrap_or(raw)
}

/// What stands between `<?` and `?>`. Only UTF-8 (RFC 6120 section 11.6) and what says nothing.
fn check_declaration(raw: &[u8]) -> Result<(), StreamFault> {
    let malformed = || not_well_formed("not an XML declaration");
    let Some(mut rest) = raw.strip_prefix(b"xml") else {
        return Err(restricted("a processing instruction"));
    };
    let mut names = ["version", "encoding", "standalone"].iter();
    let mut first = true;
    loop {
        let trimmed = rest.trim_ascii_start();
        if trimmed.is_empty() && !first {
            return Ok(());
        }
        let end = trimmed.iter().position(|b| !xml::is_name_byte(*b)).ok_or_else(malformed)?;
        let (name, behind) = trimmed.split_at(end);
        let known = names.find(|known| known.as_bytes() == name).ok_or_else(malformed)?;
        let behind = behind.trim_ascii_start().strip_prefix(b"=").ok_or_else(malformed)?.trim_ascii_start();
        let (quote, behind) = behind.split_first().filter(|(b, _)| matches!(b, b'\'' | b'"')).ok_or_else(malformed)?;
        let end = behind.iter().position(|b| b == quote).ok_or_else(malformed)?;
        let value = &behind[..end];
        let sound = match *known {
            "version" => value == b"1.0",
            "encoding" => value.eq_ignore_ascii_case(b"utf-8"),
            _ => value == b"yes",
        };
        if rest.len() == trimmed.len() || (first && *known != "version") {
            return Err(malformed());
        }
        if !sound {
            let condition = if *known == "encoding" {
                StreamCondition::UnsupportedEncoding
            } else {
                StreamCondition::RestrictedXml
            };
            return Err(StreamFault::new(condition, "only XML 1.0 in UTF-8"));
        }
        first = false;
        rest = &behind[end + 1..];
    }
}

fn policy(text: &'static str) -> StreamFault {
    StreamFault::new(StreamCondition::PolicyViolation, text)
}

fn restricted(text: &'static str) -> StreamFault {
    StreamFault::new(StreamCondition::RestrictedXml, text)
}
