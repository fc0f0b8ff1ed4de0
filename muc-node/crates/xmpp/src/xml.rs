//! Characters, names and references (XML 1.0 and Namespaces in XML 1.0).

use std::borrow::Cow;

use crate::codec::StreamFault;
use crate::error::StreamCondition;

/// A name in its two parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Name<'a> {
    pub prefix: Option<&'a str>,
    pub local: &'a str,
}

impl<'a> Name<'a> {
    /// Reads a name and checks it (Namespaces in XML 1.0 section 4).
    pub fn parse(bytes: &'a [u8]) -> Result<Self, StreamFault> {
        let name = utf8(bytes)?;
        let (prefix, local) = match name.split_once(':') {
            Some((prefix, local)) => (Some(prefix), local),
            None => (None, name),
        };
        if prefix.is_none_or(is_ncname) && is_ncname(local) {
            Ok(Self { prefix, local })
        } else {
            Err(not_well_formed("not a name"))
        }
    }

    /// Bytes of both parts.
    pub fn len(&self) -> usize {
        self.prefix.map_or(0, str::len) + self.local.len()
    }
}

/// A name without a colon.
fn is_ncname(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(is_name_start) && chars.all(|c| is_name_start(c) || is_name_inner(c))
}

/// `NameStartChar` without the colon (XML 1.0 section 2.3).
fn is_name_start(c: char) -> bool {
    matches!(c,
        'a'..='z' | 'A'..='Z' | '_' | '\u{c0}'..='\u{d6}' | '\u{d8}'..='\u{f6}' | '\u{f8}'..='\u{2ff}'
        | '\u{370}'..='\u{37d}' | '\u{37f}'..='\u{1fff}' | '\u{200c}'..='\u{200d}' | '\u{2070}'..='\u{218f}'
        | '\u{2c00}'..='\u{2fef}' | '\u{3001}'..='\u{d7ff}' | '\u{f900}'..='\u{fdcf}' | '\u{fdf0}'..='\u{fffd}'
        | '\u{10000}'..='\u{effff}')
}

/// What `NameChar` has beyond it.
fn is_name_inner(c: char) -> bool {
    matches!(c, '-' | '.' | '0'..='9' | '\u{b7}' | '\u{300}'..='\u{36f}' | '\u{203f}'..='\u{2040}')
}

/// Whether a byte may be part of a name, colon included. Precise enough to find its end.
pub(crate) fn is_name_byte(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'_' | b':' | b'-' | b'.') || b >= 0x80
}

/// White space (XML 1.0 section 2.3).
pub(crate) fn is_space(b: u8) -> bool {
    matches!(b, b' ' | b'\t' | b'\r' | b'\n')
}

/// Where characters stand: not all mean the same everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Context {
    Attr,
    Text,
    Cdata,
}

/// The longest reference, `&#x10FFFF;` with some zeros.
pub(crate) const REFERENCE: usize = 16;

/// The characters that `raw` stands for: references resolved, line ends and the white space of
/// attributes normalised (XML 1.0 sections 2.11 and 3.3.3).
pub(crate) fn resolve(raw: &[u8], context: Context) -> Result<Cow<'_, str>, StreamFault> {
    let s = utf8(raw)?;
    // Nearly always nothing is to be done.
    let Some(mut at) = raw.iter().position(|b| matches!(b, ..0x20 | b'&' | b'<' | b']' | 0xef)) else {
        return Ok(Cow::Borrowed(s));
    };
    let mut out = String::new();
    let mut done = 0;
    while let Some(&b) = raw.get(at) {
        let (used, c) = match b {
            b'&' if context != Context::Cdata => reference(&s[at..])?,
            b'<' if context != Context::Cdata => return Err(not_well_formed("a < where there can be none")),
            b'\r' => {
                let used = if raw.get(at + 1) == Some(&b'\n') { 2 } else { 1 };
                (used, if context == Context::Attr { ' ' } else { '\n' })
            }
            b'\t' | b'\n' if context == Context::Attr => (1, ' '),
            b']' if context == Context::Text && raw[at..].starts_with(b"]]>") => {
                return Err(not_well_formed("]]> in text"));
            }
            0xef if raw[at..].starts_with(b"\xef\xbf\xbe") || raw[at..].starts_with(b"\xef\xbf\xbf") => {
                return Err(not_well_formed("a character that XML does not have"));
            }
            b'\t' | b'\n' | 0x20.. => {
                at += 1;
                continue;
            }
            _ => return Err(not_well_formed("a character that XML does not have")),
        };
        out.push_str(&s[done..at]);
        out.push(c);
        at += used;
        done = at;
    }
    if done == 0 {
        return Ok(Cow::Borrowed(s));
    }
    out.push_str(&s[done..]);
    Ok(Cow::Owned(out))
}

/// The reference at the beginning of `s` (XML 1.0 sections 4.1 and 4.6): its length and character.
fn reference(s: &str) -> Result<(usize, char), StreamFault> {
    let name = s.bytes().take(REFERENCE).position(|b| b == b';').and_then(|end| s.get(1..end));
    let Some(name) = name else {
        return Err(not_well_formed("an & without its ;"));
    };
    let c = match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "apos" => Some('\''),
        "quot" => Some('"'),
        _ => name.strip_prefix('#').and_then(|code| {
            let (code, radix) = match code.strip_prefix('x') {
                Some(code) => (code, 16),
                None => (code, 10),
            };
            // No sign, which the standard library would take.
            let digits = code.bytes().all(|b| b.is_ascii_hexdigit());
            u32::from_str_radix(code, radix).ok().filter(|_| digits).and_then(char::from_u32).filter(|c| is_char(*c))
        }),
    };
    c.map(|c| (name.len() + 2, c)).ok_or_else(|| not_well_formed("a reference to nothing"))
}

/// `Char` (XML 1.0 section 2.2).
fn is_char(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..)
}

fn utf8(bytes: &[u8]) -> Result<&str, StreamFault> {
    std::str::from_utf8(bytes).map_err(|_| not_well_formed("not UTF-8"))
}

pub(crate) fn not_well_formed(text: &'static str) -> StreamFault {
    StreamFault::new(StreamCondition::NotWellFormed, text)
}
