//! Where a story is played.

use std::fmt;
use std::time::Duration;

use minidom::Element;

/// What stands behind the users of a story.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// The pure core in memory, with virtual time.
    Core,
    /// A node process over loopback; its server is a component acceptor of the test.
    Node,
    /// Real users on Prosody and ejabberd.
    Real,
}

impl Level {
    /// All levels, in the order of their cost.
    pub const ALL: [Self; 3] = [Self::Core, Self::Node, Self::Real];

    /// As written in stories.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Core => "core",
            Self::Node => "node",
            Self::Real => "real",
        }
    }

    /// From the word in a story.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.as_str() == word)
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where a stanza can be seen. The names are those of the story.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// At a user: what the user's server hands to that session (or, for a user with a bare JID, to that account).
    User(String),
    /// Between two sites, in one direction, when it leaves the first: seen also when it is lost afterwards.
    Wire {
        /// The site that sends.
        from: String,
        /// The site that it is for.
        to: String,
    },
    /// At a room that the story plays.
    Peer(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(name) | Self::Peer(name) => write!(f, "{name} receives"),
            Self::Wire { from, to } => write!(f, "{from} sends {to}"),
        }
    }
}

/// One stanza, where it was seen.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Where.
    pub place: Place,
    /// The stanza, in the namespace `jabber:client` whatever the stream was.
    pub stanza: Element,
}

/// What a stage is asked to break.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing passes between the two any more, in both directions, silently.
    Cut(String, String),
    /// The two reach each other again.
    Heal(String, String),
    /// The next stanza from the first to the second is lost, silently.
    LoseNext(String, String),
    /// The site's process ends without warning; what is stored stays.
    Crash(String),
    /// The site's process starts again on what is stored.
    Restart(String),
}

/// How long [`Stage::collect`] waits.
#[derive(Clone, Copy, Debug)]
pub enum Until<'a> {
    /// At least one stanza was seen there, or the stage's patience is over.
    At(&'a Place),
    /// Nothing happens any more.
    Quiet,
}

/// What can play a story. One stage plays one story; whoever runs stories makes a stage from the story's
/// [`Scene`](super::Scene): sites, rooms with their configuration, the allow-lists, users and scripted rooms.
///
/// Synchronous on purpose: the core needs no runtime, the others own one and block on it.
///
/// A stage must
/// - stamp `from` with the user's full JID on what a user sends (a server does that);
/// - send what a scripted room sends as it is: the story writes its `from`;
/// - hand to a user what comes *from a domain of the story's sites* only, in order, and nothing else;
/// - answer the plumbing that is no part of a story: pings of a path to a bare domain;
/// - put every stanza in the namespace `jabber:client`.
pub trait Stage {
    /// A user or a scripted room sends a stanza.
    fn send(&mut self, actor: &str, stanza: &Element) -> anyhow::Result<()>;

    /// What was seen since the last call, in order per place. With virtual time both kinds of waiting are
    /// the same: everything that happens without time passing has happened.
    fn collect(&mut self, until: Until<'_>) -> anyhow::Result<Vec<Seen>>;

    /// Time passes: deadlines in virtual time, a pause in real time.
    fn advance(&mut self, by: Duration) -> anyhow::Result<()>;

    /// Something breaks, or is repaired. A stage that cannot do it says so: the story then fails, it is not skipped.
    fn fault(&mut self, fault: &Fault) -> anyhow::Result<()>;

    /// Whether [`Place::Wire`] can be seen here. If not, what a story says about wires is not checked.
    fn sees_wires(&self) -> bool {
        true
    }
}

impl<S: Stage + ?Sized> Stage for Box<S> {
    fn send(&mut self, actor: &str, stanza: &Element) -> anyhow::Result<()> {
        (**self).send(actor, stanza)
    }

    fn collect(&mut self, until: Until<'_>) -> anyhow::Result<Vec<Seen>> {
        (**self).collect(until)
    }

    fn advance(&mut self, by: Duration) -> anyhow::Result<()> {
        (**self).advance(by)
    }

    fn fault(&mut self, fault: &Fault) -> anyhow::Result<()> {
        (**self).fault(fault)
    }

    fn sees_wires(&self) -> bool {
        (**self).sees_wires()
    }
}
