//! What the link copies, against a plain copy of as many bytes.

use std::hint::black_box;

use warren_xmpp::{El, Kind, StanzaWriter, ns};

use crate::time;
use crate::{Bound, Limit};

/// Members of the group.
const MEMBERS: usize = 1000;

pub fn against_memcpy() -> Bound {
    let text = StanzaWriter::new(Kind::Message)
        .from("rabbithole@rooms.wonderland.lit/Alice")
        .type_(Some("groupchat"))
        .id(Some("5f0c0f2e-6b1e-4d7a-9a3f-1b2c3d4e5f60"))
        .el(El::new("body").text(&"Curiouser and curiouser! ".repeat(8)))
        .el(El::ns("stanza-id", ns::SID).attr("by", "rabbithole@rooms.wonderland.lit").attr("id", "a".repeat(26)))
        .finish();
    let members: Vec<String> = (0..MEMBERS).map(|n| format!("user{n:04}@wonderland.lit/rabbit")).collect();
    let mut spliced = Vec::new();
    for member in &members {
        text.splice(member.as_bytes(), &mut spliced);
    }
    let source = spliced.clone();
    let mut copy = Vec::with_capacity(source.len());
    let (ratio, splice, plain) = time::ratio(
        20,
        || {
            spliced.clear();
            for member in &members {
                text.splice(black_box(member.as_bytes()), &mut spliced);
            }
            black_box(&spliced);
        },
        || {
            copy.clear();
            copy.extend_from_slice(black_box(&source));
            black_box(&copy);
        },
    );
    let each = f64::from(u32::try_from(MEMBERS).unwrap_or(1));
    Bound {
        what: "splice : memcpy of the same bytes",
        ratio,
        limit: Limit::AtMost(4.0),
        figures: format!(
            "{:.1} ns : {:.1} ns a delivery of {} bytes",
            splice / each,
            plain / each,
            source.len() / MEMBERS
        ),
    }
}
