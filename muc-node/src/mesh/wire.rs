//! Frames of the pod to and from messages of the mesh.
//!
//! Whoever has a session has proved that he is one of our own nodes, so nothing here protects from malice. What is
//! checked is what would otherwise end this process or go wrong far away: that nothing is missing, that numbers are in
//! their range, that JIDs are JIDs, that the recipient of a template goes somewhere inside it. The content of a stanza
//! is parsed, under the limits of whatever may be sent: rooms find their way in it by an index that only the parser
//! makes. Not looked into is what goes out as it is: templates and whole stanzas were written by the same writer that
//! writes ours, and to parse each once more would cost the link's owner as much as all it reads.

mod objects;
mod said;

use bytes::Bytes;
use jid::{BareJid, Jid};
use warren_mesh::grpc::proto::{self, frame::What};
use warren_model::ids::SHARDS;
use warren_model::{Batch, Epoch, Incarnation, Lane, Path, RoomId, Seq, Shard};
use warren_pod::{Entry, Frame, Moved};
use warren_xmpp::cast::PathState;
use warren_xmpp::{Content, Head, Kind, Stanza};

/// A message that is no frame: the session with whoever said it is to be ended. The text quotes nothing that may be
/// secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub String);

fn missing(what: &str) -> Malformed {
    Malformed(format!("{what} is missing"))
}

fn unknown(what: &str, value: i32) -> Malformed {
    Malformed(format!("{what} {value} is not known here"))
}

fn bare(jid: &str) -> Result<BareJid, Malformed> {
    BareJid::new(jid).map_err(|error| Malformed(format!("{jid:?} is no bare JID: {error}")))
}

fn address(jid: &str) -> Result<Jid, Malformed> {
    Jid::new(jid).map_err(|error| Malformed(format!("{jid:?} is no JID: {error}")))
}

fn shard(number: u32) -> Result<Shard, Malformed> {
    if number < SHARDS { Ok(Shard(number)) } else { Err(Malformed(format!("there is no shard {number}"))) }
}

fn room(number: u64) -> Result<RoomId, Malformed> {
    if number >> 63 == 0 { Ok(RoomId(number)) } else { Err(Malformed(format!("{number} is no room"))) }
}

fn incarnation(bytes: &[u8]) -> Result<Incarnation, Malformed> {
    let bytes = bytes.try_into().map_err(|_| Malformed(format!("an incarnation of {} bytes", bytes.len())))?;
    Ok(Incarnation(u128::from_be_bytes(bytes)))
}

fn incarnation_bytes(incarnation: Incarnation) -> Bytes {
    Bytes::copy_from_slice(&incarnation.0.to_be_bytes())
}

/// What is said of a frame.
pub fn encode(frame: &Frame) -> proto::Frame {
    let what = match frame {
        Frame::Stanza { n, shard, epoch, stanza } => What::Stanza(stanza_message(*n, *shard, *epoch, stanza)),
        Frame::Handled(n) => What::Handled(proto::Handled { n: n.clone() }),
        Frame::Shards(entries) => What::Shards(proto::Shards { entries: entries.iter().map(entry_message).collect() }),
        Frame::Moved(moved) => {
            let shard =
                |moved: &Moved| proto::moved::Shard { now: Some(entry_message(&moved.now)), before: moved.before.0 };
            What::Moved(proto::Moved { shards: moved.iter().map(shard).collect() })
        }
        Frame::Links(entries) => {
            let entry = |entry: &Entry<Path>| proto::links::Entry {
                local: entry.thing.local.to_string(),
                remote: entry.thing.remote.to_string(),
                owner: entry.owner.map(incarnation_bytes),
                epoch: entry.epoch.0,
            };
            What::Links(proto::Links { entries: entries.iter().map(entry).collect() })
        }
        Frame::Attach { link, lane, batch } => {
            What::Attach(proto::Attach { link: link.0, lane: lane.0, batch: batch.0 })
        }
        Frame::Attached { paths } => {
            let paths = paths.iter().map(|(remote, state)| path_message(remote, *state)).collect();
            What::Attached(proto::Attached { paths })
        }
        Frame::Released(released) => What::Released(said::released_message(released)),
        Frame::Reply(bytes) => What::Reply(bytes.clone()),
        Frame::Mark { lane, batch } => What::Mark(proto::Mark { lane: lane.0, batch: batch.0 }),
        Frame::Path { remote, state } => What::Path(path_message(remote, *state)),
        Frame::Replay { remote, rooms } => {
            let room = |(room, jid, seq): &(RoomId, BareJid, Seq)| proto::replay::Room {
                room: room.0,
                jid: jid.to_string(),
                seq: seq.0,
            };
            What::Replay(proto::Replay { remote: remote.to_string(), rooms: rooms.iter().map(room).collect() })
        }
        Frame::Changed(change) => What::Changed(objects::change_message(change)),
        Frame::Call { call, change } => {
            What::Call(proto::Call { call: *call, change: Some(objects::change_message(change)) })
        }
        Frame::Answered { call, outcome } => What::Answered(objects::answered_message(*call, outcome)),
        Frame::Ask { call, objects } => What::Ask(objects::ask_message(*call, objects)),
        Frame::Reports { call, reports } => What::Reports(objects::reports_message(*call, reports)),
        Frame::Refused(peer) => What::Refused(incarnation_bytes(*peer)),
    };
    proto::Frame { what: Some(what) }
}

