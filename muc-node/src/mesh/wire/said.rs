//! What rooms say: casts, groups, and the rest of `Outward`.

use std::sync::Arc;

use warren_egress::Outward;
use warren_mesh::grpc::proto::{self, said::What};
use warren_model::{Batch, Epoch, Lane, Seq};
use warren_pod::Released;
use warren_xmpp::Template;
use warren_xmpp::cast::{Cast, GroupChange, Member, ReplayMark, SessionId, Variants, Who};

use super::{Malformed, address, bare, missing, room, shard, unknown};

pub(super) fn released_message(released: &Released) -> proto::Released {
    let Released { shard, epoch, room, jid, at, says } = released;
    proto::Released {
        shard: shard.0,
        epoch: epoch.0,
        room: room.0,
        jid: jid.to_string(),
        at: at.map(|(lane, batch)| proto::At { lane: lane.0, batch: batch.0 }),
        says: says.iter().map(|outward| proto::Said { what: Some(said_message(outward)) }).collect(),
    }
}

pub(super) fn released(message: proto::Released) -> Result<Released, Malformed> {
    Ok(Released {
        shard: shard(message.shard)?,
        epoch: Epoch(message.epoch),
        room: room(message.room)?,
        jid: bare(&message.jid)?,
        at: message.at.map(|at| (Lane(at.lane), Batch(at.batch))),
        says: message.says.into_iter().map(said).collect::<Result<_, _>>()?,
    })
}

fn said_message(outward: &Outward) -> What {
    match outward {
        Outward::Cast(cast) => What::Cast(cast_message(cast)),
        Outward::Send { to, bytes, seq } => {
            What::Send(proto::Send { to: to.to_string(), bytes: bytes.clone(), seq: seq.map(|seq| seq.0) })
        }
        Outward::Group { remote, version, change } => {
            use proto::group::Change as C;
            let change = match change {
                GroupChange::Reset(members) => {
                    C::Reset(proto::Members { members: members.iter().map(member_message).collect() })
                }
                GroupChange::Put(member) => C::Put(member_message(member)),
                GroupChange::Remove(session) => C::Remove(session.0),
            };
            What::Group(proto::Group { remote: remote.to_string(), version: version.0, change: Some(change) })
        }
        Outward::Peer { peer, bytes } => What::Peer(proto::Peer { peer: peer.to_string(), bytes: bytes.clone() }),
        Outward::Replay { remote, mark } => {
            use proto::replay_mark::Mark;
            let mark = match mark {
                ReplayMark::Start => Mark::Start,
                ReplayMark::End => Mark::End,
            };
            What::Replay(proto::ReplayMark { remote: remote.to_string(), mark: mark.into() })
        }
        Outward::Regroup => What::Regroup(proto::Empty {}),
        Outward::Missed { remote, seq } => {
            What::Missed(proto::Missed { remote: remote.as_ref().map(ToString::to_string), seq: seq.0 })
        }
        Outward::Close => What::Close(proto::Empty {}),
    }
}

fn said(message: proto::Said) -> Result<Outward, Malformed> {
    Ok(match message.what.ok_or_else(|| missing("what a room says"))? {
        What::Cast(message) => Outward::Cast(Arc::new(cast(message)?)),
        What::Send(proto::Send { to, bytes, seq }) => Outward::Send { to: address(&to)?, bytes, seq: seq.map(Seq) },
        What::Group(proto::Group { remote, version, change }) => {
            use proto::group::Change as C;
            let change = match change.ok_or_else(|| missing("the change of a group"))? {
                C::Reset(proto::Members { members }) => {
                    GroupChange::Reset(members.iter().map(member).collect::<Result<_, _>>()?)
                }
                C::Put(message) => GroupChange::Put(member(&message)?),
                C::Remove(session) => GroupChange::Remove(SessionId(session)),
            };
            Outward::Group { remote: remote.into(), version: Seq(version), change }
        }
        What::Peer(proto::Peer { peer, bytes }) => Outward::Peer { peer: bare(&peer)?, bytes },
        What::Replay(message) => {
            use proto::replay_mark::Mark;
            let mark = match message.mark() {
                Mark::Start => ReplayMark::Start,
                Mark::End => ReplayMark::End,
                Mark::Unspecified => return Err(unknown("the mark of a replay", message.mark)),
            };
            Outward::Replay { remote: message.remote.into(), mark }
        }
        What::Regroup(_) => Outward::Regroup,
        What::Missed(proto::Missed { remote, seq }) => {
            Outward::Missed { remote: remote.map(Into::into), seq: Seq(seq) }
        }
        What::Close(_) => Outward::Close,
    })
}

fn cast_message(cast: &Cast) -> proto::Cast {
    let Cast { seq, only, except, variants: Variants { plain, full, own }, who } = cast;
    let who = match who {
        Who::All => proto::cast::Who::All,
        Who::Moderators => proto::cast::Who::Moderators,
    };
    proto::Cast {
        seq: seq.map(|seq| seq.0),
        only: only.as_ref().map(ToString::to_string),
        except: except.iter().map(ToString::to_string).collect(),
        plain: Some(template_message(plain)),
        full: full.as_ref().map(template_message),
        own: own.as_ref().map(|(sessions, text)| proto::Own {
            sessions: sessions.iter().map(|session| session.0).collect(),
            template: Some(template_message(text)),
        }),
        who: who.into(),
    }
}

fn cast(message: proto::Cast) -> Result<Cast, Malformed> {
    let who = match message.who() {
        proto::cast::Who::All => Who::All,
        proto::cast::Who::Moderators => Who::Moderators,
        proto::cast::Who::Unspecified => return Err(unknown("a cast to", message.who)),
    };
    let own = |own: proto::Own| {
        let text = template(own.template.ok_or_else(|| missing("the text of a cast"))?)?;
        Ok::<_, Malformed>((own.sessions.into_iter().map(SessionId).collect(), text))
    };
    let variants = Variants {
        plain: template(message.plain.ok_or_else(|| missing("the text of a cast"))?)?,
        full: message.full.map(template).transpose()?,
        own: message.own.map(own).transpose()?,
    };
    Ok(Cast {
        seq: message.seq.map(Seq),
        only: message.only.map(Into::into),
        except: message.except.into_iter().map(Into::into).collect(),
        variants,
        who,
    })
}

fn template_message(template: &Template) -> proto::Template {
    // Templates are far smaller than that.
    proto::Template { bytes: template.bytes.clone(), at: u32::try_from(template.at).unwrap_or(u32::MAX) }
}

fn template(message: proto::Template) -> Result<Template, Malformed> {
    let proto::Template { bytes, at } = message;
    match usize::try_from(at) {
        // In the tag of a stanza, which has a name before and an end behind.
        Ok(at) if at > 0 && at < bytes.len() => Ok(Template { bytes, at }),
        _ => Err(Malformed(format!("the recipient goes to {at}, and the text has {} bytes", bytes.len()))),
    }
}

fn member_message(member: &Member) -> proto::Member {
    proto::Member {
        session: member.session.0,
        jid: member.jid.to_string(),
        sees_real: member.sees_real,
        moderator: member.moderator,
        join_seq: member.join_seq.0,
    }
}

fn member(message: &proto::Member) -> Result<Member, Malformed> {
    Ok(Member {
        session: SessionId(message.session),
        jid: address(&message.jid)?,
        sees_real: message.sees_real,
        moderator: message.moderator,
        join_seq: Seq(message.join_seq),
    })
}
