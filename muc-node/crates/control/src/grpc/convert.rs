//! Between messages and plain types. Pure: every message is either understood whole or named as malformed.

use warren_model::{Direction, Generation, Object, ObjectKind, ObjectName, PeeringView, Shard};

use super::{PIECE, proto};
use crate::{Answer, Applied, ObjectReport, PeeringReport, Refusal};

/// A message that is not one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub String);

fn missing(what: &str) -> Malformed {
    Malformed(format!("{what} is missing"))
}

impl From<&ObjectName> for proto::Name {
    fn from(name: &ObjectName) -> Self {
        let kind = match name.kind {
            ObjectKind::MucService => proto::Kind::MucService,
            ObjectKind::FederationPeer => proto::Kind::FederationPeer,
            ObjectKind::FederatedRoom => proto::Kind::FederatedRoom,
        };
        Self { kind: kind.into(), namespace: name.namespace.clone(), name: name.name.clone() }
    }
}

impl TryFrom<proto::Name> for ObjectName {
    type Error = Malformed;

    fn try_from(name: proto::Name) -> Result<Self, Malformed> {
        let kind = match name.kind() {
            proto::Kind::MucService => ObjectKind::MucService,
            proto::Kind::FederationPeer => ObjectKind::FederationPeer,
            proto::Kind::FederatedRoom => ObjectKind::FederatedRoom,
            proto::Kind::Unspecified => return Err(Malformed(format!("{} is no kind that is known here", name.kind))),
        };
        if name.namespace.is_empty() || name.name.is_empty() {
            return Err(missing("namespace or name"));
        }
        Ok(Self { kind, namespace: name.namespace, name: name.name })
    }
}

/// The message of an object.
pub(super) fn object(object: &Object) -> proto::Object {
    proto::Object {
        name: Some((&object.name).into()),
        uid: object.uid.clone(),
        version: Some(version(object.generation, &object.digest)),
        // Maps are ordered and have texts as keys: this does not fail.
        body: serde_json::to_vec(&object.body).unwrap_or_default(),
    }
}

impl From<&Object> for proto::Object {
    fn from(of: &Object) -> Self {
        object(of)
    }
}

fn version(generation: Generation, digest: &str) -> proto::Version {
    proto::Version { generation: generation.0, digest: digest.to_owned() }
}

impl TryFrom<proto::Object> for Object {
    type Error = Malformed;

    fn try_from(object: proto::Object) -> Result<Self, Malformed> {
        let version = object.version.ok_or_else(|| missing("version"))?;
        let name = ObjectName::try_from(object.name.ok_or_else(|| missing("name"))?)?;
        if object.uid.is_empty() {
            return Err(missing("uid"));
        }
        // The text of the error quotes the input, which may hold a secret; its place is enough.
        let body = serde_json::from_slice(&object.body).map_err(|e| {
            Malformed(format!("the body is not understood, at byte {} of line {}", e.column(), e.line()))
        })?;
        Ok(Self { name, uid: object.uid, generation: Generation(version.generation), digest: version.digest, body })
    }
}

impl From<Answer> for proto::ApplyResponse {
    fn from(answer: Answer) -> Self {
        use proto::accepted::Change;
        use proto::apply_response::Result as Said;
        let result = match answer {
            Answer::Done(applied) => {
                let change = match applied {
                    Applied::New => Change::New,
                    Applied::Changed => Change::Changed,
                    Applied::Unchanged => Change::Unchanged,
                };
                Said::Accepted(proto::Accepted { change: change.into() })
            }
            Answer::Refused(refusal) => {
                let (holder, holder_uid) = match refusal.holder {
                    Some((name, uid)) => (Some((&name).into()), uid),
                    None => (None, String::new()),
                };
                let Refusal { reason, message, field, .. } = refusal;
                Said::Refused(proto::Refused { reason, message, field, holder_uid, holder })
            }
        };
        Self { result: Some(result) }
    }
}

impl TryFrom<proto::ApplyResponse> for Answer {
    type Error = Malformed;

