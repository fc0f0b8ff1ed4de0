//! What the declaration says, and what changes for those who are here (XEP-0045 10.2.1).

use std::sync::Arc;

use warren_model::{Affiliation, Anonymity, Generation, LogKind, RoomConfig};
use warren_xmpp::cast::Who;

use crate::log::Entry;
use crate::payload::{Cause, ConfigChange, Leave, Payload};
use crate::room::Room;

impl Room {
    /// Takes over a declaration.
    pub(crate) fn configure(&mut self, uid: String, generation: Generation, config: &Arc<RoomConfig>) {
        let fresh = self.row.generation == 0;
        if self.row.object_uid == uid && self.row.generation == generation.0 && self.config == *config {
            // Applied again at every start.
            return;
        }
        let old = std::mem::replace(&mut self.config, config.clone());
        self.row.object_uid = uid;
        self.row.generation = generation.0;
        let codes = if fresh { Vec::new() } else { codes(&old, config) };
        self.persist_room();
        self.ensure_affiliations(config);
        if !codes.is_empty() {
            let logged = self.append(Entry {
                kind: LogKind::Config,
                jid: None,
                nick: "",
                ingress: None,
                id: None,
                eff: None,
                payload: Payload::Config(ConfigChange { codes: codes.clone() }),
            });
            let text = self.config_text(&codes);
            self.cast_plain(Some(logged.row.seq), text, Who::All);
        }
        if old.anonymity != config.anonymity {
            // Who sees real JIDs has changed for everybody.
            let nicks: Vec<_> = self.occupants.local().map(|occupant| occupant.nick.clone()).collect();
            let version = self.head;
            for nick in nicks {
                self.put_in_group(&nick, version);
            }
        }
        if config.members_only && !old.members_only {
            let strangers: Vec<_> = self
                .occupants
                .local()
                .filter(|occupant| self.affiliation(&occupant.bare()) < Affiliation::Member)
                .map(|occupant| occupant.nick.clone())
                .collect();
            for nick in strangers {
                self.remove_occupant(&nick, &Leave { cause: Cause::MembersOnly, ..Leave::default() });
            }
        }
        self.fmuc_policy_changed();
    }

    /// `policy: Additive` ensures the declared entries and takes back what it once ensured;
    /// `Authoritative` removes all others.
    fn ensure_affiliations(&mut self, config: &RoomConfig) {
        let dropped: Vec<_> = self
            .affiliations
            .values()
            .filter(|row| !config.affiliations.contains_key(&row.jid))
            .filter(|row| row.managed || config.affiliations_authoritative)
            .map(|row| row.jid.clone())
            .collect();
        for (user, value) in &config.affiliations {
            if self.affiliations.get(user).is_none_or(|row| row.value != *value || !row.managed) {
                self.set_affiliation(user, *value, None, None, true);
            }
        }
        for user in dropped {
            self.set_affiliation(&user, Affiliation::None, None, None, false);
        }
    }
}

fn codes(old: &RoomConfig, new: &RoomConfig) -> Vec<u16> {
    let mut codes = Vec::new();
    if old.anonymity != new.anonymity {
        codes.push(if new.anonymity == Anonymity::NonAnonymous { 172 } else { 173 });
    }
    let visible = |c: &RoomConfig| {
        (c.title.clone(), c.description.clone(), c.members_only, c.moderated, c.max_occupants, c.password.is_some())
    };
    if visible(old) != visible(new) {
        codes.push(104);
    }
    codes
}
