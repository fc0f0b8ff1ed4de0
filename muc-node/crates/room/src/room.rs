//! The room itself: its state and where each input goes.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use jid::{BareJid, Jid};
use warren_model::{
    Affiliation, AffiliationRow, Birth, Direction, Epoch, Generation, Now, PeeringView, Role, RoomConfig, RoomId,
    RoomRow, Seq, UnixMs,
};
use warren_xmpp::cast::PathState;
use warren_xmpp::{Kind, Stanza};

use crate::catchup::{Catchups, Target};
use crate::feature;
use crate::fmuc::{Peering, Seen};
use crate::ids::Keys;
use crate::invariants;
use crate::io::{Effect, Input, Site};
use crate::log::Logged;
use crate::state::{Nick, Occupants};

/// Rules that the simulator switches off to prove that it would notice. Never set elsewhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Breakage {
    /// A message from a peer is taken in although its id is known.
    pub dedup_off: bool,
    /// A replay leaves out join rows.
    pub join_not_replayed: bool,
}

/// A private message that was sent on, so that its bounce is not taken for that of a reflected message.
#[derive(Clone, Debug)]
pub(crate) struct SentPrivate {
    pub to: Jid,
    pub id: Box<str>,
    pub author: Jid,
    pub author_nick: Nick,
}

/// One room.
#[derive(Debug)]
pub struct Room {
    pub(crate) row: RoomRow,
    pub(crate) jid: BareJid,
    pub(crate) birth: Birth,
    pub(crate) keys: Keys,
    pub(crate) config: Arc<RoomConfig>,
    pub(crate) site: Arc<Site>,
    pub(crate) epoch: Epoch,
    pub(crate) now: Now,
    /// Newest archive time given out.
    pub(crate) last_at: UnixMs,
    /// Newest log position given out.
    pub(crate) head: Seq,
    /// Position of the newest row when the room was loaded: later ones are of our own epoch.
    pub(crate) loaded_head: Seq,
    pub(crate) occupants: Occupants,
    pub(crate) affiliations: BTreeMap<BareJid, AffiliationRow>,
    pub(crate) subject: Option<Arc<Logged>>,
    /// The newest messages, oldest first.
    pub(crate) history: VecDeque<Arc<Logged>>,
    pub(crate) peerings: BTreeMap<BareJid, Peering>,
    /// Foreign ids that are in the log.
    pub(crate) seen: Seen,
    pub(crate) catchups: Catchups,
    /// Paths that are not Up, and since when.
    pub(crate) paths: BTreeMap<Box<str>, (PathState, Duration)>,
    pub(crate) private: VecDeque<SentPrivate>,
    pub(crate) invited: VecDeque<feature::invite::Invited>,
    pub(crate) breakage: Breakage,
    pub(crate) check: bool,
    pub(crate) closed: bool,
    pub(crate) fx: Vec<Effect>,
}

impl Room {
    /// Takes one input and appends what is to be done about it.
    pub fn handle(&mut self, input: Input, now: Now, fx: &mut Vec<Effect>) {
        if self.closed {
            return;
        }
        self.now = now;
        let from = fx.len();
        std::mem::swap(&mut self.fx, fx);
        match input {
            Input::Stanza(stanza) => self.stanza(&stanza),
            Input::Config { uid, generation, config } => self.configure(uid, generation, &config),
            Input::Site(site) => {
                self.site = site;
                self.fmuc_policy_changed();
            }
            Input::Path { remote, state } => self.path(&remote, state),
            Input::Replay { remote, after } => self.catch_up(Target::Path(remote), after),
            Input::Regroup => {
                self.catchups.stop_paths();
                self.state_groups();
                self.fmuc_regrouped();
            }
            Input::Page { read, rows } => self.page(read, rows),
            Input::Tick => {
                self.grace_tick();
                self.fmuc_tick();
            }
            Input::Destroy { reason } => self.destroy(reason.as_deref(), None, None),
        }
        std::mem::swap(&mut self.fx, fx);
        if self.check {
            invariants::check(self, &fx[from..]);
        }
    }

