//! The first part of a story: its sites and their rooms, and who may join whom.

use std::collections::BTreeSet;
use std::path::Path;

use jid::BareJid;
use warren_model::config::{
    Affiliation, Anonymity, FederationConfig, FlavourHint, History, JidExposure, PeerConfig, PeerRooms, PeerTimers,
    RoomConfig, Uplink, Vouch,
};

use super::{Named, Parser, Wrong, bare, domains, duration, parent};
use crate::story::script::{Do, Grant, RoomDecl, SiteDecl, Story};
use crate::story::stage::Level;

impl Parser {
    pub(super) fn site(&mut self, line: usize, name: &str, domain: &str, rest: &[&str]) -> Result<(), String> {
        self.name(name, Named::Site)?;
        let mut home = BTreeSet::from([parent(domain)]);
        let mut rest = rest;
        while !rest.is_empty() {
            rest = match rest {
                ["uplink", local, "->", room, rest @ ..] => {
                    self.uplinks.push((line, bare(&format!("{local}@{domain}"))?, bare(room)?));
                    rest
                }
                [setting, rest @ ..] if setting.starts_with("home=") => {
                    home = domains(&setting["home=".len()..]);
                    rest
                }
                _ => return Err(format!("not understood: {}", rest.join(" "))),
            };
        }
        let site = SiteDecl { name: name.into(), domain: domain.into(), home, rooms: Vec::new(), allows: Vec::new() };
        self.scene.sites.push(site);
        Ok(())
    }

    pub(super) fn room(&mut self, line: usize, room: &str, settings: &[&str]) -> Result<(), String> {
        let jid = bare(room)?;
        let mut config = RoomConfig::default();
        for setting in settings {
            let (key, value) = setting.split_once('=').map_or((*setting, None), |(key, value)| (key, Some(value)));
            let number = || value.and_then(|v| v.parse().ok()).ok_or_else(|| format!("{key} needs a number"));
            match (key, value) {
                ("members-only", None) => config.members_only = true,
                ("moderated", None) => config.moderated = true,
                ("participants-set-subject", None) => config.participants_may_set_subject = true,
                ("anonymity", Some("NonAnonymous")) => config.anonymity = Anonymity::NonAnonymous,
                ("anonymity", Some("SemiAnonymous")) => config.anonymity = Anonymity::SemiAnonymous,
                ("password", Some(password)) => config.password = Some(password.into()),
                ("title", Some(title)) => config.title = title.into(),
                ("description", Some(text)) => config.description = text.into(),
                ("history", _) => config.history = History { max_messages: number()?, ..config.history },
                ("history-age", Some(age)) => {
                    config.history = History { max_age: Some(duration(age)?), ..config.history };
                }
                ("max", _) => config.max_occupants = Some(number()?),
                ("uplink", Some(remote)) => self.uplinks.push((line, jid.clone(), bare(remote)?)),
                (affiliation, Some(list)) if Affiliation::parse(affiliation).is_some() => {
                    for user in list.split(',') {
                        let affiliation = Affiliation::parse(affiliation).unwrap_or_default();
                        config.affiliations.insert(bare(user)?, affiliation);
                    }
                }
                _ => return Err(format!("unknown setting {setting}")),
            }
        }
        let site = self.scene.sites.iter_mut().find(|site| *site.domain == *jid.domain().as_str());
        let site = site.ok_or_else(|| format!("no site serves {}", jid.domain()))?;
        if site.rooms.iter().any(|room| room.jid == jid) {
            return Err(format!("{jid} is declared twice"));
        }
        site.rooms.push(RoomDecl { jid, config });
        Ok(())
    }

    pub(super) fn finish(mut self, file: &Path) -> Wrong<Story> {
        let Some((title, xep, section)) = self.title.take() else { return Err((1, "no title".into())) };
        if self.scene.sites.is_empty() {
            return Err((1, "no site".into()));
        }
        if self.steps.is_empty() {
            return Err((1, "nothing happens".into()));
        }
        self.rooms()?;
        self.allow_lists()?;
        let levels = self.levels.unwrap_or_else(|| BTreeSet::from([Level::Core, Level::Node]));
        Ok(Story { file: file.to_owned(), title, xep, section, levels, scene: self.scene, steps: self.steps })
    }

