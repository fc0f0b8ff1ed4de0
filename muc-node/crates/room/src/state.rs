//! Who is in the room.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use jid::{BareJid, Jid};
use smallvec::SmallVec;
use warren_model::{Affiliation, Role, Seq};
use warren_xmpp::Content;
use warren_xmpp::cast::SessionId;

/// A nick, as prepared by resourceprep (XEP-0045 17.1).
pub type Nick = Arc<str>;

/// Where an occupant is connected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Home {
    /// It joined here.
    Here,
    /// A peer room vouches for it.
    Peer {
        /// Address of that room.
        room: BareJid,
        /// Its nick there.
        nick: Nick,
        /// Its affiliation there; shown, never obeyed (XEP-0289 5.5).
        affiliation: Affiliation,
    },
}

/// One client of an occupant.
#[derive(Clone, Debug)]
pub struct Session {
    /// Number within this loaded room.
    pub id: SessionId,
    /// Real full JID.
    pub jid: Jid,
    /// Position of its join.
    pub join_seq: Seq,
}

/// One nick with its sessions.
#[derive(Clone, Debug)]
#[expect(clippy::struct_field_names, reason = "occupant-id is what XEP-0421 calls it")]
pub struct Occupant {
    /// The nick.
    pub nick: Nick,
    /// Current role.
    pub role: Role,
    /// Its clients; never empty.
    pub sessions: SmallVec<[Session; 1]>,
    /// Where it is connected.
    pub home: Home,
    /// XEP-0421.
    pub occupant_id: Box<str>,
    /// What it last said of itself, cleaned.
    pub presence: Content,
    /// Position of its last logged change.
    pub seq: Seq,
    /// Position of the join of its first session: its place in the order of the room.
    pub came: Seq,
}

impl Occupant {
    /// The user's bare JID.
    pub fn bare(&self) -> BareJid {
        self.sessions[0].jid.to_bare()
    }

    /// The peer room that vouches for it.
    pub fn peer(&self) -> Option<&BareJid> {
        match &self.home {
            Home::Here => None,
            Home::Peer { room, .. } => Some(room),
        }
    }

    /// Joined here.
    pub fn is_local(&self) -> bool {
        self.home == Home::Here
    }

    /// Numbers of its sessions.
    pub fn session_ids(&self) -> SmallVec<[SessionId; 2]> {
        self.sessions.iter().map(|session| session.id).collect()
    }
}

/// All occupants, found by nick and by real JID. Iteration is in the order in which they came, so that the
/// same inputs give the same stanzas in the same order.
#[derive(Clone, Debug, Default)]
pub struct Occupants {
    by_nick: BTreeMap<Nick, Occupant>,
    /// Nicks in the order in which they came.
    order: BTreeMap<Seq, Nick>,
    // Never iterated: its order is not reproducible.
    local: HashMap<Jid, Nick>,
    remote: HashMap<(BareJid, Jid), Nick>,
    next_session: u32,
}

impl Occupants {
    /// How many nicks there are.
    pub fn len(&self) -> usize {
        self.by_nick.len()
    }

    /// Whether nobody is here.
    pub fn is_empty(&self) -> bool {
        self.by_nick.is_empty()
    }

    /// All, in the order in which they came.
    pub fn iter(&self) -> impl Iterator<Item = &Occupant> {
        self.order.values().filter_map(|nick| self.by_nick.get(nick))
    }

    /// Those who joined here.
    pub fn local(&self) -> impl Iterator<Item = &Occupant> {
        self.iter().filter(|occupant| occupant.is_local())
    }

    /// Whether anybody joined here.
    pub fn any_local(&self) -> bool {
        !self.local.is_empty()
    }

    /// Those whom this peer room vouches for.
    pub fn of_peer<'a>(&'a self, peer: &'a BareJid) -> impl Iterator<Item = &'a Occupant> {
        self.iter().filter(move |occupant| occupant.peer() == Some(peer))
    }

    /// The occupant of that nick.
    pub fn get(&self, nick: &str) -> Option<&Occupant> {
        self.by_nick.get(nick)
    }

    /// The same, to change what is not indexed.
    pub fn get_mut(&mut self, nick: &str) -> Option<&mut Occupant> {
        self.by_nick.get_mut(nick)
    }

    /// The occupant who joined here from that full JID.
    pub fn by_jid(&self, jid: &Jid) -> Option<&Occupant> {
        self.by_nick.get(self.local.get(jid)?)
    }

    /// The nick of the session of that full JID.
    pub fn nick_of(&self, jid: &Jid) -> Option<&Nick> {
        self.local.get(jid)
    }

    /// The occupant whom `peer` introduced with that full JID.
    pub fn vouched(&self, peer: &BareJid, jid: &Jid) -> Option<&Occupant> {
        self.by_nick.get(self.remote.get(&(peer.clone(), jid.clone()))?)
    }

    /// The occupant whom `peer` knows under that nick.
    pub fn by_peer_nick<'a>(&'a self, peer: &'a BareJid, there: &str) -> Option<&'a Occupant> {
        self.of_peer(peer).find(|occupant| matches!(&occupant.home, Home::Peer { nick, .. } if &**nick == there))
    }

    /// Adds a session, and the occupant if there is none of that nick yet.
    pub fn add(&mut self, nick: &Nick, jid: &Jid, join_seq: Seq, fresh: impl FnOnce() -> Occupant) -> SessionId {
        let id = SessionId(self.next_session);
        self.next_session += 1;
        let occupant = self.by_nick.entry(nick.clone()).or_insert_with(fresh);
        if occupant.sessions.is_empty() {
            occupant.came = join_seq;
            self.order.insert(join_seq, nick.clone());
        }
        occupant.sessions.push(Session { id, jid: jid.clone(), join_seq });
        match &occupant.home {
            Home::Here => self.local.insert(jid.clone(), nick.clone()),
            Home::Peer { room, .. } => self.remote.insert((room.clone(), jid.clone()), nick.clone()),
        };
        id
    }

    /// Takes a session away, and the occupant with its last one.
    pub fn remove(&mut self, nick: &str, jid: &Jid) -> Option<Session> {
        let occupant = self.by_nick.get_mut(nick)?;
        let at = occupant.sessions.iter().position(|session| &session.jid == jid)?;
        let session = occupant.sessions.remove(at);
        match &occupant.home {
            Home::Here => self.local.remove(jid),
            Home::Peer { room, .. } => self.remote.remove(&(room.clone(), jid.clone())),
        };
        if occupant.sessions.is_empty() {
            self.order.remove(&occupant.came);
            self.by_nick.remove(nick);
        }
        Some(session)
    }

    /// Moves an occupant with all its sessions to another nick, which must be free.
    pub fn rename(&mut self, old: &str, new: &Nick) {
        let Some(mut occupant) = self.by_nick.remove(old) else { return };
        occupant.nick = new.clone();
        self.order.insert(occupant.came, new.clone());
        for session in &occupant.sessions {
            match &occupant.home {
                Home::Here => self.local.insert(session.jid.clone(), new.clone()),
                Home::Peer { room, .. } => self.remote.insert((room.clone(), session.jid.clone()), new.clone()),
            };
        }
        self.by_nick.insert(new.clone(), occupant);
    }
}
