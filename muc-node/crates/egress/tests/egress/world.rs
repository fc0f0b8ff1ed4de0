//! A link with a clock, and short names for what rooms release.

use std::time::Duration;

use bytes::Bytes;
use jid::{BareJid, Jid};
use smallvec::smallvec;
use warren_egress::{Breakage, Consumed, Egress, Event, Outward, Settings};
use warren_model::{Batch, Lane, Now, Path, RoomId, Seq, UnixMs};
use warren_xmpp::cast::{Cast, GroupChange, Member, PathState, ReplayMark, SessionId, Variants, Who};
use warren_xmpp::{Kind, Stanza, StanzaWriter};

pub const LANE: Lane = Lane(1);
pub const OURS: &str = "rooms.lit";

pub struct World {
    pub egress: Egress,
    pub now: Now,
    /// Ids of pings that were written, with their remote domain.
    pub pings: Vec<(String, String)>,
}

pub fn settings() -> Settings {
    Settings { check: true, ..Settings::default() }
}

pub fn broken(breakage: Breakage) -> Settings {
    Settings { breakage, ..settings() }
}

pub fn room(n: u64) -> BareJid {
    BareJid::new(&format!("room{n}@{OURS}")).unwrap()
}

pub fn member(session: u32, domain: &str, join_seq: u64) -> Member {
    Member {
        session: SessionId(session),
        jid: Jid::new(&format!("u{session}@{domain}/r")).unwrap(),
        sees_real: false,
        moderator: false,
        join_seq: Seq(join_seq),
    }
}

/// A cast whose id says room and row.
pub fn cast(n: u64, seq: Option<u64>) -> Cast {
    let id = seq.map_or_else(|| format!("{n}/-"), |seq| format!("{n}/{seq}"));
    let plain = StanzaWriter::new(Kind::Message).from(room(n).as_str()).id(Some(&id)).finish();
    Cast {
        seq: seq.map(Seq),
        only: None,
        except: smallvec![],
        variants: Variants { plain, full: None, own: None },
        who: Who::All,
    }
}

impl World {
    pub fn new(settings: Settings) -> Self {
        let now = Now { mono: Duration::from_secs(1000), wall: UnixMs(0) };
        Self { egress: Egress::new([OURS.into()], settings), now, pings: Vec::new() }
    }

    /// A link that is up, with room 1 and one member at each of these domains, and their paths open.
    pub fn open(settings: Settings, domains: &[&str]) -> Self {
        let mut world = Self::new(settings);
        world.egress.link_up(world.now);
        for (n, domain) in (1_u32..).zip(domains) {
            world.put(1, member(n, domain, u64::from(n)));
            world.cast(1, None);
            assert!(world.write().contains(&format!("ping {domain}")));
            world.answer(domain);
            world.write();
        }
        world
    }

    pub fn wait(&mut self, ms: u64) {
        let end = self.now.mono + Duration::from_millis(ms);
        while let Some(at) = self.egress.next_deadline().filter(|at| *at <= end) {
            self.now.mono = self.now.mono.max(at);
            self.egress.tick(self.now);
            assert!(self.egress.next_deadline().is_none_or(|next| next > self.now.mono), "time must move on");
        }
        self.now.mono = end;
        self.egress.tick(self.now);
    }

    pub fn release(&mut self, n: u64, batch: Option<u64>, out: Outward) {
        let at = batch.map(|batch| (LANE, Batch(batch)));
        self.egress.release(RoomId(n), &room(n), at, out, self.now);
    }

    pub fn put(&mut self, n: u64, member: Member) {
        let remote = member.jid.domain().as_str().into();
        let change = Outward::Group { remote, version: member.join_seq, change: GroupChange::Put(member) };
        self.release(n, None, change);
    }

    pub fn remove(&mut self, n: u64, session: u32, domain: &str) {
        let change = GroupChange::Remove(SessionId(session));
        self.release(n, None, Outward::Group { remote: domain.into(), version: Seq(0), change });
    }

    /// A row, in the batch of the same number.
    pub fn cast(&mut self, n: u64, seq: Option<u64>) {
        self.release(n, seq, Outward::Cast(cast(n, seq).into()));
    }

    pub fn send(&mut self, n: u64, to: &str, text: &str, seq: Option<u64>) {
        let bytes = Bytes::copy_from_slice(format!("<message to='{to}' id='{text}'/>").as_bytes());
        self.release(n, seq, Outward::Send { to: Jid::new(to).unwrap(), bytes, seq: seq.map(Seq) });
    }

    pub fn mark(&mut self, n: u64, remote: &str, mark: ReplayMark) {
        self.release(n, None, Outward::Replay { remote: remote.into(), mark });
    }