    /// A site without `room` lines has the rooms that its users join; an uplink names its room.
    pub(super) fn rooms(&mut self) -> Wrong<()> {
        let mut joined: Vec<(usize, BareJid)> = Vec::new();
        for step in &self.steps {
            if let Do::Join { room, .. } = &step.what {
                joined.push((step.line, room.clone()));
            }
        }
        for site in &mut self.scene.sites {
            let told = !site.rooms.is_empty();
            for (line, room) in joined.iter().filter(|(_, room)| *site.domain == *room.domain().as_str()) {
                if site.rooms.iter().any(|known| known.jid == *room) {
                    continue;
                }
                if told {
                    return Err((*line, format!("{room} has no `room` line")));
                }
                site.rooms.push(RoomDecl { jid: room.clone(), config: RoomConfig::default() });
            }
        }
        for (line, room) in &joined {
            if !self.scene.sites.iter().any(|site| *site.domain == *room.domain().as_str()) {
                return Err((*line, format!("no site serves {}", room.domain())));
            }
        }
        for (line, local, remote) in std::mem::take(&mut self.uplinks) {
            let site = self.scene.sites.iter_mut().find(|site| *site.domain == *local.domain().as_str());
            let site = site.ok_or_else(|| (line, format!("no site serves {local}")))?;
            let at = site.rooms.iter().position(|room| room.jid == local).unwrap_or_else(|| {
                site.rooms.push(RoomDecl { jid: local, config: RoomConfig::default() });
                site.rooms.len() - 1
            });
            site.rooms[at].config.federation = Some(FederationConfig {
                uplink: Some(Uplink { room: remote }),
                jid_exposure: Some(JidExposure::Real),
                ..FederationConfig::default()
            });
        }
        Ok(())
    }

    /// Each site admits all others and all scripted rooms, each vouching for its users, unless the story says otherwise.
    pub(super) fn allow_lists(&mut self) -> Wrong<()> {
        let mut remote: Vec<(String, Box<str>, BTreeSet<Box<str>>)> = Vec::new();
        for site in &self.scene.sites {
            remote.push((site.name.clone(), site.domain.clone(), site.home.clone()));
        }
        for peer in &self.scene.peers {
            remote.push((peer.name.clone(), peer.jid.domain().as_str().into(), peer.home.clone()));
        }
        for site in &mut self.scene.sites {
            for (_, domain, home) in remote.iter().filter(|(_, domain, _)| *domain != site.domain) {
                if !site.allows.iter().any(|grant| grant.config.domain == *domain) {
                    site.allows.push(Grant { config: grant(domain, home) });
                }
            }
        }
        for (line, site, who, settings) in std::mem::take(&mut self.lists) {
            let named = remote.iter().find(|(name, ..)| *name == who);
            let domain = named.map_or_else(|| who.as_str().into(), |(_, domain, _)| domain.clone());
            let home = named.map_or_else(|| BTreeSet::from([parent(&who)]), |(_, _, home)| home.clone());
            let site = self.scene.sites.iter_mut().find(|decl| decl.name == site);
            let site = site.ok_or_else(|| (line, "no such site".to_owned()))?;
            site.allows.retain(|grant| grant.config.domain != domain);
            let Some(settings) = settings else { continue };
            let mut config = grant(&domain, &home);
            for setting in settings {
                let wrong = |what: String| (line, what);
                match setting.split_once('=') {
                    Some(("vouch", "any")) => config.vouch = Vouch::Any,
                    Some(("vouch", list)) => config.vouch = Vouch::Domains(domains(list)),
                    Some(("rooms", "none")) => config.rooms = PeerRooms::Listed,
                    Some(("rooms", list)) => config.rooms = PeerRooms::Only(domains(list)),
                    Some(("ack", span)) => config.timers.ack_timeout = duration(span).map_err(wrong)?,
                    Some(("grace", span)) => config.timers.peering_grace = duration(span).map_err(wrong)?,
                    Some(("retry", span)) => config.timers.retry = duration(span).map_err(wrong)?,
                    _ => return Err((line, format!("unknown setting {setting}"))),
                }
            }
            site.allows.push(Grant { config });
        }
        Ok(())
    }
}

fn grant(domain: &str, home: &BTreeSet<Box<str>>) -> PeerConfig {
    PeerConfig {
        domain: domain.into(),
        vouch: Vouch::Domains(home.clone()),
        rooms: PeerRooms::All,
        flavour: FlavourHint::Auto,
        timers: PeerTimers::default(),
        suspended: false,
    }
}
