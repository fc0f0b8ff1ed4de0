//! From text to [`Story`].

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jid::{BareJid, Jid};
use minidom::Element;
use warren_model::config::{
    Affiliation, Anonymity, FederationConfig, FlavourHint, History, JidExposure, PeerConfig, PeerRooms, PeerTimers,
    RoomConfig, Uplink, Vouch,
};

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

/// All stories under a directory, in the order of their paths. A story lies in the directory of the XEP that it names.
pub fn load(dir: &Path) -> anyhow::Result<Vec<Story>> {
    let mut files = Vec::new();
    walk(dir, &mut files)?;
    files.sort();
    let mut stories = Vec::with_capacity(files.len());
    for file in files {
        let story = Story::parse(&file, &std::fs::read_to_string(&file)?)?;
        let folder = file.parent().and_then(Path::file_name).unwrap_or_default();
        if folder.to_str() != Some(&format!("xep-{:04}", story.xep)) {
            anyhow::bail!("{}:1: the title names XEP-{:04}, the directory another", file.display(), story.xep);
        }
        stories.push(story);
    }
    Ok(stories)
}

fn walk(dir: &Path, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            walk(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "story") {
            files.push(path);
        }
    }
    Ok(())
}

impl Story {
    /// Reads a story; `file` is only for messages.
    pub fn parse(file: &Path, text: &str) -> Result<Self, ParseError> {
        let mut parser = Parser::default();
        parser.read(text).map_err(|(line, what)| ParseError { file: file.to_owned(), line, what })?;
        let finish = |(line, what)| ParseError { file: file.to_owned(), line, what };
        parser.finish(file).map_err(finish)
    }
}

type Wrong<T> = Result<T, (usize, String)>;

#[derive(Default)]
struct Parser {
    title: Option<(String, u16, String)>,
    levels: Option<BTreeSet<Level>>,
    scene: Scene,
    names: BTreeMap<String, Named>,
    /// (line, local part, remote room)
    uplinks: Vec<(usize, BareJid, BareJid)>,
    /// (line, site, who, settings or `deny`)
    lists: Vec<(usize, String, String, Option<Vec<String>>)>,
    steps: Vec<Step>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Named {
    Site,
    User,
    Peer,
}

/// A statement with the XML that is indented below it.
struct Statement<'a> {
    line: usize,
    text: &'a str,
    xml: String,
}

impl Parser {
    fn read(&mut self, text: &str) -> Wrong<()> {
        let mut statements: Vec<Statement<'_>> = Vec::new();
        for (line, raw) in text.lines().enumerate().map(|(i, raw)| (i + 1, raw.trim_end())) {
            if line == 1 {
                self.title = Some(title(raw).map_err(|what| (line, what))?);
            }
            let indented = raw.starts_with([' ', '\t']);
            if raw.trim_start().starts_with('#') {
                continue;
            }
            if raw.is_empty() || indented {
                match statements.last_mut() {
                    Some(last) => {
                        last.xml.push_str(raw);
                        last.xml.push('\n');
                    }
                    None if raw.is_empty() => {}
                    None => return Err((line, "indented, but there is no statement above".into())),
                }
            } else {
                statements.push(Statement { line, text: raw, xml: String::new() });
            }
        }
        if self.title.is_none() {
            return Err((1, "empty".into()));
        }
        for statement in &statements {
            self.statement(statement).map_err(|what| (statement.line, what))?;
        }
        Ok(())
    }

