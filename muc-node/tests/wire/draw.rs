//! Frames out of choices.

use std::sync::Arc;

use bytes::Bytes;
use jid::{BareJid, Jid};
use warren_control::{Applied, Change, ObjectReport, PeeringReport, Refusal};
use warren_egress::Outward;
use warren_model::{
    Batch, Body, Direction, Epoch, Generation, Incarnation, Lane, Object, ObjectKind, ObjectName, Path, PeeringView,
    RoomConfig, RoomId, Seq, Shard,
};
use warren_pod::{Entry, Frame, Outcome, Released};
use warren_xmpp::cast::{Cast, GroupChange, Member, PathState, ReplayMark, SessionId, Variants, Who};
use warren_xmpp::{Content, El, Head, Kind, Stanza, StanzaWriter, Template};

/// Takes one choice after the other, and the first of each kind when there are no more.
pub struct Draw<'a>(std::slice::Iter<'a, u32>);

impl<'a> Draw<'a> {
    pub fn new(choices: &'a [u32]) -> Self {
        Self(choices.iter())
    }

    fn u32(&mut self) -> u32 {
        self.0.next().copied().unwrap_or_default()
    }

    fn u64(&mut self) -> u64 {
        u64::from(self.u32()) << 32 | u64::from(self.u32())
    }

    fn below(&mut self, n: u32) -> u32 {
        self.u32() % n
    }

    fn yes(&mut self) -> bool {
        self.below(2) == 1
    }

