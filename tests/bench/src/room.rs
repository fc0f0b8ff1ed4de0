//! What a room makes of one message.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use warren_model::{Birth, Epoch, Generation, Now, RoomConfig, Secret, UnixMs};
use warren_room::{Declared, Effect, Input, Room, Site};
use warren_xmpp::Stanza;

use crate::codec::MESSAGE;
use crate::time;
use crate::{Bound, Limit};

pub fn bounds(pass: f64) -> Vec<Bound> {
    let message = Stanza::parse(MESSAGE).unwrap_or_else(|error| panic!("the sample does not parse: {error}"));
    let message = Arc::new(message);
    let (mut small, mut large) = (room(10), room(10_000));
    let mut fx = Vec::new();
    let mut other = Vec::new();
    let (growth, big, little) =
        time::ratio(2000, || speak(&mut large, &message, &mut fx), || speak(&mut small, &message, &mut other));
    vec![
        Bound {
            what: "Room::handle of a message : codec pass",
            ratio: little / pass,
            limit: Limit::AtMost(1.0),
            figures: format!("{little:.0} ns : {pass:.0} ns"),
        },
        Bound {
            what: "Room::handle, 10,000 : 10 occupants on one path",
            ratio: growth,
            limit: Limit::AtMost(1.3),
            figures: format!("{big:.0} ns : {little:.0} ns"),
        },
    ]
}

fn speak(room: &mut Room, message: &Arc<Stanza>, fx: &mut Vec<Effect>) {
    room.handle(Input::Stanza(message.clone()), now(), fx);
    assert!(fx.len() >= 2, "a message gives a row and a cast");
    black_box(&fx);
    fx.clear();
}

fn now() -> Now {
    Now { mono: Duration::from_secs(1), wall: UnixMs(1_795_176_000_000) }
}

/// A room with alice and others, all of one domain.
fn room(occupants: usize) -> Room {
    let jid = "rabbithole@rooms.wonderland.lit".parse().unwrap_or_else(|_| unreachable!("a valid address"));
    let declared = Declared {
        jid,
        birth: Birth(1 << 100),
        secret: Secret([7; 32]),
        uid: "bench".into(),
        generation: Generation(1),
        config: Arc::new(RoomConfig::default()),
    };
    let site = Arc::new(Site { domain: "rooms.wonderland.lit".into(), ..Site::default() });
    let mut fx = Vec::new();
    let mut room = Room::create(declared, Epoch(1), site, now(), &mut fx);
    for n in 0..occupants {
        let from = if n == 0 { "alice@wonderland.lit/rabbit".into() } else { format!("user{n}@wonderland.lit/x") };
        let join = format!(
            "<presence from='{from}' to='rabbithole@rooms.wonderland.lit/n{n}'><x xmlns='http://jabber.org/protocol/muc'/></presence>"
        );
        let join = Stanza::parse(join.as_bytes()).unwrap_or_else(|error| panic!("a join does not parse: {error}"));
        room.handle(Input::Stanza(join.into()), now(), &mut fx);
        fx.clear();
    }
    assert_eq!(room.roster().len(), occupants, "everybody is in");
    room
}
