//! What a story says: who is there, and what they do.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use jid::{BareJid, Jid};
use minidom::Element;
use warren_model::config::{PeerConfig, RoomConfig};

use super::stage::{Fault, Level, Place};

/// A story, read.
#[derive(Clone, Debug)]
pub struct Story {
    /// Where it was read.
    pub file: PathBuf,
    /// Its first line.
    pub title: String,
    /// Number of the XEP that the title names.
    pub xep: u16,
    /// The section that the title names, as written.
    pub section: String,
    /// Where it is played.
    pub levels: BTreeSet<Level>,
    /// Who and what takes part.
    pub scene: Scene,
    /// What happens.
    pub steps: Vec<Step>,
}

/// Who and what takes part in a story.
#[derive(Clone, Debug, Default)]
pub struct Scene {
    /// Sites, in the order of the story.
    pub sites: Vec<SiteDecl>,
    /// Users, in the order of the story.
    pub users: Vec<UserDecl>,
    /// Rooms that the story plays itself.
    pub peers: Vec<PeerDecl>,
    /// Pairs of sites between which nothing is checked.
    pub unwatched: BTreeSet<(String, String)>,
}

impl Scene {
    /// The site that serves a domain.
    pub fn site(&self, domain: &str) -> Option<&SiteDecl> {
        self.sites.iter().find(|site| *site.domain == *domain)
    }

    /// Where a stanza is seen that a site sends to this address: at the user with exactly this JID, at the scripted
    /// room of its domain, or on the wire to another site. `None`: nobody of the story, it is dropped.
    pub fn place(&self, from: &SiteDecl, to: &Jid) -> Option<Place> {
        if let Some(user) = self.users.iter().find(|user| user.jid == *to) {
            return Some(Place::User(user.name.clone()));
        }
        let domain = to.domain().as_str();
        if let Some(peer) = self.peers.iter().find(|peer| peer.jid.domain().as_str() == domain) {
            return Some(Place::Peer(peer.name.clone()));
        }
        let site = self.site(domain).filter(|site| site.name != from.name)?;
        Some(Place::Wire { from: from.name.clone(), to: site.name.clone() })
    }

    /// Address of a user.
    pub fn user(&self, name: &str) -> Option<&Jid> {
        self.users.iter().find(|user| user.name == name).map(|user| &user.jid)
    }
}

/// A Warren site.
#[derive(Clone, Debug)]
pub struct SiteDecl {
    /// Its name in the story.
    pub name: String,
    /// Domain of its rooms.
    pub domain: Box<str>,
    /// Domains of its own users.
    pub home: BTreeSet<Box<str>>,
    /// Its rooms, declared before the story begins.
    pub rooms: Vec<RoomDecl>,
    /// Its allow-list.
    pub allows: Vec<Grant>,
}

/// A room of a site.
#[derive(Clone, Debug)]
pub struct RoomDecl {
    /// Its address.
    pub jid: BareJid,
    /// Its configuration.
    pub config: RoomConfig,
}

/// One entry of a site's allow-list.
#[derive(Clone, Debug)]
pub struct Grant {
    /// What the site applies.
    pub config: PeerConfig,
}

/// A user; with a bare JID: that account as seen by its server.
#[derive(Clone, Debug)]
pub struct UserDecl {
    /// The name in the story.
    pub name: String,
    /// The address.
    pub jid: Jid,
}

/// A remote room that the story plays: what it receives is told, what it sends is written out.
#[derive(Clone, Debug)]
pub struct PeerDecl {
    /// The name in the story.
    pub name: String,
    /// The room's address.
    pub jid: BareJid,
    /// Domains of its users.
    pub home: BTreeSet<Box<str>>,
}

/// One thing that happens, or is expected to have happened.
#[derive(Clone, Debug)]
pub struct Step {
    /// Line in the file.
    pub line: usize,
    /// What.
    pub what: Do,
}

/// See the table of statements in `tests/stories/README.md`.
#[derive(Clone, Debug)]
pub enum Do {
    /// `X joins ROOM as NICK [password=…]`
    Join {
        /// Who.
        user: String,
        /// Where.
        room: BareJid,
        /// Under which nick.
        nick: String,
        /// With what.
        password: Option<String>,
    },
    /// `X leaves ROOM`
    Leave {
        /// Who.
        user: String,
        /// Which room.
        room: BareJid,
    },
    /// `X sends`
    Send {
        /// User or scripted room.
        actor: String,
        /// Stanzas, in order.
        stanzas: Vec<Element>,
    },
    /// `X receives`, `SITE sends SITE`
    Expect {
        /// Where.
        place: Place,
        /// Stanzas, in order, each with its line.
        stanzas: Vec<Element>,
    },
    /// `X receives nothing`, `SITE sends nothing`
    ExpectNothing {
        /// At all of these.
        places: Vec<Place>,
    },
    /// `time 61s`
    Advance(Duration),
    /// `cut`, `heal`, `lose next`, `crash`, `restart`
    Fault(Fault),
    /// `swallow`
    Swallow,
}

/// What is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// Which file.
    pub file: PathBuf,
    /// Which line, from 1.
    pub line: usize,
    /// What.
    pub what: String,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file.display(), self.line, self.what)
    }
}

impl std::error::Error for ParseError {}