    fn try_from(response: proto::ApplyResponse) -> Result<Self, Malformed> {
        use proto::accepted::Change;
        use proto::apply_response::Result as Said;
        match response.result.ok_or_else(|| missing("the answer"))? {
            Said::Accepted(accepted) => Ok(Self::Done(match accepted.change() {
                Change::New => Applied::New,
                Change::Unchanged => Applied::Unchanged,
                // A newer pod may know other changes; all of them are acceptance.
                Change::Changed | Change::Unspecified => Applied::Changed,
            })),
            Said::Refused(proto::Refused { reason, message, field, holder_uid, holder }) => {
                let holder = holder.map(ObjectName::try_from).transpose()?.map(|name| (name, holder_uid));
                Ok(Self::Refused(Refusal { reason, message, field, holder }))
            }
        }
    }
}

/// The message of a report.
pub(super) fn report(report: &ObjectReport) -> proto::ObjectReport {
    use proto::peering::{Direction as D, State as S};
    let peering = |p: &PeeringReport| proto::Peering {
        peer: p.peer.to_string(),
        direction: match p.direction {
            Direction::Uplink => D::Uplink,
            Direction::Downlink => D::Downlink,
        }
        .into(),
        state: match p.state {
            PeeringView::Idle => S::Idle,
            PeeringView::Connecting => S::Connecting,
            PeeringView::Joined => S::Joined,
            PeeringView::Degraded => S::Degraded,
            PeeringView::Unreachable => S::Unreachable,
            PeeringView::Denied => S::Denied,
            PeeringView::Rejected => S::Rejected,
        }
        .into(),
    };
    proto::ObjectReport {
        name: Some((&report.name).into()),
        uid: report.uid.clone(),
        applied: Some(version(report.generation, &report.digest)),
        peerings: report.peerings.iter().map(peering).collect(),
        occupied: report.occupied,
        connected: report.connected,
        shard: report.shard.0,
    }
}

impl From<&ObjectReport> for proto::ObjectReport {
    fn from(of: &ObjectReport) -> Self {
        report(of)
    }
}

impl TryFrom<proto::ObjectReport> for ObjectReport {
    type Error = Malformed;

    fn try_from(report: proto::ObjectReport) -> Result<Self, Malformed> {
        use proto::peering::{Direction as D, State as S};
        let applied = report.applied.ok_or_else(|| missing("applied"))?;
        let peering = |p: proto::Peering| {
            Ok(PeeringReport {
                direction: match p.direction() {
                    D::Downlink => Direction::Downlink,
                    D::Uplink | D::Unspecified => Direction::Uplink,
                },
                state: match p.state() {
                    S::Idle | S::Unspecified => PeeringView::Idle,
                    S::Connecting => PeeringView::Connecting,
                    S::Joined => PeeringView::Joined,
                    S::Degraded => PeeringView::Degraded,
                    S::Unreachable => PeeringView::Unreachable,
                    S::Denied => PeeringView::Denied,
                    S::Rejected => PeeringView::Rejected,
                },
                peer: jid::BareJid::new(&p.peer).map_err(|_| Malformed("a peer is not a bare JID".to_owned()))?,
            })
        };
        Ok(Self {
            name: ObjectName::try_from(report.name.ok_or_else(|| missing("name"))?)?,
            uid: report.uid,
            generation: Generation(applied.generation),
            digest: applied.digest,
            peerings: report.peerings.into_iter().map(peering).collect::<Result<_, _>>()?,
            occupied: report.occupied,
            connected: report.connected,
            shard: Shard(report.shard),
        })
    }
}

/// The message of an entry of List.
pub(super) fn entry(report: &ObjectReport) -> proto::Entry {
    proto::Entry {
        name: Some((&report.name).into()),
        uid: report.uid.clone(),
        version: Some(version(report.generation, &report.digest)),
    }
}