    /// When [`Input::Tick`] is due, in monotonic time.
    pub fn next_deadline(&self) -> Option<Duration> {
        [self.grace_deadline(), self.fmuc_deadline()].into_iter().flatten().min()
    }

    /// Whether nothing would be lost by forgetting this room until the next input.
    pub fn is_idle(&self) -> bool {
        self.occupants.is_empty() && self.catchups.is_idle() && self.next_deadline().is_none()
    }

    /// Key in the store.
    pub fn id(&self) -> RoomId {
        self.row.id
    }

    /// Address.
    pub fn jid(&self) -> &BareJid {
        &self.jid
    }

    /// Position of the newest row.
    pub fn head(&self) -> Seq {
        self.position()
    }

    /// The declaration that is in force: uid of the object and its generation.
    pub fn declared_by(&self) -> (&str, Generation) {
        (&self.row.object_uid, Generation(self.row.generation))
    }

    /// Its configuration.
    pub fn config(&self) -> &RoomConfig {
        &self.config
    }

    /// Domains in which it has occupants or peers: it must hear of their paths.
    pub fn remotes(&self) -> impl Iterator<Item = &str> {
        self.occupants
            .local()
            .flat_map(|occupant| occupant.sessions.iter().map(|session| session.jid.domain().as_str()))
            .chain(self.peerings.keys().map(|peer| peer.domain().as_str()))
    }

    /// Nicks, real JIDs, roles and whether they joined here: for tests, checkers and diagnosis.
    pub fn roster(&self) -> Vec<(String, Jid, Role, bool)> {
        self.occupants
            .iter()
            .flat_map(|o| o.sessions.iter().map(|s| (o.nick.to_string(), s.jid.clone(), o.role, o.is_local())))
            .collect()
    }

    /// Where each peering stands.
    pub fn peerings(&self) -> impl Iterator<Item = (&BareJid, Direction, PeeringView)> {
        self.peerings.iter().map(|(peer, peering)| (peer, peering.row.direction, peering.view()))
    }

    /// How many sessions are in the room.
    pub fn sessions(&self) -> usize {
        self.occupants.iter().map(|occupant| occupant.sessions.len()).sum()
    }

    /// Checks the invariants after every input from now on.
    pub fn check_invariants(&mut self) {
        self.check = true;
    }

    /// For the simulator only.
    pub fn break_on_purpose(&mut self, breakage: Breakage) {
        self.breakage = breakage;
    }

    /// The affiliation of a user: its own entry, else that of its domain (XEP-0045 9.2).
    pub(crate) fn affiliation(&self, user: &BareJid) -> Affiliation {
        if let Some(row) = self.affiliations.get(user) {
            return row.value;
        }
        let domain = BareJid::from_parts(None, user.domain());
        self.affiliations.get(&domain).map_or(Affiliation::None, |row| row.value)
    }

    /// Whether what goes to that domain arrives, as far as is known.
    pub(crate) fn path_is_up(&self, remote: &str) -> bool {
        !self.paths.contains_key(remote)
    }

    fn stanza(&mut self, stanza: &Stanza) {
        let Some(from) = stanza.head.from.clone() else { return };
        if self.is_federation(stanza, &from) {
            self.federation(stanza, &from);
            return;
        }
        let incoming = feature::Incoming {
            stanza,
            nick: stanza.head.to.as_ref().and_then(|to| to.resource().map(|r| r.as_str().into())),
            sender: self.occupants.nick_of(&from).cloned(),
            from,
        };
        feature::dispatch(self, &incoming);
    }

    fn path(&mut self, remote: &str, state: PathState) {
        match state {
            PathState::Up => {
                self.paths.remove(remote);
            }
            state => {
                let since = match self.paths.get(remote) {
                    // The grace time counts from the moment it was Down.
                    Some((old, since)) if *old == state => *since,
                    _ => self.now.mono,
                };
                self.paths.insert(remote.into(), (state, since));
            }
        }
        self.fmuc_path(remote, state);
    }

    /// Whether a stanza kind is a groupchat message, the only kind that may prove an occupant gone.
    pub(crate) fn is_message(stanza: &Stanza) -> bool {
        stanza.head.kind == Kind::Message
    }
}
