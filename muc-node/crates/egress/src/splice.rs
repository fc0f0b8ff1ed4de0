//! The hot path: one cast, many members, one buffer.

use std::ops::Range;

use bytes::Bytes;
use jid::BareJid;
use smallvec::SmallVec;
use warren_model::{Path, Seq};
use warren_xmpp::cast::{Cast, SessionId, Who};
use warren_xmpp::writer::{Template, escape_into};
use warren_xmpp::{Kind, StanzaWriter};

use crate::group::Group;

/// Appends the cast for members from `*cursor` on until `out` is `stop` bytes long or all are served;
/// then `*cursor` is the number of members. Returns how many stanzas were appended.
///
/// A stanza is never cut, so `out` may be longer than `stop` by one.
pub(crate) fn cast(group: &Group, cast: &Cast, cursor: &mut usize, out: &mut Vec<u8>, stop: usize) -> usize {
    let before = cast.seq.unwrap_or(Seq(u64::MAX));
    let moderators = cast.who == Who::Moderators;
    let first = *cursor;
    let recipients = group.slots()[first.min(group.slots().len())..]
        .iter()
        .enumerate()
        .filter(|(_, slot)| slot.joined < before && (!moderators || slot.moderator()));
    let mut served = 0;
    *cursor = group.slots().len();
    if cast.variants.full.is_none() && cast.variants.own.is_none() {
        let mut run = Run::new(&cast.variants.plain);
        for (at, slot) in recipients {
            if out.len() >= stop {
                *cursor = first + at;
                break;
            }
            run.to(group.address(slot), out);
            served += 1;
        }
        run.end(out);
    } else {
        for (at, slot) in recipients {
            if out.len() >= stop {
                *cursor = first + at;
                break;
            }
            variant(cast, slot.session, slot.sees_real()).splice(group.address(slot), out);
            served += 1;
        }
    }
    served
}

/// Many copies of one stanza, one right behind the other. What stands between two addresses is always
/// the same (the end of one stanza and the beginning of the next), so after the first two a stanza is
/// two copies: that, from where it was written last, and the address.
struct Run<'a> {
    head: &'a [u8],
    tail: &'a [u8],
    between: Option<Range<usize>>,
    begun: bool,
}

impl<'a> Run<'a> {
    fn new(template: &'a Template) -> Self {
        let (head, tail) = template.bytes.split_at(template.at);
        Self { head, tail, between: None, begun: false }
    }

    fn to(&mut self, address: &[u8], out: &mut Vec<u8>) {
        if let Some(between) = &self.between {
            out.extend_from_within(between.clone());
        } else {
            let start = out.len();
            self.end(out);
            out.extend_from_slice(self.head);
            out.extend_from_slice(b" to='");
            if self.begun {
                self.between = Some(start..out.len());
            }
            self.begun = true;
        }
        out.extend_from_slice(address);
    }

    /// Ends the last stanza, if there is one.
    fn end(&self, out: &mut Vec<u8>) {
        if self.begun {
            out.push(b'\'');
            out.extend_from_slice(self.tail);
        }
    }
}

fn variant(cast: &Cast, session: SessionId, sees_real: bool) -> &Template {
    let variants = &cast.variants;
    match (&variants.own, &variants.full) {
        (Some((sessions, own)), _) if sessions.contains(&session) => own,
        (_, Some(full)) if sees_real => full,
        _ => &variants.plain,
    }
}

/// Bytes that a cast becomes for so many members, or a few more.
pub(crate) fn spliced_len(cast: &Cast, members: usize) -> usize {
    /// ` to='…'` with an address of usual length.
    const TO: usize = 48;
    let variants = &cast.variants;
    let longest = variants.full.as_ref().map_or(0, Template::len).max(variants.plain.len());
    let own = variants.own.as_ref().map_or(0, |(sessions, own)| sessions.len() * (own.len() + TO));
    members.saturating_mul(longest + TO).saturating_add(own)
}

/// What a member is audited with: a groupchat message without body from the room itself. Live clients
/// get it and show nothing, a server without that session bounces it (`servers.md` 1).
pub(crate) fn audit(from: &BareJid, id: &str) -> Template {
    StanzaWriter::new(Kind::Message).from(from.as_str()).type_(Some("groupchat")).id(Some(id)).finish()
}

