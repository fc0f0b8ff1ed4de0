//! How a room comes to life: from its rows, or from a declaration when there are none.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use jid::BareJid;
use smallvec::smallvec;
use warren_model::{Birth, Epoch, Generation, Now, OccupantRow, RoomConfig, RoomRow, RoomRows, Row, Secret, Seq};
use warren_xmpp::Content;
use warren_xmpp::cast::GroupChange;

use crate::catchup::Catchups;
use crate::fmuc;
use crate::ids::Keys;
use crate::io::{Effect, Input, Site};
use crate::log::Logged;
use crate::room::{Breakage, Room};
use crate::state::{Home, Nick, Occupant, Occupants};

/// Messages that a loaded room keeps for newcomers at most; the store is asked for as many.
pub const WINDOW: usize = 500;

/// What a room that does not exist yet is made of.
#[derive(Clone, Debug)]
pub struct Declared {
    /// Its address.
    pub jid: BareJid,
    /// 128 fresh random bits.
    pub birth: Birth,
    /// 256 fresh random bits.
    pub secret: Secret,
    /// Identity of the declaring object.
    pub uid: String,
    /// Its generation.
    pub generation: Generation,
    /// What it says.
    pub config: Arc<RoomConfig>,
}

impl Room {
    /// A room that is new. Its row is among the effects.
    pub fn create(declared: Declared, epoch: Epoch, site: Arc<Site>, now: Now, fx: &mut Vec<Effect>) -> Self {
        let row = RoomRow {
            id: declared.birth.room_id(),
            jid: declared.jid,
            birth: declared.birth,
            secret: declared.secret,
            object_uid: declared.uid.clone(),
            generation: 0,
            config: Vec::new(),
            subject_seq: Seq(0),
            low: Seq(0),
            head: Seq(0),
        };
        let mut room = Self::bare(row, RoomConfig::default(), epoch, site, now);
        // As of any room that comes into memory: there is nobody in it.
        fx.push(Effect::Regroup);
        room.handle(
            Input::Config { uid: declared.uid, generation: declared.generation, config: declared.config },
            now,
            fx,
        );
        room
    }

    /// A room as it was. The effects tell egress its groups and start what a restart must start:
    /// nobody is sent anything merely because the room was loaded.
    pub fn load(rows: RoomRows, epoch: Epoch, site: Arc<Site>, now: Now, fx: &mut Vec<Effect>) -> Self {
        let config = ciborium::from_reader(rows.room.config.as_slice()).unwrap_or_default();
        let mut room = Self::bare(rows.room, config, epoch, site, now);
        room.affiliations = rows.affiliations.into_iter().map(|row| (row.jid.clone(), row)).collect();
        room.subject = rows.subject.and_then(Logged::read);
        room.history = rows.history.into_iter().filter_map(Logged::read).collect();
        room.last_at = room.history.back().map(|logged| logged.row.at).unwrap_or_default();
        for row in rows.occupants {
            room.restore(row);
        }
        for row in rows.fmuc_keys {
            room.seen.remember(&row);
        }
        for row in rows.peerings {
            room.peerings.insert(row.peer.clone(), fmuc::Peering::restored(row, now));
        }
        std::mem::swap(&mut room.fx, fx);
        room.state_groups();
        room.fmuc_wake();
        std::mem::swap(&mut room.fx, fx);
        room
    }

    fn bare(row: RoomRow, config: RoomConfig, epoch: Epoch, site: Arc<Site>, now: Now) -> Self {
        Self {
            keys: Keys::new(&row.secret),
            jid: row.jid.clone(),
            birth: row.birth,
            head: row.head,
            loaded_head: row.head,
            row,
            config: Arc::new(config),
            site,
            epoch,
            now,
            last_at: now.wall,
            occupants: Occupants::default(),
            affiliations: BTreeMap::new(),
            subject: None,
            history: VecDeque::new(),
            peerings: BTreeMap::new(),
            seen: fmuc::Seen::default(),
            catchups: Catchups::default(),
            paths: BTreeMap::new(),
            private: VecDeque::new(),
            invited: VecDeque::new(),
            breakage: Breakage::default(),
            check: false,
            closed: false,
            fx: Vec::new(),
        }
    }

    fn restore(&mut self, row: OccupantRow) {
        let nick: Nick = row.nick.as_ref().into();
        let home = match row.peering {
            None => Home::Here,
            Some(room) => Home::Peer {
                room,
                nick: row.peer_nick.as_deref().unwrap_or(&row.nick).into(),
                affiliation: row.peer_affiliation,
            },
        };
        let origin = match &home {
            Home::Here => None,
            Home::Peer { room, .. } => Some(room),
        };
        let occupant_id = self.keys.occupant_id(&row.jid.to_bare(), origin);
        let fresh = || Occupant {
            nick: nick.clone(),
            role: row.role,
            sessions: smallvec![],
            home: home.clone(),
            occupant_id,
            presence: Content::parse(&row.presence).unwrap_or_default(),
            seq: row.seq,
            came: row.join_seq,
        };
        self.occupants.add(&nick, &row.jid, row.join_seq, fresh);
    }

    /// Tells egress all members of all groups, and that there are no others.
    pub(crate) fn state_groups(&mut self) {
        self.fx.push(Effect::Regroup);
        let mut groups: BTreeMap<Box<str>, (Seq, Vec<_>)> = BTreeMap::new();
        for occupant in self.occupants.local() {
            for session in &occupant.sessions {
                let (version, members) = groups.entry(session.jid.domain().as_str().into()).or_default();
                *version = (*version).max(occupant.seq).max(session.join_seq);
                members.push(self.member(occupant.role, session));
            }
        }
        for (remote, (version, members)) in groups {
            self.fx.push(Effect::Group { remote, version, change: GroupChange::Reset(members) });
        }
    }

    /// Writes the room's own row.
    pub(crate) fn persist_room(&mut self) {
        let mut config = Vec::new();
        // Writing plain data to memory has no way to fail.
        let _ = ciborium::into_writer(&*self.config, &mut config);
        self.row.config = config;
        self.row.subject_seq = self.subject.as_ref().map_or(Seq(0), |logged| logged.row.seq);
        self.row.head = self.head;
        let row = self.row.clone();
        self.persist(Row::Room(row));
    }
}