    fn one<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.u32() as usize % of.len()].clone()
    }

    fn maybe<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.yes().then(|| make(self))
    }

    fn some<T>(&mut self, mut make: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.below(4)).map(|_| make(self)).collect()
    }

    fn text(&mut self) -> String {
        let n = self.u32();
        self.one(&["", "x", "it's <b> & \"c\"", "\u{1F600}\r\n\t", "ähm", "groupchat"]).repeat(n as usize % 3 + 1)
    }

    fn domain(&mut self) -> Box<str> {
        self.one(&["talk.denmark.lit", "b", "xn--4ca.lit", "127.0.0.1", ""]).into()
    }

    fn jid(&mut self) -> Jid {
        let n = self.u32();
        let jids = [
            format!("u{n}@talk.denmark.lit/r{n}"),
            "gascon.lit".to_owned(),
            format!("a@b.lit/it's <{n}> & ü"),
            "ähm@räksmörgås.lit".to_owned(),
            format!("{}@x.lit/{}", "a".repeat(1000), "ß".repeat(500)),
        ];
        Jid::new(&self.one(&jids)).unwrap()
    }

    fn bare(&mut self) -> BareJid {
        self.jid().to_bare()
    }

    fn incarnation(&mut self) -> Incarnation {
        Incarnation(u128::from(self.u64()) << 64 | u128::from(self.u64()))
    }

    fn shard(&mut self) -> Shard {
        Shard(self.below(4096))
    }

    fn epoch(&mut self) -> Epoch {
        Epoch(self.u32())
    }

    fn seq(&mut self) -> Seq {
        Seq(self.u64())
    }

    fn room(&mut self) -> RoomId {
        RoomId(self.u64() >> 1)
    }

    fn bytes(&mut self) -> Bytes {
        self.some(Self::u32).into_iter().flat_map(u32::to_be_bytes).collect::<Vec<_>>().into()
    }

    fn path_state(&mut self) -> PathState {
        self.one(&[PathState::Up, PathState::Suspect, PathState::Down])
    }

    fn kind(&mut self) -> Kind {
        self.one(&[Kind::Message, Kind::Presence, Kind::Iq])
    }

    fn content(&mut self) -> Content {
        let texts = self.some(Self::text);
        texts
            .iter()
            .map(|text| {
                // As any stranger may write it.
                let text: String = text.chars().filter(|c| *c != '\r').collect();
                El::ns("x", "urn:x").attr("a", &text).child(El::new("b").text(&text)).text(&text)
            })
            .chain(texts.first().map(|_| El::new("body").text("hi")))
            .collect()
    }

    fn stanza(&mut self) -> Stanza {
        let head = Head {
            kind: self.kind(),
            from: self.maybe(Self::jid),
            to: self.maybe(Self::jid),
            id: self.maybe(Self::text).map(Into::into),
            type_: self.maybe(Self::text).map(Into::into),
            lang: self.maybe(Self::text).map(Into::into),
        };
        Stanza { head, content: self.content() }
    }

    fn template(&mut self) -> Template {
        let from = self.jid();
        StanzaWriter::new(self.kind()).from(from.as_str()).raw(self.content().bytes()).finish()
    }

    fn member(&mut self) -> Member {
        Member {
            session: SessionId(self.u32()),
            jid: self.jid(),
            sees_real: self.yes(),
            moderator: self.yes(),
            join_seq: self.seq(),
        }
    }

    fn outward(&mut self) -> Outward {
        match self.below(8) {
            0 => Outward::Cast(Arc::new(Cast {
                seq: self.maybe(Self::seq),
                only: self.maybe(Self::domain),
                except: self.some(Self::domain).into(),
                variants: Variants {
                    plain: self.template(),
                    full: self.maybe(Self::template),
                    own: self.maybe(|d| (d.some(|d| SessionId(d.u32())).into(), d.template())),
                },
                who: self.one(&[Who::All, Who::Moderators]),
            })),
            1 => Outward::Send { to: self.jid(), bytes: self.bytes(), seq: self.maybe(Self::seq) },
            2 => {
                let change = match self.below(3) {
                    0 => GroupChange::Reset(self.some(Self::member)),
                    1 => GroupChange::Put(self.member()),
                    _ => GroupChange::Remove(SessionId(self.u32())),
                };
                Outward::Group { remote: self.domain(), version: self.seq(), change }
            }
            3 => Outward::Peer { peer: self.bare(), bytes: self.bytes() },
            4 => Outward::Replay { remote: self.domain(), mark: self.one(&[ReplayMark::Start, ReplayMark::End]) },
            5 => Outward::Regroup,
            6 => Outward::Missed { remote: self.maybe(Self::domain), seq: self.seq() },
            _ => Outward::Close,
        }
    }

    fn name(&mut self) -> ObjectName {
        let n = self.u32();
        ObjectName {
            kind: self.one(&[ObjectKind::MucService, ObjectKind::FederationPeer, ObjectKind::FederatedRoom]),
            namespace: "chat".to_owned(),
            name: format!("n{n}"),
        }
    }

    fn change(&mut self) -> Change {
        let uid = format!("u{}", self.u32());
        if self.yes() {
            return Change::Remove { name: self.name(), uid };
        }
        let config = RoomConfig { title: self.text(), password: self.maybe(Self::text), ..RoomConfig::default() };
        Change::Apply(Box::new(Object {
            name: self.name(),
            uid,
            generation: Generation(i64::from(self.u32())),
            digest: self.text(),
            body: Body::Room { jid: self.bare(), config, destroy_on_delete: self.yes() },
        }))
    }

    fn outcome(&mut self) -> Outcome {
        match self.below(3) {
            0 => Outcome::Done(self.one(&[Applied::New, Applied::Changed, Applied::Unchanged])),
            1 => Outcome::Refused(Refusal {
                reason: self.text(),
                message: self.text(),
                field: self.text(),
                holder: self.maybe(|d| (d.name(), d.text())),
            }),
            _ => Outcome::Failed(self.text()),
        }
    }

    fn report(&mut self) -> ObjectReport {
        use PeeringView as V;
        ObjectReport {
            name: self.name(),
            uid: self.text(),
            generation: Generation(i64::from(self.u32())),
            digest: self.text(),
            peerings: self.some(|d| PeeringReport {
                peer: d.bare(),
                direction: d.one(&[Direction::Uplink, Direction::Downlink]),
                state: d.one(&[V::Idle, V::Connecting, V::Joined, V::Degraded, V::Unreachable, V::Denied, V::Rejected]),
            }),
            occupied: self.yes(),
            connected: self.yes(),
            shard: self.shard(),
        }
    }

    fn entry<T>(&mut self, thing: impl FnOnce(&mut Self) -> T) -> Entry<T> {
        Entry { thing: thing(self), owner: self.maybe(Self::incarnation), epoch: self.epoch() }
    }

    pub fn frame(&mut self) -> Frame {
        match self.below(17) {
            0 => Frame::Stanza {
                n: self.u64(),
                shard: self.shard(),
                epoch: self.epoch(),
                stanza: Box::new(self.stanza()),
            },
            1 => Frame::Handled(self.some(Self::u64)),
            2 => Frame::Shards(self.some(|d| d.entry(Self::shard))),
            3 => Frame::Links(self.some(|d| d.entry(|d| Path::new(d.domain(), d.domain())))),
            4 => Frame::Attach { link: self.epoch(), lane: Lane(self.u64()), batch: Batch(self.u64()) },
            5 => Frame::Attached { paths: self.some(|d| (d.domain(), d.path_state())) },
            6 => Frame::Released(Box::new(Released {
                shard: self.shard(),
                epoch: self.epoch(),
                room: self.room(),
                jid: self.bare(),
                at: self.maybe(|d| (Lane(d.u64()), Batch(d.u64()))),
                says: self.some(Self::outward),
            })),
            7 => Frame::Reply(self.bytes()),
            8 => Frame::Mark { lane: Lane(self.u64()), batch: Batch(self.u64()) },
            9 => Frame::Path { remote: self.domain(), state: self.path_state() },
            10 => {
                let remote = self.domain();
                Frame::Replay { remote, rooms: self.some(|d| (d.room(), d.bare(), d.seq())) }
            }
            11 => Frame::Changed(self.change()),
            12 => Frame::Call { call: self.u64(), change: self.change() },
            13 => Frame::Answered { call: self.u64(), outcome: self.outcome() },
            14 => Frame::Ask { call: self.u64(), objects: self.some(Self::name) },
            15 => Frame::Reports { call: self.u64(), reports: self.some(Self::report) },
            _ => Frame::Refused(self.incarnation()),
        }
    }
}
