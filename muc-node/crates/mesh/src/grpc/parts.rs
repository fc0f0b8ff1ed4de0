//! Frames that are longer than a message may be.

use bytes::{Bytes, BytesMut};
use prost::Message as _;

use super::proto::{Frame, Part, frame::What};
use super::{MAX_FRAME, PART};

/// What is left to be said of a long frame.
#[derive(Default)]
pub(super) struct Parts(Bytes);

impl Parts {
    /// Begins with a frame, and gives its first part. The one before is through.
    pub fn cut(&mut self, frame: &Frame) -> Frame {
        self.0 = frame.encode_to_vec().into();
        self.next().unwrap_or_default()
    }

    /// The next part.
    pub fn next(&mut self) -> Option<Frame> {
        if self.0.is_empty() {
            return None;
        }
        let bytes = self.0.split_to(self.0.len().min(PART));
        Some(Frame { what: Some(What::Part(Part { bytes, more: !self.0.is_empty() })) })
    }
}

/// A long frame as it comes in.
#[derive(Default)]
pub(super) struct Whole(BytesMut);

impl Whole {
    /// The frame that is complete with this message, if one is.
    pub fn put(&mut self, message: Frame) -> Result<Option<Frame>, &'static str> {
        let part = match message.what {
            Some(What::Part(part)) => part,
            _ if self.0.is_empty() => return Ok(Some(message)),
            _ => return Err("it said something else within a frame"),
        };
        if self.0.len() + part.bytes.len() > MAX_FRAME {
            return Err("it said a frame that is too long");
        }
        self.0.extend_from_slice(&part.bytes);
        if part.more {
            return Ok(None);
        }
        let whole = std::mem::take(&mut self.0).freeze();
        match Frame::decode(whole) {
            Ok(Frame { what: Some(What::Part(_)) }) | Err(_) => Err("what it said in parts is no frame"),
            Ok(frame) => Ok(Some(frame)),
        }
    }
}
