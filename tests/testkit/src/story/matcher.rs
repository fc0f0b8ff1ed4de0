//! Whether a stanza is the one that the story tells.
//!
//! Strict: what is not named must not be there, except what [`FREE`] and [`SERVER_ADDITIONS`] list.

use std::collections::BTreeMap;
use std::fmt::Write;

use minidom::Element;

use super::stage::Level;

const CLIENT: &str = "jabber:client";
const STANZAS: &str = "urn:ietf:params:xml:ns:xmpp-stanzas";
const FMUC: &str = "http://isode.com/protocol/fmuc";
const WARREN_FMUC: &str = "urn:warren:fmuc:0";
const PRESENCE_SESSION: &str = "urn:xmpp:presence-session:0";
const OCCUPANT_ID: &str = "urn:xmpp:occupant-id:0";
const DATA: &str = "jabber:x:data";
const SID: &str = "urn:xmpp:sid:0";
const XML: &str = "http://www.w3.org/XML/1998/namespace";

/// What a story need not name, at any level. What it names must be there, and as it says.
pub const FREE: &[(&str, &str)] = &[
    ("any element", "the attribute `xml:lang`"),
    ("message, presence", "the attribute `id`; an `iq` has one in every story"),
    ("message, presence, iq at a user", "the attribute `to`; the runner checks that it is the user's address"),
    ("message, presence", "`<occupant-id/>` (XEP-0421)"),
    ("fmuc", "children in urn:warren:fmuc:0 and urn:xmpp:presence-session:0 (between Warren sites)"),
    ("a stanza of type error", "all children but `<error/>` (RFC 6120 8.3.1: the sender's XML may come back)"),
    ("error", "the attribute `by` and the element `<text/>`"),
    ("forms (jabber:x:data)", "texts for people: `<title/>`, `<instructions/>`, the attribute `label`"),
];

/// One thing that users' servers add on the way, seen at level `real` only.
#[derive(Clone, Copy, Debug)]
pub struct Addition {
    /// Who does it.
    pub server: &'static str,
    /// Stanza in which it appears.
    pub stanza: &'static str,
    /// Name of the element.
    pub name: &'static str,
    /// Namespace of the element.
    pub ns: &'static str,
    /// An attribute that must name the receiver's bare JID or server: no addition of anybody else passes.
    pub stamped: Option<&'static str>,
}

/// What servers add to stanzas of their own users, or to those for them.
pub const SERVER_ADDITIONS: &[Addition] = &[
    Addition {
        server: "Prosody, ejabberd (archive)",
        stanza: "message",
        name: "stanza-id",
        ns: SID,
        stamped: Some("by"),
    },
    Addition {
        server: "ejabberd (archive)",
        stanza: "message",
        name: "archived",
        ns: "urn:xmpp:mam:tmp",
        stamped: Some("by"),
    },
    Addition {
        server: "Prosody, ejabberd (XEP-0198 queue)",
        stanza: "message",
        name: "delay",
        ns: "urn:xmpp:delay",
        stamped: Some("from"),
    },
    Addition {
        server: "Prosody, ejabberd (XEP-0198 queue)",
        stanza: "presence",
        name: "delay",
        ns: "urn:xmpp:delay",
        stamped: Some("from"),
    },
    Addition {
        server: "Prosody (vcard_legacy), ejabberd (vcard_xupdate)",
        stanza: "presence",
        name: "x",
        ns: "vcard-temp:x:update",
        stamped: None,
    },
];

/// What the client library of the tests writes into every presence that it sends.
const CLIENT_ADDITION: &str = "priority";

/// Children whose order never means anything, so that they are compared as a set.
const SETS: &[&str] = &["status", "feature", "identity", "field", "item"];

/// Values of placeholders so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bindings {
    values: BTreeMap<String, String>,
    fresh: u32,
}

/// Where a comparison takes place.
#[derive(Clone, Copy, Debug)]
pub struct At<'a> {
    /// The stage's level.
    pub level: Level,
    /// The user's address, if the stanza was received by one.
    pub user: Option<&'a jid::Jid>,
}

impl Bindings {
    /// A stanza to be sent: placeholders get their values, unknown ones a fresh one.
    pub fn fill(&mut self, element: &Element) -> Element {
        let mut filled = element.clone();
        self.fill_in(&mut filled);
        filled
    }