    fn statement(&mut self, statement: &Statement<'_>) -> Result<(), String> {
        let words = words(statement.text)?;
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let declares = matches!(words[0], "site" | "room" | "user" | "peer" | "allow" | "deny" | "level" | "unwatched");
        if declares && !self.steps.is_empty() {
            return Err("declarations stand before the first step".into());
        }
        let stanzas = stanzas(&statement.xml)?;
        let takes_xml =
            matches!(*words, [_, "sends" | "receives"] | [_, "sends", _]) && *words.last().unwrap_or(&"") != "nothing";
        if stanzas.is_empty() && takes_xml {
            return Err("no stanza below".into());
        }
        if !stanzas.is_empty() && !takes_xml {
            return Err("nothing may be indented below this".into());
        }
        let what = match *words {
            ["site", name, domain, ref rest @ ..] => return self.site(statement.line, name, domain, rest),
            ["room", room, ref settings @ ..] => return self.room(statement.line, room, settings),
            ["user", name, jid] => {
                self.name(name, Named::User)?;
                let jid = Jid::new(jid).map_err(|e| format!("{jid}: {e}"))?;
                self.scene.users.push(UserDecl { name: name.into(), jid });
                return Ok(());
            }
            ["peer", name, jid, ref settings @ ..] => {
                self.name(name, Named::Peer)?;
                let jid = bare(jid)?;
                let mut home = BTreeSet::from([parent(jid.domain().as_str())]);
                for setting in settings {
                    match setting.split_once('=') {
                        Some(("home", list)) => home = domains(list),
                        _ => return Err(format!("unknown setting {setting}")),
                    }
                }
                self.scene.peers.push(PeerDecl { name: name.into(), jid, home });
                return Ok(());
            }
            ["allow", site, "<-", who, ref settings @ ..] => {
                self.is(site, Named::Site)?;
                let settings = settings.iter().map(ToString::to_string).collect();
                self.lists.push((statement.line, site.into(), who.into(), Some(settings)));
                return Ok(());
            }
            ["deny", site, "<-", who] => {
                self.is(site, Named::Site)?;
                self.lists.push((statement.line, site.into(), who.into(), None));
                return Ok(());
            }
            ["level", ref levels @ ..] if !levels.is_empty() && self.levels.is_none() => {
                let parsed: Option<BTreeSet<Level>> = levels.iter().map(|level| Level::parse(level)).collect();
                self.levels = Some(parsed.ok_or("levels are core, node, real")?);
                return Ok(());
            }
            ["unwatched", a, b] => {
                self.is(a, Named::Site)?;
                self.is(b, Named::Site)?;
                self.scene.unwatched.insert((a.into(), b.into()));
                self.scene.unwatched.insert((b.into(), a.into()));
                return Ok(());
            }
            [user, "joins", room, "as", ref nick @ ..] if !nick.is_empty() => {
                self.is(user, Named::User)?;
                let (password, nick) = match nick.last().and_then(|last| last.strip_prefix("password=")) {
                    Some(password) => (Some(password.to_owned()), &nick[..nick.len() - 1]),
                    None => (None, nick),
                };
                Do::Join { user: user.into(), room: bare(room)?, nick: nick.join(" "), password }
            }
            [user, "leaves", room] => {
                self.is(user, Named::User)?;
                Do::Leave { user: user.into(), room: bare(room)? }
            }
            [actor, "sends", "nothing"] => {
                self.is(actor, Named::Site)?;
                let others = self.scene.sites.iter().filter(|site| site.name != actor);
                let places = others.map(|to| Place::Wire { from: actor.into(), to: to.name.clone() }).collect();
                Do::ExpectNothing { places }
            }
            [from, "sends", to, "nothing"] => {
                self.is(from, Named::Site)?;
                self.is(to, Named::Site)?;
                Do::ExpectNothing { places: vec![Place::Wire { from: from.into(), to: to.into() }] }
            }
            [actor, "sends"] => {
                let named = *self.names.get(actor).ok_or_else(|| format!("who is {actor}?"))?;
                for stanza in &stanzas {
                    sendable(stanza, named)?;
                }
                Do::Send { actor: actor.into(), stanzas }
            }
            [from, "sends", to] => {
                self.is(from, Named::Site)?;
                self.is(to, Named::Site)?;
                Do::Expect { place: Place::Wire { from: from.into(), to: to.into() }, stanzas }
            }
            [who, "receives", "nothing"] => Do::ExpectNothing { places: vec![self.receiver(who)?] },
            [who, "receives"] => Do::Expect { place: self.receiver(who)?, stanzas },
            ["time", span] => Do::Advance(duration(span)?),
            ["cut", a, b] => Do::Fault(Fault::Cut(self.end(a)?, self.end(b)?)),
            ["heal", a, b] => Do::Fault(Fault::Heal(self.end(a)?, self.end(b)?)),
            ["lose", "next", a, b] => Do::Fault(Fault::LoseNext(self.end(a)?, self.end(b)?)),
            ["crash", site] => Do::Fault(Fault::Crash(self.is(site, Named::Site)?)),
            ["restart", site] => Do::Fault(Fault::Restart(self.is(site, Named::Site)?)),
            ["swallow"] => Do::Swallow,
            _ => return Err(format!("not a statement: {}", statement.text)),
        };
        self.steps.push(Step { line: statement.line, what });
        Ok(())
    }

    fn name(&mut self, name: &str, kind: Named) -> Result<(), String> {
        match self.names.insert(name.to_owned(), kind) {
            None => Ok(()),
            Some(_) => Err(format!("{name} is declared twice")),
        }
    }

    fn is(&self, name: &str, kind: Named) -> Result<String, String> {
        if self.names.get(name) == Some(&kind) {
            return Ok(name.to_owned());
        }
        let kind = match kind {
            Named::Site => "a site",
            Named::User => "a user",
            Named::Peer => "a peer",
        };
        Err(format!("{name} is not declared as {kind}"))
    }

    fn end(&self, name: &str) -> Result<String, String> {
        self.is(name, Named::Site).or_else(|_| self.is(name, Named::Peer))
    }