    /// A whole replay as a room makes it.
    pub fn replay(&mut self, n: u64, remote: &str, rows: impl IntoIterator<Item = u64>) {
        self.mark(n, remote, ReplayMark::Start);
        for seq in rows {
            let only = Cast { only: Some(remote.into()), ..cast(n, Some(seq)) };
            self.release(n, None, Outward::Cast(only.into()));
        }
        self.mark(n, remote, ReplayMark::End);
    }

    /// Everything there is to write, as `to id` or `ping domain`.
    pub fn write(&mut self) -> Vec<String> {
        let mut out = Vec::new();
        while self.egress.ready() {
            let before = out.len();
            let n = self.egress.write(&mut out, 300, self.now);
            assert_eq!(n, out.len() - before);
        }
        assert!(self.egress.at_boundary());
        self.read(&out)
    }

    pub fn read(&mut self, out: &[u8]) -> Vec<String> {
        let attr = |s: &str, name: &str| {
            let value = s.split_once(&format!(" {name}='")).unwrap_or_else(|| panic!("no {name} in {s}")).1;
            value.split('\'').next().unwrap().to_owned()
        };
        let text = std::str::from_utf8(out).unwrap();
        let mut lines = Vec::new();
        for stanza in text.split_inclusive('>').filter(|s| !s.starts_with("<ping") && *s != "</iq>") {
            let (to, id) = (attr(stanza, "to"), attr(stanza, "id"));
            if stanza.starts_with("<iq") {
                assert_eq!(attr(stanza, "from"), OURS);
                lines.push(format!("ping {to}"));
                self.pings.push((id, to));
            } else if id.starts_with("audit") {
                lines.push(format!("{to} audit"));
            } else {
                lines.push(format!("{to} {id}"));
            }
        }
        lines
    }

    /// The newest ping to that domain that was not taken yet.
    pub fn last_ping(&mut self, domain: &str) -> String {
        let at = self.pings.iter().rposition(|(_, to)| to == domain).expect("a ping");
        self.pings.remove(at).0
    }

    pub fn stanza(&mut self, xml: &str) -> Consumed {
        self.egress.stanza(&Stanza::parse(xml.as_bytes()).unwrap(), self.now)
    }

    pub fn answer(&mut self, domain: &str) {
        let id = self.last_ping(domain);
        self.answer_id(domain, &id);
    }

    pub fn answer_id(&mut self, domain: &str, id: &str) {
        let xml = format!("<iq type='result' from='{domain}' to='{OURS}' id='{id}'/>");
        assert_eq!(self.stanza(&xml), Consumed::Yes);
    }

    pub fn answer_error(&mut self, domain: &str, condition: &str, by: Option<&str>) {
        let id = self.last_ping(domain);
        let xml = format!("<iq type='error' from='{domain}' to='{OURS}' id='{id}'>{}</iq>", error(condition, by));
        assert_eq!(self.stanza(&xml), Consumed::Yes);
    }

    /// A message of ours comes back as an error.
    pub fn bounce(&mut self, from: &str, condition: &str, by: Option<&str>) {
        let to = room(1);
        let xml = format!("<message type='error' from='{from}' to='{to}' id='x'>{}</message>", error(condition, by));
        assert_eq!(self.stanza(&xml), Consumed::No);
    }

    pub fn events(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.egress.poll())
            .map(|event| match event {
                Event::Path { path, state } => format!("{} {state:?}", path.remote),
                Event::Replay { path, rooms } => {
                    let rooms: Vec<_> = rooms.iter().map(|(room, _, after)| format!("{room}>{after}")).collect();
                    format!("{} replay {}", path.remote, rooms.join(" "))
                }
                Event::Forgotten { path } => format!("{} forgotten", path.remote),
            })
            .collect()
    }

    pub fn state(&self, remote: &str) -> PathState {
        self.egress.state(&Path::new(OURS, remote))
    }

    /// Watermarks of the lane in use that rose, as `domain batch`.
    pub fn watermarks(&mut self, batch: u64) -> Vec<String> {
        let rows = self.egress.watermarks(&[(LANE, Batch(batch))]);
        rows.iter()
            .map(|(lane, path, batch)| {
                if *lane == LANE {
                    format!("{} {batch}", path.remote)
                } else {
                    format!("lane {lane} {} {batch}", path.remote)
                }
            })
            .collect()
    }
}

fn error(condition: &str, by: Option<&str>) -> String {
    let by = by.map(|by| format!(" by='{by}'")).unwrap_or_default();
    format!("<error type='cancel'{by}><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>")
}