    /// As far as it is known: for messages about failures.
    pub fn show(&self, element: &Element) -> Element {
        let mut shown = element.clone();
        replace(&mut shown, &mut |name| self.values.get(name).cloned());
        shown
    }

    fn fill_in(&mut self, element: &mut Element) {
        replace(element, &mut |name| {
            if name == "*" {
                return None;
            }
            if !self.values.contains_key(name) {
                self.fresh += 1;
                self.values.insert(name.to_owned(), format!("{name}-{}", self.fresh));
            }
            self.values.get(name).cloned()
        });
    }

    /// Binds or compares. `id`: different names stand for different values.
    fn agree(&mut self, template: &str, got: &str, id: bool) -> Result<(), String> {
        let mut literal = String::new();
        let mut rest = template;
        let mut open: Option<(String, String)> = None;
        while let Some((before, name, after)) = placeholder(rest) {
            literal.push_str(before);
            match self.values.get(name) {
                Some(value) => literal.push_str(value),
                None if open.is_none() => open = Some((std::mem::take(&mut literal), name.to_owned())),
                None => return Err(format!("two unknown placeholders in '{template}'")),
            }
            rest = after;
        }
        literal.push_str(rest);
        let Some((prefix, name)) = open else {
            return if literal == got { Ok(()) } else { Err(format!("'{got}' instead of '{literal}'")) };
        };
        let value =
            got.strip_prefix(&prefix).and_then(|got| got.strip_suffix(&literal)).filter(|value| !value.is_empty());
        let value = value.ok_or_else(|| format!("'{got}' instead of '{template}'"))?;
        if name != "*" {
            if let Some((other, _)) = self.values.iter().find(|(_, known)| id && *known == value) {
                return Err(format!("'{value}' for {{{name}}}, which is already {{{other}}}"));
            }
            self.values.insert(name, value.to_owned());
        }
        Ok(())
    }
}

/// The text before the first placeholder, its name, the text after it.
fn placeholder(text: &str) -> Option<(&str, &str, &str)> {
    let mut from = 0;
    while let Some(open) = text[from..].find('{').map(|at| at + from) {
        let close = text[open..].find('}').map(|at| at + open)?;
        let name = &text[open + 1..close];
        let known = name == "*"
            || (name.starts_with(|c: char| c.is_ascii_lowercase())
                && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'));
        if known {
            return Some((&text[..open], name, &text[close + 1..]));
        }
        from = open + 1;
    }
    None
}

fn replace(element: &mut Element, value: &mut impl FnMut(&str) -> Option<String>) {
    let mut text = |old: &str| {
        let (mut new, mut rest) = (String::new(), old);
        while let Some((before, name, after)) = placeholder(rest) {
            new.push_str(before);
            match value(name) {
                Some(value) => new.push_str(&value),
                None => _ = write!(new, "{{{name}}}"),
            }
            rest = after;
        }
        new.push_str(rest);
        new
    };
    for (_, attribute) in element.attrs_mut().iter_mut() {
        *attribute = text(attribute);
    }
    for node in element.texts_mut() {
        *node = text(node);
    }
    for child in element.children_mut() {
        replace(child, value);
    }
}

/// Compares; placeholders are bound only if everything agrees. The error lists the differences.
pub fn compare(expected: &Element, got: &Element, bindings: &mut Bindings, at: At<'_>) -> Result<(), Vec<String>> {
    let mut tried = bindings.clone();
    let mut differences = Vec::new();
    if expected.name() != got.name() {
        return Err(vec![format!("<{}/> instead of <{}/>", got.name(), expected.name())]);
    }
    Comparison { at, stanza: got }.element(expected, got, expected.name(), &mut tried, &mut differences);
    if differences.is_empty() {
        *bindings = tried;
        Ok(())
    } else {
        Err(differences)
    }
}

#[derive(Clone, Copy)]
struct Comparison<'a> {
    at: At<'a>,
    stanza: &'a Element,
}

