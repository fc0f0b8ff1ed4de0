//! Prints what a delivery costs: `cargo run --release -p warren-egress --example splice_speed`.
//!
//! Compares with copying the same bytes stanza by stanza. Nanoseconds are for reading; the ratio is
//! what can be compared between machines. Both are the best of many short samples, so that other
//! processes do not count.

// A measurement needs a clock, and its numbers are small.
#![allow(clippy::disallowed_methods, clippy::cast_precision_loss)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use jid::{BareJid, Jid};
use smallvec::smallvec;
use warren_egress::{Consumed, Egress, Outward, Settings};
use warren_model::{Batch, Lane, Now, RoomId, Seq, UnixMs};
use warren_xmpp::cast::{Cast, GroupChange, Member, SessionId, Variants, Who};
use warren_xmpp::{El, Kind, Stanza, StanzaWriter};

/// Bytes written at once.
const CHUNK: usize = 64 << 10;
const SAMPLES: usize = 300;

fn main() {
    println!("rooms x members   bytes   ns/delivery   memcpy   ratio   ns/cast");
    for (rooms, members, casts) in [(1, 1000, 10), (1, 10_000, 1), (100, 50, 200), (1000, 5, 2000)] {
        let (spent, len) = Bench::new(rooms, members).best(casts);
        let copy = memcpy(len);
        let per = spent / f64::from(members);
        println!("{rooms:5} x {members:<9} {len:5} {per:13.1} {copy:8.1} {:7.2} {spent:9.0}", per / copy);
    }
}

struct Bench {
    egress: Egress,
    jids: Vec<BareJid>,
    members: usize,
    now: Now,
    seq: u64,
    out: Vec<u8>,
}

impl Bench {
    fn new(rooms: u32, members: u32) -> Self {
        let now = Now { mono: Duration::from_secs(1), wall: UnixMs(0) };
        let settings = Settings { path_budget: usize::MAX, link_budget: usize::MAX, ..Settings::default() };
        let mut egress = Egress::new(["rooms.lit".into()], settings);
        let member = |n: u32| Member {
            session: SessionId(n),
            jid: Jid::new(&format!("occupant{n}@capulet.lit/gajim.ABCDEFGH")).expect("an address"),
            sees_real: false,
            moderator: false,
            join_seq: Seq(1),
        };
        let jids: Vec<_> = (0..rooms).filter_map(|n| BareJid::new(&format!("room{n}@rooms.lit")).ok()).collect();
        for (n, jid) in (0..).zip(&jids) {
            let change = GroupChange::Reset((0..members).map(member).collect());
            let change = Outward::Group { remote: "capulet.lit".into(), version: Seq(1), change };
            egress.release(RoomId(n), jid, None, change, now);
        }
        egress.link_up(now);
        let members = members as usize;
        Self { egress, jids, members, now, seq: 1, out: Vec::with_capacity(2 * CHUNK) }
    }

    /// Nanoseconds of one cast, in the best of many samples of so many, and bytes of one delivery.
    fn best(&mut self, casts: usize) -> (f64, usize) {
        let (mut best, mut len) = (f64::MAX, 0);
        for _ in 0..SAMPLES {
            let prepared: Vec<_> = (0..casts).map(|_| self.prepare()).collect();
            let (mut bytes, start) = (0, Instant::now());
            for (room, cast) in prepared {
                let at = cast.seq.map(|seq| (Lane(1), Batch(seq.0)));
                self.egress.release(RoomId(room as u64), &self.jids[room], at, Outward::Cast(cast.into()), self.now);
                bytes += self.write();
            }
            let spent = start.elapsed().as_secs_f64() * 1e9 / casts as f64;
            if bytes > casts * self.members * 100 {
                best = best.min(spent);
                len = bytes / casts / self.members;
            }
            self.pong();
        }
        (best, len)
    }

    fn prepare(&mut self) -> (usize, Cast) {
        self.seq += 1;
        let room = usize::try_from(self.seq).unwrap_or_default() % self.jids.len();
        let by = "room@rooms.lit";
        let plain = StanzaWriter::new(Kind::Message)
            .from("room@rooms.lit/nick")
            .type_(Some("groupchat"))
            .id(Some("b3f9d2c4-1e6a-4f70-9a8b-5d2c1e0f7a63"))
            .el(El::new("body").text(&"Wherefore art thou so very long a message of four hundred bytes? ".repeat(4)))
            .el(El::ns("stanza-id", "urn:xmpp:sid:0").attr("by", by).attr("id", "abcdefghijklmnopqrstuvwxyz"))
            .finish();
        let variants = Variants { plain, full: None, own: None };
        let seq = Some(Seq(self.seq));
        (room, Cast { seq, only: None, except: smallvec![], variants, who: Who::All })
    }

    fn write(&mut self) -> usize {
        let mut bytes = 0;
        while self.egress.ready() {
            self.out.clear();
            bytes += self.egress.write(&mut self.out, CHUNK, self.now);
            black_box(&self.out);
        }
        bytes
    }

    /// Lets two seconds pass and answers the ping.
    fn pong(&mut self) {
        self.now.mono += Duration::from_secs(2);
        self.egress.tick(self.now);
        self.write();
        let last = String::from_utf8_lossy(&self.out).into_owned();
        let Some((_, id)) = last.rsplit_once("type='get' id='") else { return };
        let id = id.split('\'').next().unwrap_or_default();
        let pong = format!("<iq type='result' from='capulet.lit' to='rooms.lit' id='{id}'/>");
        let pong = Stanza::parse(pong.as_bytes()).expect("a stanza");
        assert_eq!(self.egress.stanza(&pong, self.now), Consumed::Yes);
        self.write();
    }
}

/// Nanoseconds to append one stanza of that length to such a buffer.
fn memcpy(len: usize) -> f64 {
    let stanza = vec![b'x'; len];
    let mut out = Vec::with_capacity(2 * CHUNK);
    let mut best = f64::MAX;
    for _ in 0..SAMPLES {
        let (start, mut n) = (Instant::now(), 0_u32);
        while n < 10_000 {
            out.clear();
            while out.len() < CHUNK {
                out.extend_from_slice(black_box(&stanza));
                n += 1;
            }
            black_box(&out);
        }
        best = best.min(start.elapsed().as_secs_f64() * 1e9 / f64::from(n));
    }
    best
}
