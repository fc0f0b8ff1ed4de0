//! Frames of the mesh: what is said is understood, and rubbish is refused in words.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../../../tests/fuzz/wire_check.rs"]
mod wire_check;

mod draw;

use bytes::Bytes;
use draw::Draw;
use proptest::prelude::*;
use prost::Message as _;
use warren_mesh::grpc::proto::{self, frame::What};
use warren_muc_node::mesh::wire::{decode, encode};

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_said_is_understood(choices in prop::collection::vec(any::<u32>(), 0..200)) {
        let frame = Draw::new(&choices).frame();
        let said = encode(&frame);
        // Over the wire.
        let heard = proto::Frame::decode(Bytes::from(said.encode_to_vec())).unwrap();
        prop_assert_eq!(&heard, &said);
        let again = decode(heard).unwrap();
        prop_assert_eq!(format!("{again:?}"), format!("{frame:?}"));
        // Also what the text above does not show.
        prop_assert_eq!(encode(&again), said);
    }

    #[test]
    fn rubbish_does_no_harm(
        choices in prop::collection::vec(any::<u32>(), 0..60),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = encode(&Draw::new(&choices).frame()).encode_to_vec();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        wire_check::check(&bytes);
        wire_check::check(&bytes[..cut.index(bytes.len())]);
    }
}

/// The generator is not a toy: it makes every kind of frame, and of what rooms say.
#[test]
fn every_kind_is_drawn() {
    let mut kinds = std::collections::BTreeSet::new();
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state >> 8
    };
    for _ in 0..2000 {
        let choices: Vec<u32> = (0..100).map(|_| next()).collect();
        let frame = format!("{:?}", Draw::new(&choices).frame());
        kinds.extend(frame.split(|c: char| !c.is_ascii_alphanumeric()).map(str::to_owned));
    }
    for kind in [
        "Stanza",
        "Handled",
        "Shards",
        "Links",
        "Attach",
        "Attached",
        "Released",
        "Reply",
        "Mark",
        "Path",
        "Replay",
        "Changed",
        "Call",
        "Answered",
        "Ask",
        "Reports",
        "Refused",
        "Cast",
        "Send",
        "Group",
        "Peer",
        "Regroup",
        "Missed",
        "Close",
        "Reset",
        "Put",
        "Remove",
        "Apply",
        "Done",
        "Failed",
        "Moderators",
    ] {
        assert!(kinds.contains(kind), "{kind} is never drawn");
    }
}

#[test]
fn what_is_wrong_is_said() {
    let text = Bytes::from_static(b"<message/>");
    let template = |at| Some(proto::Template { bytes: text.clone(), at });
    let cast = |at| {
        let cast = proto::Cast { plain: template(at), who: 1, ..proto::Cast::default() };
        let says = vec![proto::Said { what: Some(proto::said::What::Cast(cast)) }];
        What::Released(proto::Released { jid: "a@b".to_owned(), says, ..proto::Released::default() })
    };
    let stanza = || proto::Stanza { kind: 1, ..proto::Stanza::default() };
    let content =
        |xml: &'static str| What::Stanza(proto::Stanza { content: Bytes::from_static(xml.as_bytes()), ..stanza() });
    let entry = |shard, owner: Option<&'static [u8]>| {
        let entry = proto::shards::Entry { shard, owner: owner.map(Bytes::from_static), epoch: 1 };
        What::Shards(proto::Shards { entries: vec![entry] })
    };
    let apply = proto::Change { what: Some(proto::change::What::Apply(Bytes::from_static(b"\xff"))) };
    for (what, says) in [
        (None, "missing"),
        (Some(What::Hello(proto::Hello::default())), "session's own"),
        (Some(cast(0)), "recipient"),
        (Some(cast(10)), "recipient"),
        (Some(cast(u32::MAX)), "recipient"),
        (Some(What::Released(proto::Released { jid: "@".to_owned(), ..proto::Released::default() })), "no bare JID"),
        (
            Some(What::Released(proto::Released { jid: "a@b/c".to_owned(), ..proto::Released::default() })),
            "no bare JID",
        ),
        (Some(What::Stanza(proto::Stanza { kind: 9, ..stanza() })), "kind 9"),
        (Some(What::Stanza(proto::Stanza { from: Some(String::new()), ..stanza() })), "no JID"),
        (Some(What::Stanza(proto::Stanza { shard: 4096, ..stanza() })), "no shard 4096"),
        (Some(content("<body>")), "content"),
        (Some(content("</message><message>")), "content"),
        (Some(content("text")), ""),
        (Some(entry(4096, None)), "no shard 4096"),
        (Some(entry(1, Some(b"short"))), "5 bytes"),
        (Some(What::Refused(Bytes::new())), "0 bytes"),
        (Some(What::Changed(apply)), "an object"),
        (Some(What::Call(proto::Call { call: 1, change: None })), "missing"),
        (Some(What::Path(proto::PathState { remote: "x".to_owned(), state: 0 })), "state of a path"),
    ] {
        let said = format!("{what:?}");
        match decode(proto::Frame { what }) {
            Err(error) => assert!(!says.is_empty() && error.to_string().contains(says), "{said}: {error}"),
            Ok(frame) => assert!(says.is_empty(), "{said}: {frame:?}"),
        }
    }
    let good = cast(8);
    assert!(decode(proto::Frame { what: Some(good) }).is_ok());
}
