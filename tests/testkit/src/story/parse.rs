//! From text to [`Story`].

mod scene;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jid::{BareJid, Jid};
use minidom::Element;

use super::script::{Do, ParseError, PeerDecl, Scene, Step, Story, UserDecl};
use super::stage::{Fault, Level, Place};

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
