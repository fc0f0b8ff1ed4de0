//! What must hold for messages of the mesh, whatever the bytes: run by the fuzzer, and by the node's own tests on
//! mutations of frames.

use prost::Message as _;
use warren_egress::Outward;
use warren_mesh::grpc::proto;
use warren_muc_node::mesh::wire::{decode, encode};
use warren_pod::Frame;

/// Checks one input: it is refused, or it is a frame that can be used, and said again.
pub fn check(data: &[u8]) {
    let Ok(message) = proto::Frame::decode(data) else { return };
    let Ok(frame) = decode(message) else { return };
    apply(&frame);
    let said = encode(&frame);
    let again = decode(said.clone()).expect("what is said is understood");
    assert_eq!(format!("{again:?}"), format!("{frame:?}"));
    // Not all of a secret is in the text above.
    assert_eq!(encode(&again), said);
}

/// What would end the process if it was not as it should be.
fn apply(frame: &Frame) {
    match frame {
        Frame::Stanza { stanza, .. } => {
            let _ = stanza.to_bytes();
            for child in stanza.content.iter() {
                let _ = (child.element(), child.text(), child.children());
            }
        }
        Frame::Released(released) => {
            for said in &released.says {
                if let Outward::Cast(cast) = said {
                    let own = cast.variants.own.as_ref().map(|(_, text)| text);
                    for text in [Some(&cast.variants.plain), cast.variants.full.as_ref(), own].into_iter().flatten() {
                        text.splice(b"a@b.lit/c", &mut Vec::new());
                    }
                }
            }
        }
        _ => {}
    }
}