/// A ping from our domain to the remote one (XEP-0199 section 4.1).
pub(crate) fn ping(path: &Path, id: &str) -> Bytes {
    let mut out = b"<iq from='".to_vec();
    escape_into(&mut out, &path.local);
    out.extend_from_slice(b"' to='");
    escape_into(&mut out, &path.remote);
    out.extend_from_slice(b"' type='get' id='");
    escape_into(&mut out, id);
    out.extend_from_slice(b"'><ping xmlns='urn:xmpp:ping'/></iq>");
    out.into()
}

/// Whether one of the remote domains in the list is this one; the lists are short.
pub(crate) fn lists(domains: &SmallVec<[Box<str>; 1]>, remote: &str) -> bool {
    domains.iter().any(|domain| **domain == *remote)
}

#[cfg(test)]
mod tests {
    use jid::Jid;
    use smallvec::smallvec;
    use warren_xmpp::cast::{GroupChange, Member, Variants};

    use super::*;

    fn template(text: &str) -> Template {
        StanzaWriter::new(Kind::Message).from("room@rooms.lit/n").id(Some(text)).finish()
    }

    fn group() -> Group {
        let member = |n: u32| Member {
            session: SessionId(n),
            jid: Jid::new(&format!("u{n}@x.lit/r")).unwrap(),
            sees_real: n == 3,
            moderator: n == 3 || n == 4,
            join_seq: Seq(u64::from(n) * 10),
        };
        let mut group = Group::default();
        group.apply(Seq(50), &GroupChange::Reset((1..=5).map(member).collect()));
        group
    }

    fn written(cast: &Cast) -> Vec<String> {
        let (mut out, mut cursor) = (Vec::new(), 0);
        let served = super::cast(&group(), cast, &mut cursor, &mut out, usize::MAX);
        let text = String::from_utf8(out).unwrap();
        let lines: Vec<_> = text
            .split_terminator("/>")
            .map(|s| {
                let part = |name: &str| s.split(&format!("{name}='")).nth(1).unwrap().split('\'').next().unwrap();
                format!("{} {}", part("to"), part("id"))
            })
            .collect();
        assert_eq!(served, lines.len());
        lines
    }

    fn plain(seq: Option<Seq>) -> Cast {
        Cast {
            seq,
            only: None,
            except: smallvec![],
            variants: Variants { plain: template("p"), full: None, own: None },
            who: Who::All,
        }
    }

    #[test]
    fn only_those_who_joined_before_get_a_row() {
        assert_eq!(written(&plain(Some(Seq(30)))), ["u1@x.lit/r p", "u2@x.lit/r p"]);
        assert_eq!(written(&plain(None)).len(), 5);
    }

    #[test]
    fn variants_go_to_whom_they_are_for() {
        let mut cast = plain(Some(Seq(99)));
        cast.variants.full = Some(template("f"));
        cast.variants.own = Some((smallvec![SessionId(3), SessionId(1)], template("o")));
        let all = ["u1@x.lit/r o", "u2@x.lit/r p", "u3@x.lit/r o", "u4@x.lit/r p", "u5@x.lit/r p"];
        assert_eq!(written(&cast), all);
        cast.variants.own = None;
        assert_eq!(written(&cast)[2], "u3@x.lit/r f");
        cast.who = Who::Moderators;
        assert_eq!(written(&cast), ["u3@x.lit/r f", "u4@x.lit/r p"]);
    }

    #[test]
    fn a_cast_is_taken_up_where_it_stopped() {
        let (mut out, mut cursor, mut calls) = (Vec::new(), 0, 0);
        let group = group();
        let mut whole = Vec::new();
        cast(&group, &plain(None), &mut 0, &mut whole, usize::MAX);
        while cursor < group.slots().len() {
            let stop = out.len() + 1;
            assert_eq!(cast(&group, &plain(None), &mut cursor, &mut out, stop), 1);
            calls += 1;
        }
        assert_eq!((calls, out), (5, whole));
    }

    #[test]
    fn pings_and_audits() {
        assert_eq!(
            ping(&Path::new("rooms.lit", "x.lit"), "w-1"),
            "<iq from='rooms.lit' to='x.lit' type='get' id='w-1'><ping xmlns='urn:xmpp:ping'/></iq>"
        );
        assert_eq!(
            audit(&BareJid::new("room@rooms.lit").unwrap(), "audit-1").to(&Jid::new("u@x.lit/r").unwrap()),
            "<message from='room@rooms.lit' to='u@x.lit/r' type='groupchat' id='audit-1'/>"
        );
    }
}
