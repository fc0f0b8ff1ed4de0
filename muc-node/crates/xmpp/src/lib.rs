//! The wire format of XMPP without IO, clock or randomness: reading streams into stanzas
//! ([`codec`]), stanzas ([`stanza`]), and writing them ([`writer`]).
//!
//! A stanza is a head and the canonical bytes of its children. The codec writes those bytes while it
//! parses; relaying copies ranges of them; a tree is made only where the service itself answers.

#![forbid(unsafe_code)]

pub mod addresses;
mod canon;
pub mod cast;
pub mod codec;
pub mod error;
mod escape;
mod fragment;
pub mod limits;
mod names;
pub mod ns;
mod reader;
pub mod stanza;
mod tag;
mod tokens;
mod tree;
mod walk;
pub mod writer;
mod xml;

pub use codec::{Decoder, Event, Nonza, StreamFault, StreamHeader};
pub use error::{ErrorType, StanzaError, StreamCondition, StreamError, error_reply};
pub use limits::{HardLimits, Limits, Refusal};
pub use stanza::{ChildRef, Content, Head, Kind, ParseError, Stanza};
pub use writer::{El, StanzaWriter, Template, escape_attr, escape_into};