/// The frame that was said.
///
/// # Errors
/// When it is none.
pub fn decode(frame: proto::Frame) -> Result<Frame, Malformed> {
    Ok(match frame.what.ok_or_else(|| missing("what is said"))? {
        What::Hello(_) | What::Part(_) => return Err(Malformed("that is the session's own business".to_owned())),
        What::Stanza(message) => stanza(message)?,
        What::Handled(handled) => Frame::Handled(handled.n),
        What::Shards(shards) => Frame::Shards(shards.entries.into_iter().map(entry).collect::<Result<_, Malformed>>()?),
        What::Moved(moved) => {
            let one = |shard: proto::moved::Shard| {
                let now = entry(shard.now.ok_or_else(|| missing("the new owner"))?)?;
                Ok(Moved { before: Epoch(shard.before), now })
            };
            Frame::Moved(moved.shards.into_iter().map(one).collect::<Result<_, Malformed>>()?)
        }
        What::Links(links) => {
            let entry = |entry: proto::links::Entry| {
                let thing = Path::new(entry.local, entry.remote);
                Ok(Entry { thing, owner: owner(entry.owner)?, epoch: Epoch(entry.epoch) })
            };
            Frame::Links(links.entries.into_iter().map(entry).collect::<Result<_, Malformed>>()?)
        }
        What::Attach(proto::Attach { link, lane, batch }) => {
            Frame::Attach { link: Epoch(link), lane: Lane(lane), batch: Batch(batch) }
        }
        What::Attached(attached) => {
            Frame::Attached { paths: attached.paths.into_iter().map(path).collect::<Result<_, _>>()? }
        }
        What::Released(message) => Frame::Released(Box::new(said::released(message)?)),
        What::Reply(bytes) => Frame::Reply(bytes),
        What::Mark(proto::Mark { lane, batch }) => Frame::Mark { lane: Lane(lane), batch: Batch(batch) },
        What::Path(message) => {
            let (remote, state) = path(message)?;
            Frame::Path { remote, state }
        }
        What::Replay(proto::Replay { remote, rooms }) => {
            let one = |of: proto::replay::Room| Ok((room(of.room)?, bare(&of.jid)?, Seq(of.seq)));
            let rooms = rooms.into_iter().map(one).collect::<Result<_, Malformed>>()?;
            Frame::Replay { remote: remote.into(), rooms }
        }
        What::Changed(change) => Frame::Changed(objects::change(change)?),
        What::Call(proto::Call { call, change }) => {
            Frame::Call { call, change: objects::change(change.ok_or_else(|| missing("the change"))?)? }
        }
        What::Answered(answered) => objects::answered(answered)?,
        What::Ask(ask) => objects::ask(ask)?,
        What::Reports(reports) => objects::reports(reports)?,
        What::Refused(peer) => Frame::Refused(incarnation(&peer)?),
    })
}

fn entry_message(entry: &Entry<Shard>) -> proto::shards::Entry {
    proto::shards::Entry { shard: entry.thing.0, owner: entry.owner.map(incarnation_bytes), epoch: entry.epoch.0 }
}

fn entry(entry: proto::shards::Entry) -> Result<Entry<Shard>, Malformed> {
    Ok(Entry { thing: shard(entry.shard)?, owner: owner(entry.owner)?, epoch: Epoch(entry.epoch) })
}

fn owner(bytes: Option<Bytes>) -> Result<Option<Incarnation>, Malformed> {
    bytes.map(|bytes| incarnation(&bytes)).transpose()
}

fn stanza_message(n: u64, shard: Shard, epoch: Epoch, stanza: &Stanza) -> proto::Stanza {
    use proto::stanza::Kind as K;
    let Stanza { head: Head { kind, from, to, id, type_, lang }, content } = stanza;
    let jid = |jid: &Option<Jid>| jid.as_ref().map(Jid::to_string);
    let text = |text: &Option<Box<str>>| text.as_ref().map(ToString::to_string);
    let kind = match kind {
        Kind::Message => K::Message,
        Kind::Presence => K::Presence,
        Kind::Iq => K::Iq,
    };
    proto::Stanza {
        n,
        shard: shard.0,
        epoch: epoch.0,
        kind: kind.into(),
        from: jid(from),
        to: jid(to),
        id: text(id),
        r#type: text(type_),
        lang: text(lang),
        content: content.bytes().clone(),
    }
}

fn stanza(message: proto::Stanza) -> Result<Frame, Malformed> {
    use proto::stanza::Kind as K;
    let kind = match message.kind() {
        K::Message => Kind::Message,
        K::Presence => Kind::Presence,
        K::Iq => Kind::Iq,
        K::Unspecified => return Err(unknown("a stanza of kind", message.kind)),
    };
    let jid = |jid: Option<String>| jid.as_deref().map(address).transpose();
    let head = Head {
        kind,
        from: jid(message.from)?,
        to: jid(message.to)?,
        id: message.id.map(Into::into),
        type_: message.r#type.map(Into::into),
        lang: message.lang.map(Into::into),
    };
    let content = Content::parse(&message.content).map_err(|e| Malformed(format!("the content of a stanza: {e}")))?;
    Ok(Frame::Stanza {
        n: message.n,
        shard: shard(message.shard)?,
        epoch: Epoch(message.epoch),
        stanza: Box::new(Stanza { head, content }),
    })
}

fn path_message(remote: &str, state: PathState) -> proto::PathState {
    use proto::path_state::State as S;
    let state = match state {
        PathState::Up => S::Up,
        PathState::Suspect => S::Suspect,
        PathState::Down => S::Down,
    };
    proto::PathState { remote: remote.to_owned(), state: state.into() }
}

fn path(message: proto::PathState) -> Result<(Box<str>, PathState), Malformed> {
    use proto::path_state::State as S;
    let state = match message.state() {
        S::Up => PathState::Up,
        S::Suspect => PathState::Suspect,
        S::Down => PathState::Down,
        S::Unspecified => return Err(unknown("the state of a path", message.state)),
    };
    Ok((message.remote.into(), state))
}
