//! Stating all groups anew: what it says, and what it ends.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::sync::Arc;
use std::time::Duration;

use warren_model::{Birth, Epoch, Generation, Now, RoomConfig, Secret, Seq, UnixMs};
use warren_room::{Declared, Effect, Input, ReadId, Room, Site};
use warren_xmpp::Stanza;
use warren_xmpp::cast::GroupChange;

const ROOM: &str = "balcony@rooms.lit";
const NOW: Now = Now { mono: Duration::from_secs(1000), wall: UnixMs(1_700_000_000_000) };

fn give(room: &mut Room, input: Input) -> Vec<Effect> {
    let mut fx = Vec::new();
    room.handle(input, NOW, &mut fx);
    fx
}

fn stanza(room: &mut Room, xml: &str) -> Vec<Effect> {
    give(room, Input::Stanza(Arc::new(Stanza::parse(xml.as_bytes()).unwrap())))
}

fn join(room: &mut Room, from: &str, nick: &str) {
    let x = "<x xmlns='http://jabber.org/protocol/muc'/>";
    stanza(room, &format!("<presence from='{from}' to='{ROOM}/{nick}'>{x}</presence>"));
}

fn speak(room: &mut Room) -> Vec<Effect> {
    let body = "<body>soft</body>";
    stanza(room, &format!("<message type='groupchat' id='1' from='romeo@montague.lit/a' to='{ROOM}'>{body}</message>"))
}

/// Domains and sizes of the groups that are stated, if nothing else is.
fn stated(fx: &[Effect]) -> Vec<(String, usize)> {
    assert!(matches!(fx.first(), Some(Effect::Regroup)), "{fx:?}");
    let reset = |effect: &Effect| match effect {
        Effect::Group { remote, change: GroupChange::Reset(members), .. } => (remote.to_string(), members.len()),
        other => panic!("{other:?} is no statement of a group"),
    };
    fx.iter().skip(1).map(reset).collect()
}

/// Whether a cast with a position leaves this domain out.
fn leaves_out(fx: &[Effect], remote: &str) -> bool {
    fx.iter().any(|effect| matches!(effect, Effect::Cast(cast) if cast.except.iter().any(|path| **path == *remote)))
}

fn room() -> Room {
    let declared = Declared {
        jid: ROOM.parse().unwrap(),
        birth: Birth(7 << 100),
        secret: Secret([7; 32]),
        uid: "u".into(),
        generation: Generation(1),
        config: Arc::new(RoomConfig::default()),
    };
    let site = Arc::new(Site { domain: "rooms.lit".into(), ..Site::default() });
    Room::create(declared, Epoch(9), site, NOW, &mut Vec::new())
}

#[test]
fn all_groups_are_stated_and_nothing_else_is_said() {
    let mut room = room();
    assert_eq!(stated(&give(&mut room, Input::Regroup)), [], "also when there are none");
    for (from, nick) in [("romeo@montague.lit/a", "Romeo"), ("juliet@capulet.lit/b", "Juliet")] {
        join(&mut room, from, nick);
    }
    join(&mut room, "romeo@montague.lit/c", "Romeo");
    let head = room.head();
    let groups = [("capulet.lit".to_owned(), 1), ("montague.lit".to_owned(), 2)];
    assert_eq!(stated(&give(&mut room, Input::Regroup)), groups);
    assert_eq!(room.head(), head, "nothing is logged");
}

#[test]
fn replays_to_paths_end_without_their_mark() {
    let mut room = room();
    join(&mut room, "romeo@montague.lit/a", "Romeo");
    join(&mut room, "juliet@capulet.lit/b", "Juliet");
    let fx = give(&mut room, Input::Replay { remote: "capulet.lit".into(), after: Seq(0) });
    let read = |fx: &[Effect]| -> ReadId {
        fx.iter().find_map(|effect| if let Effect::Read { read, .. } = effect { Some(*read) } else { None }).unwrap()
    };
    let old = read(&fx);
    assert!(leaves_out(&speak(&mut room), "capulet.lit"), "the replay brings it");
    give(&mut room, Input::Regroup);
    assert!(!leaves_out(&speak(&mut room), "capulet.lit"), "nothing else would bring it");
    let late = give(&mut room, Input::Page { read: old, rows: Vec::new() });
    assert!(late.is_empty(), "a page of a replay that was stopped: {late:?}");

    // The next one goes its own way.
    let fx = give(&mut room, Input::Replay { remote: "capulet.lit".into(), after: Seq(1) });
    assert_ne!(read(&fx), old);
    assert!(leaves_out(&speak(&mut room), "capulet.lit"));
}