/// Cuts a list of messages into pieces of [`PIECE`] bytes, or a little more.
pub(super) fn pieces<M: prost::Message>(all: Vec<M>) -> Vec<Vec<M>> {
    let (mut pieces, mut size) = (Vec::new(), PIECE);
    for one in all {
        if size >= PIECE {
            pieces.push(Vec::new());
            size = 0;
        }
        size += one.encoded_len() + 8;
        if let Some(piece) = pieces.last_mut() {
            piece.push(one);
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;
    use warren_model::{Body, PeerConfig, PeerRooms, Vouch};

    fn name() -> ObjectName {
        ObjectName { kind: ObjectKind::FederationPeer, namespace: "chat".to_owned(), name: "denmark".to_owned() }
    }

    fn peer() -> Object {
        Object {
            name: name(),
            uid: "u".to_owned(),
            generation: Generation(7),
            digest: "d".to_owned(),
            body: Body::Peer(PeerConfig {
                domain: "talk.denmark.lit".into(),
                vouch: Vouch::Any,
                rooms: PeerRooms::All,
                flavour: warren_model::FlavourHint::Auto,
                timers: warren_model::PeerTimers::default(),
                suspended: false,
            }),
        }
    }

    #[test]
    fn what_is_sent_arrives() {
        use PeeringView as V;
        assert_eq!(Object::try_from(object(&peer())), Ok(peer()));
        let holder = Some((name(), "v".to_owned()));
        let refusal = Refusal { reason: "A".into(), message: "b".into(), field: "c".into(), holder };
        for answer in [
            Answer::Done(Applied::New),
            Answer::Done(Applied::Changed),
            Answer::Done(Applied::Unchanged),
            Answer::Refused(Refusal::default()),
            Answer::Refused(refusal),
        ] {
            assert_eq!(Answer::try_from(proto::ApplyResponse::from(answer.clone())), Ok(answer));
        }
        let states = [V::Idle, V::Connecting, V::Joined, V::Degraded, V::Unreachable, V::Denied, V::Rejected];
        let peerings = states.iter().enumerate().map(|(i, state)| PeeringReport {
            peer: jid::BareJid::new(&format!("r{i}@talk.denmark.lit")).unwrap(),
            direction: if i % 2 == 0 { Direction::Downlink } else { Direction::Uplink },
            state: *state,
        });
        let said = ObjectReport {
            name: name(),
            uid: "u".to_owned(),
            generation: Generation(3),
            digest: "d".to_owned(),
            peerings: peerings.collect(),
            occupied: true,
            connected: true,
            shard: Shard(4095),
        };
        assert_eq!(ObjectReport::try_from(report(&said)), Ok(said));
    }

    #[test]
    fn what_is_not_whole_is_refused_without_quoting_it() {
        let whole = || object(&peer());
        let wrong = |change: fn(&mut proto::Object)| {
            let mut object = whole();
            change(&mut object);
            Object::try_from(object).unwrap_err().to_string()
        };
        assert!(wrong(|o| o.name = None).contains("name"));
        assert!(wrong(|o| o.version = None).contains("version"));
        assert!(wrong(|o| o.uid.clear()).contains("uid"));
        assert!(wrong(|o| o.name.as_mut().unwrap().kind = 99).contains("99"));
        assert!(wrong(|o| o.name.as_mut().unwrap().name.clear()).contains("name"));
        let said = wrong(|o| o.body = br#"{"Service": {"secret": "hunter2"}}"#.to_vec());
        assert!(said.contains("body") && !said.contains("hunter2"), "{said}");
    }

    /// A newer pod may send what is not known here.
    #[test]
    fn unknown_values_do_no_harm() {
        let accepted = proto::Accepted { change: 77 };
        let response = proto::ApplyResponse { result: Some(proto::apply_response::Result::Accepted(accepted)) };
        assert_eq!(Answer::try_from(response), Ok(Answer::Done(Applied::Changed)));
    }

    #[test]
    fn long_lists_go_in_pieces() {
        let entry = proto::Entry { uid: "x".repeat(1000), ..proto::Entry::default() };
        let pieces = pieces(vec![entry; 1000]);
        assert_eq!(pieces.iter().map(Vec::len).sum::<usize>(), 1000);
        assert!((3..=5).contains(&pieces.len()), "{}", pieces.len());
        assert!(super::pieces::<proto::Entry>(Vec::new()).is_empty());
    }
}
