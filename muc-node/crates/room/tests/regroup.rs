//! Stating all groups anew: what it says, and what it ends.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::sync::Arc;
use std::time::Duration;

use warren_model::{
    Birth, Epoch, FederationConfig, FlavourHint, Generation, Now, PeerConfig, PeerRooms, PeerTimers, RoomConfig,
    Secret, Seq, UnixMs, Uplink, Vouch,
};
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
    room_with(RoomConfig::default(), Site::default())
}

/// It joins `tower@rooms.verona.lit`, and admits everybody of `talk.denmark.lit`.
fn federated() -> Room {
    let peer = |domain: &str, user: &str| {
        let config = PeerConfig {
            domain: domain.into(),
            vouch: Vouch::Domains([user.into()].into()),
            rooms: PeerRooms::All,
            flavour: FlavourHint::Auto,
            timers: PeerTimers::default(),
            suspended: false,
        };
        (Box::from(domain), config)
    };
    let uplink = Some(Uplink { room: "tower@rooms.verona.lit".parse().unwrap() });
    let config = RoomConfig {
        federation: Some(FederationConfig { uplink, ..FederationConfig::default() }),
        ..RoomConfig::default()
    };
    let peers = [peer("talk.denmark.lit", "denmark.lit"), peer("rooms.verona.lit", "verona.lit")].into();
    room_with(config, Site { peers, ..Site::default() })
}

/// What goes to other nodes.
fn to_peers(fx: &[Effect]) -> Vec<String> {
    let text = |effect: &Effect| match effect {
        Effect::Peer { bytes, .. } => Some(String::from_utf8_lossy(bytes).into_owned()),
        _ => None,
    };
    fx.iter().filter_map(text).collect()
}

fn room_with(config: RoomConfig, site: Site) -> Room {
    let declared = Declared {
        jid: ROOM.parse().unwrap(),
        birth: Birth(7 << 100),
        secret: Secret([7; 32]),
        uid: "u".into(),
        generation: Generation(1),
        config: Arc::new(config),
    };
    let site = Arc::new(Site { domain: "rooms.lit".into(), ..site });
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

#[test]
fn a_join_of_a_node_is_said_again() {
    let mut room = federated();
    let x = "<x xmlns='http://jabber.org/protocol/muc'/>";
    let fx = stanza(&mut room, &format!("<presence from='romeo@montague.lit/a' to='{ROOM}/Romeo'>{x}</presence>"));
    let [join] = &to_peers(&fx)[..] else { panic!("one stanza to {fx:?}") };
    assert!(join.contains("to='tower@rooms.verona.lit/Romeo'") && join.contains("<peering"), "{join}");
    assert_eq!(
        to_peers(&give(&mut room, Input::Regroup)),
        *std::slice::from_ref(join),
        "whoever carried it may have died with it"
    );
}

#[test]
fn a_node_that_may_miss_something_is_asked_to_join_again() {
    let mut room = federated();
    let fmuc = "<fmuc xmlns='http://isode.com/protocol/fmuc' from='hamlet@denmark.lit/a'>\
                <presence-session xmlns='urn:xmpp:presence-session:0' session='00000000000000000000000000000001'/>\
                <peering xmlns='urn:warren:fmuc:0' mode='primary'/>\
                <s xmlns='urn:warren:fmuc:0' session='00000000000000000000000000000001'/></fmuc>";
    let x = "<x xmlns='http://jabber.org/protocol/muc'/>";
    let peer = "elsinore@talk.denmark.lit";
    let fx = stanza(&mut room, &format!("<presence from='{peer}/Hamlet' to='{ROOM}/Hamlet'>{fmuc}{x}</presence>"));
    let subject = to_peers(&fx).pop().unwrap();
    let given = subject.split(" id='").nth(1).and_then(|rest| rest.split('\'').next()).unwrap();
    assert!(subject.contains("<subject/>"), "{subject}");

    // It has read everything.
    let s = format!("<s xmlns='urn:warren:fmuc:0' h='{given}'/>");
    let ack = format!("<fmuc xmlns='http://isode.com/protocol/fmuc'>{s}</fmuc>");
    stanza(&mut room, &format!("<presence from='{peer}' to='{ROOM}'>{ack}</presence>"));
    assert!(to_peers(&give(&mut room, Input::Regroup)).is_empty(), "nothing is under way");

    // It has not.
    join(&mut room, "romeo@montague.lit/a", "Romeo");
    let asks = to_peers(&give(&mut room, Input::Regroup));
    let resyncs = asks.iter().filter(|stanza| stanza.contains(&format!("to='{peer}'")));
    assert!(resyncs.map(|stanza| stanza.contains("<resync")).eq([true]), "{asks:?}");
}