impl Comparison<'_> {
    fn element(self, expected: &Element, got: &Element, path: &str, bindings: &mut Bindings, out: &mut Vec<String>) {
        let top = std::ptr::eq(got, self.stanza);
        self.attributes(expected, got, top, path, bindings, out);

        let want = expected.text();
        let want = if want.trim().is_empty() { "" } else { &*want };
        let open = want.trim() == "{*}";
        let has = got.text();
        let has = if has.trim().is_empty() { "" } else { &*has };
        if !open && let Err(why) = bindings.agree(want, has, false) {
            out.push(format!("{path}: text {why}"));
        }

        let key = |e: &Element| (e.name().to_owned(), e.ns());
        let mut kinds: Vec<(String, String)> = Vec::new();
        for child in expected.children().chain(got.children()) {
            let kind = key(child);
            if !kinds.contains(&kind) {
                kinds.push(kind);
            }
        }
        for kind in kinds {
            let wanted: Vec<&Element> = expected.children().filter(|child| key(child) == kind).collect();
            let found: Vec<&Element> = got.children().filter(|child| key(child) == kind).collect();
            let path = format!("{path}/{}", kind.0);
            let left = if SETS.contains(&kind.0.as_str()) {
                self.set(&wanted, &found, &path, bindings, out)
            } else {
                self.sequence(&wanted, &found, got, &path, bindings, out)
            };
            if !open {
                for extra in left.into_iter().filter(|extra| !self.free(got, extra)) {
                    out.push(format!("not named: {path}: {}", inline(extra)));
                }
            }
        }
    }

    fn attributes(
        self,
        expected: &Element,
        got: &Element,
        top: bool,
        path: &str,
        bindings: &mut Bindings,
        out: &mut Vec<String>,
    ) {
        for ((ns, name), want) in expected.attrs() {
            let has = got.attrs().iter().find(|((other, named), _)| *other == ns && *named == name);
            match has {
                None => out.push(format!("{path}: no attribute {name}")),
                Some((_, has)) => {
                    if let Err(why) = bindings.agree(want, has, name.as_str() == "id") {
                        out.push(format!("{path}: {name} {why}"));
                    }
                }
            }
        }
        for ((ns, name), has) in got.attrs() {
            if expected.attrs().iter().any(|((other, named), _)| other == ns && named == name) {
                continue;
            }
            let free = ns.as_str() == XML
                || (top && name.as_str() == "id" && got.name() != "iq")
                || (top && name.as_str() == "to" && self.at.user.is_some_and(|user| *has == user.as_str()))
                || (got.is("error", CLIENT) && name.as_str() == "by")
                || (got.ns() == DATA && name.as_str() == "label");
            if !free {
                out.push(format!("not named: {path}: {name}='{has}'"));
            }
        }
    }

    /// In order; what is free may stand between. Returns what is left over.
    fn sequence<'e>(
        self,
        wanted: &[&Element],
        found: &[&'e Element],
        parent: &Element,
        path: &str,
        bindings: &mut Bindings,
        out: &mut Vec<String>,
    ) -> Vec<&'e Element> {
        let mut left = Vec::new();
        let mut found = found.iter().copied().peekable();
        for want in wanted {
            let mut why = None;
            while let Some(candidate) = found.peek() {
                let (mut tried, mut differences) = (bindings.clone(), Vec::new());
                self.element(want, candidate, path, &mut tried, &mut differences);
                if differences.is_empty() {
                    *bindings = tried;
                    found.next();
                    why = Some(Vec::new());
                    break;
                }
                if self.free(parent, candidate) {
                    left.extend(found.next());
                } else {
                    found.next();
                    why = Some(differences);
                    break;
                }
            }
            match why {
                Some(differences) => out.extend(differences),
                None => out.push(format!("missing: {path}: {}", inline(&bindings.show(want)))),
            }
        }
        left.extend(found);
        left
    }

    /// In any order. Returns what is left over.
    fn set<'e>(
        self,
        wanted: &[&Element],
        found: &[&'e Element],
        path: &str,
        bindings: &mut Bindings,
        out: &mut Vec<String>,
    ) -> Vec<&'e Element> {
        if let Some((agreed, used)) = self.assign(wanted, found, &mut vec![false; found.len()], path, bindings) {
            *bindings = agreed;
            return found.iter().zip(used).filter_map(|(element, used)| (!used).then_some(*element)).collect();
        }
        let mut left: Vec<&Element> = found.to_vec();
        for want in wanted {
            let fit = left.iter().position(|candidate| {
                let (mut tried, mut differences) = (bindings.clone(), Vec::new());
                self.element(want, candidate, path, &mut tried, &mut differences);
                differences.is_empty()
            });
            match fit {
                Some(fit) => _ = left.remove(fit),
                None => out.push(format!("missing: {path}: {}", inline(&bindings.show(want)))),
            }
        }
        if out.is_empty() {
            out.push(format!("{path}: placeholders do not fit together"));
        }
        left
    }

    fn assign(
        self,
        wanted: &[&Element],
        found: &[&Element],
        used: &mut Vec<bool>,
        path: &str,
        bindings: &Bindings,
    ) -> Option<(Bindings, Vec<bool>)> {
        let Some((want, rest)) = wanted.split_first() else { return Some((bindings.clone(), used.clone())) };
        for (at, candidate) in found.iter().enumerate() {
            if used[at] {
                continue;
            }
            let (mut tried, mut differences) = (bindings.clone(), Vec::new());
            self.element(want, candidate, path, &mut tried, &mut differences);
            if differences.is_empty() {
                used[at] = true;
                if let Some(found) = self.assign(rest, found, used, path, &tried) {
                    return Some(found);
                }
                used[at] = false;
            }
        }
        None
    }

    /// Whether this child may be there without being named.
    fn free(self, parent: &Element, child: &Element) -> bool {
        let top = std::ptr::eq(parent, self.stanza);
        let error = self.stanza.attr("type") == Some("error");
        (top && error && !child.is("error", CLIENT))
            || (top && child.is("occupant-id", OCCUPANT_ID))
            || (parent.is("fmuc", FMUC) && plumbing_ns(&child.ns()))
            || (parent.is("error", CLIENT) && child.is("text", STANZAS))
            || (parent.is("x", DATA) && (child.is("title", DATA) || child.is("instructions", DATA)))
            || (top && self.at.level == Level::Real && (self.added(child) || is_default_priority(child)))
    }

    fn added(self, child: &Element) -> bool {
        SERVER_ADDITIONS.iter().any(|addition| {
            self.stanza.name() == addition.stanza
                && child.is(addition.name, addition.ns)
                && addition.stamped.is_none_or(|attribute| {
                    let Some(user) = self.at.user else { return false };
                    let own = [user.to_bare().to_string(), user.domain().to_string(), user.to_string()];
                    child.attr(attribute).is_some_and(|by| own.iter().any(|own| own == by))
                })
        })
    }
}