    fn receiver(&self, name: &str) -> Result<Place, String> {
        match self.names.get(name) {
            Some(Named::User) => Ok(Place::User(name.into())),
            Some(Named::Peer) => Ok(Place::Peer(name.into())),
            Some(Named::Site) => Err("what a site receives is told by the one who sends it".into()),
            None => Err(format!("who is {name}?")),
        }
    }

    fn site(&mut self, line: usize, name: &str, domain: &str, rest: &[&str]) -> Result<(), String> {
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

    fn room(&mut self, line: usize, room: &str, settings: &[&str]) -> Result<(), String> {
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

    fn finish(mut self, file: &Path) -> Wrong<Story> {
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
    fn rooms(&mut self) -> Wrong<()> {
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
    fn allow_lists(&mut self) -> Wrong<()> {
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

/// `# XEP-0045 7.2.1, 7.2.2: what it is about`
fn title(line: &str) -> Result<(String, u16, String), String> {
    let wrong = "the first line is `# XEP-nnnn <section>: <what it is about>`";
    let text = line.strip_prefix("# ").ok_or(wrong)?;
    let (head, about) = text.split_once(": ").ok_or(wrong)?;
    let (xep, section) = head.strip_prefix("XEP-").and_then(|rest| rest.split_once(' ')).ok_or(wrong)?;
    let xep = if xep.len() == 4 { xep.parse().map_err(|_| wrong)? } else { return Err(wrong.into()) };
    if !section.starts_with(|c: char| c.is_ascii_digit()) || about.trim().is_empty() {
        return Err(wrong.into());
    }
    Ok((text.to_owned(), xep, section.to_owned()))
}

/// Words of a statement; `'…'` holds spaces.
fn words(text: &str) -> Result<Vec<String>, String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for c in text.chars() {
        match c {
            '\'' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            _ => words.last_mut().ok_or("no word")?.push(c),
        }
    }
    words.retain(|word| !word.is_empty());
    if quoted || words.is_empty() {
        return Err("a quote is not closed".into());
    }
    Ok(words)
}

fn stanzas(xml: &str) -> Result<Vec<Element>, String> {
    if xml.trim().is_empty() {
        return Ok(Vec::new());
    }
    let wrapped = format!("<story xmlns='jabber:client'>{xml}</story>");
    let parsed: Element = wrapped.parse().map_err(|e| format!("the XML below: {e}"))?;
    if !parsed.text().trim().is_empty() {
        return Err(format!("text outside of a stanza: {}", parsed.text().trim()));
    }
    for stanza in parsed.children() {
        match stanza.name() {
            "iq" if stanza.attr("id").is_none() => return Err("an iq has an id".into()),
            "message" | "presence" | "iq" if stanza.ns() == "jabber:client" => {}
            other => return Err(format!("<{other}/> is not a stanza")),
        }
    }
    let mut stanzas: Vec<Element> = parsed.children().cloned().collect();
    stanzas.iter_mut().for_each(unindent);
    Ok(stanzas)
}

/// Line breaks between elements are the story's, not the sender's.
fn unindent(element: &mut Element) {
    if element.children().next().is_some() {
        for node in element.take_nodes() {
            if node.as_text().is_none_or(|text| !text.trim().is_empty()) {
                element.append_node(node);
            }
        }
        element.children_mut().for_each(unindent);
    }
}

fn sendable(stanza: &Element, by: Named) -> Result<(), String> {
    match by {
        Named::User if stanza.attr("from").is_some() => Err("a user's server stamps `from`".into()),
        Named::Peer if stanza.attr("from").is_none() => Err("a scripted room writes its own `from`".into()),
        Named::Site => Err("to whom does the site send?".into()),
        _ if stanza.attr("to").is_none() => Err("no `to`".into()),
        _ => Ok(()),
    }
}

fn bare(text: &str) -> Result<BareJid, String> {
    let jid = BareJid::new(text).map_err(|e| format!("{text}: {e}"))?;
    if jid.node().is_some() { Ok(jid) } else { Err(format!("{text} has no local part")) }
}

fn parent(domain: &str) -> Box<str> {
    domain.split_once('.').map_or(domain, |(_, parent)| parent).into()
}

fn domains(list: &str) -> BTreeSet<Box<str>> {
    list.split(',').map(Into::into).collect()
}

fn duration(text: &str) -> Result<Duration, String> {
    let at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..at].parse().map_err(|_| format!("{text} is not a span of time"))?;
    Ok(match &text[at..] {
        "ms" => Duration::from_millis(number),
        "s" => Duration::from_secs(number),
        "m" => Duration::from_secs(number * 60),
        "h" => Duration::from_secs(number * 3600),
        _ => return Err(format!("{text} is not a span of time (ms, s, m, h)")),
    })
}
