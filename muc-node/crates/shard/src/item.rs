//! One input that is kept: parked until its room is loaded, then until its ticket is done.

use std::sync::Arc;
use std::time::Duration;

use warren_model::Routed;
use warren_room::Declared;
use warren_xmpp::{Kind, Stanza};

/// What came.
#[derive(Clone, Debug)]
pub(crate) enum What {
    /// A stanza.
    Stanza(Arc<Stanza>),
    /// A routed stanza that came before: its source is answered when the first one is.
    Repeat,
    /// The room's declaration.
    Declare(Declared),
    /// The declaration is gone.
    Withdraw {
        /// The room ends with it.
        destroy: bool,
        /// Shown to the occupants.
        reason: Option<String>,
    },
}

/// An input with what the shard remembers of it.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub what: What,
    /// Who routed it, to be told when it is handled.
    pub routed: Option<Routed>,
    /// When it came, in monotonic time.
    pub arrived: Duration,
    /// How often its own ticket failed. A ticket that failed only because an earlier one had does not count.
    pub strikes: u32,
}

impl Item {
    pub(crate) fn new(what: What, arrived: Duration) -> Self {
        Self { what, routed: None, arrived, strikes: 0 }
    }

    pub(crate) fn routed(what: What, routed: Option<Routed>, arrived: Duration) -> Self {
        Self { routed, ..Self::new(what, arrived) }
    }

    /// Roughly how many bytes it takes.
    pub(crate) fn weight(&self) -> usize {
        match &self.what {
            What::Stanza(stanza) => 256 + stanza.content.bytes().len(),
            What::Declare(_) => 1024,
            What::Withdraw { .. } | What::Repeat => 128,
        }
    }

    pub(crate) fn is_stanza(&self) -> bool {
        matches!(self.what, What::Stanza(_))
    }

    /// Whether somebody waits for an answer, so that giving up is an answer too.
    pub(crate) fn is_request(&self) -> bool {
        let What::Stanza(stanza) = &self.what else { return false };
        let type_ = stanza.head.type_.as_deref();
        match stanza.head.kind {
            Kind::Iq => matches!(type_, Some("get" | "set")),
            Kind::Message => type_ != Some("error"),
            Kind::Presence => type_.is_none(),
        }
    }

    /// Whether it says that somebody goes: nobody says so a second time, and without it a ghost stays.
    pub(crate) fn is_leave(&self) -> bool {
        matches!(&self.what, What::Stanza(stanza)
            if stanza.head.kind == Kind::Presence && stanza.head.type_.as_deref() == Some("unavailable"))
    }

    /// How often its ticket may fail.
    pub(crate) fn patience(&self) -> u32 {
        match self.what {
            // Nobody would repeat these, so they are tried for longer; but not for ever, since the room waits.
            What::Withdraw { .. } => 10,
            What::Stanza(_) if self.is_leave() => 10,
            What::Stanza(_) | What::Declare(_) | What::Repeat => 2,
        }
    }
}