fn is_default_priority(child: &Element) -> bool {
    child.is(CLIENT_ADDITION, CLIENT) && child.text() == "0"
}

fn plumbing_ns(ns: &str) -> bool {
    ns == WARREN_FMUC || ns == PRESENCE_SESSION
}

/// Stanzas that need not be told: acknowledgements between sites, and the question of `design.md` 5 whether a
/// session still lives (a groupchat message from the bare room without any content).
pub fn plumbing(stanza: &Element) -> bool {
    if let Some(fmuc) = stanza.get_child("fmuc", FMUC) {
        return stanza.children().count() == 1
            && fmuc.attr("from").is_none()
            && fmuc.children().next().is_some()
            && fmuc.children().all(|child| plumbing_ns(&child.ns()));
    }
    stanza.name() == "message"
        && stanza.attr("type") == Some("groupchat")
        && stanza.attr("from").is_some_and(|from| !from.contains('/'))
        && stanza.children().next().is_none()
}

fn inline(element: &Element) -> String {
    let mut out = String::new();
    write(element, None, CLIENT, &mut out);
    out
}

/// A stanza as stories write it.
pub fn pretty(element: &Element) -> String {
    let mut out = String::new();
    write(element, Some(0), CLIENT, &mut out);
    out
}

fn write(element: &Element, indent: Option<usize>, outer: &str, out: &mut String) {
    let ns = element.ns();
    _ = write!(out, "<{}", element.name());
    if ns != outer {
        _ = write!(out, " xmlns='{ns}'");
    }
    for ((space, name), value) in element.attrs() {
        let prefix = if space.as_str() == XML { "xml:" } else { "" };
        _ = write!(out, " {prefix}{name}='{}'", escape(value).replace('\'', "&apos;"));
    }
    let text = element.text();
    let text = if text.trim().is_empty() { "" } else { &*text };
    if text.is_empty() && element.children().next().is_none() {
        out.push_str("/>");
        return;
    }
    _ = write!(out, ">{}", escape(text));
    let nested = element.children().any(|child| child.children().next().is_some()) || indent == Some(0);
    for child in element.children() {
        let deeper = indent.filter(|_| nested).map(|indent| indent + 2);
        if let Some(deeper) = deeper {
            _ = write!(out, "\n{:deeper$}", "");
        }
        write(child, deeper.or(indent), &ns, out);
    }
    _ = write!(out, "</{}>", element.name());
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}
