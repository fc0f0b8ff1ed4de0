//! Plays stories.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::{self, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use jid::{BareJid, Jid};
use minidom::Element;

use super::matcher::{At, Bindings, compare, plumbing, pretty};
use super::script::{Do, Story};
use super::stage::{Level, Place, Stage, Until};

const MUC: &str = "http://jabber.org/protocol/muc";

/// Why a story failed.
#[derive(Debug)]
pub struct Failure {
    /// The story's file.
    pub file: PathBuf,
    /// The line that was not fulfilled.
    pub line: usize,
    /// The story's title.
    pub title: String,
    /// What went wrong, with expected and received stanzas.
    pub what: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}\n{}", self.file.display(), self.line, self.title, self.what)
    }
}

impl std::error::Error for Failure {}

/// What came of many stories at one level.
#[derive(Debug)]
pub struct Report {
    /// Where they were played.
    pub level: Level,
    /// Stories that were played, per XEP.
    pub ran: BTreeMap<u16, usize>,
    /// Stories that are not meant for this level.
    pub elsewhere: usize,
    /// Those that failed.
    pub failures: Vec<Failure>,
}

impl Report {
    fn new(level: Level) -> Self {
        Self { level, ran: BTreeMap::new(), elsewhere: 0, failures: Vec::new() }
    }

    fn add(&mut self, part: Self) {
        for (xep, count) in part.ran {
            *self.ran.entry(xep).or_default() += count;
        }
        self.elsewhere += part.elsewhere;
        self.failures.extend(part.failures);
    }

    /// How many were played.
    pub fn count(&self) -> usize {
        self.ran.values().sum()
    }

    /// For tests: panics with all failures, or when fewer stories were played than there must be.
    #[track_caller]
    pub fn check(&self, at_least: usize) {
        assert!(self.failures.is_empty(), "{self}");
        assert!(self.count() >= at_least, "only {} stories at level {}", self.count(), self.level);
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for failure in &self.failures {
            writeln!(f, "{failure}\n")?;
        }
        write!(f, "level {}: {} stories, {} failed (", self.level, self.count(), self.failures.len())?;
        for (i, (xep, count)) in self.ran.iter().enumerate() {
            write!(f, "{}XEP-{xep:04}: {count}", if i > 0 { ", " } else { "" })?;
        }
        write!(f, "); {} are not for this level", self.elsewhere)
    }
}

/// Plays all stories that are meant for a level, each on a stage of its own. At the desk the environment variable
/// `STORY` picks those whose path contains it; [`Report::check`] then misses the others.
pub fn run_all<S: Stage>(
    stories: &[Story],
    level: Level,
    mut stage: impl FnMut(&Story) -> anyhow::Result<S>,
) -> Report {
    let mut report = Report::new(level);
    let only = std::env::var("STORY").unwrap_or_default();
    for story in stories {
        if !story.levels.contains(&level) || !story.file.to_string_lossy().contains(&only) {
            report.elsewhere += 1;
            continue;
        }
        *report.ran.entry(story.xep).or_default() += 1;
        let played = match stage(story) {
            Ok(mut stage) => run(story, &mut stage, level),
            Err(e) => Err(failure(story, 1, format!("no stage: {e:#}"))),
        };
        report.failures.extend(played.err());
    }
    report
}

/// The same, `at_once` stories at a time: for stages that wait more than they work.
pub fn run_all_at_once<S: Stage>(
    stories: &[Story],
    level: Level,
    at_once: usize,
    stage: impl Fn(&Story) -> anyhow::Result<S> + Sync,
) -> Report {
    let next = AtomicUsize::new(0);
    let play = || {
        let mut report = Report::new(level);
        while let Some(story) = stories.get(next.fetch_add(1, Ordering::Relaxed)) {
            report.add(run_all(std::slice::from_ref(story), level, &stage));
        }
        report
    };
    let mut report = Report::new(level);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..at_once.max(1)).map(|_| scope.spawn(play)).collect();
        for thread in threads {
            match thread.join() {
                Ok(part) => report.add(part),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
    });
    report.failures.sort_by(|a, b| a.file.cmp(&b.file));
    report
}

fn failure(story: &Story, line: usize, what: String) -> Failure {
    Failure { file: story.file.clone(), line, title: story.title.clone(), what }
}

/// Plays one story.
pub fn run(story: &Story, stage: &mut impl Stage, level: Level) -> Result<(), Failure> {
    let mut play = Play {
        story,
        stage,
        level,
        bindings: Bindings::default(),
        pending: BTreeMap::new(),
        nicks: BTreeMap::new(),
        told: false,
    };
    let mut line = story.steps.first().map_or(1, |step| step.line);
    for step in &story.steps {
        line = step.line;
        play.step(&step.what).map_err(|what| failure(story, line, what))?;
    }
    play.nothing_left("at the end of the story").map_err(|what| failure(story, line, what))
}

struct Play<'a, S> {
    story: &'a Story,
    stage: &'a mut S,
    level: Level,
    bindings: Bindings,
    pending: BTreeMap<Place, VecDeque<Element>>,
    nicks: BTreeMap<(String, BareJid), String>,
    /// Whether the story has begun to tell what the last actions caused.
    told: bool,
}

impl<S: Stage> Play<'_, S> {
    fn step(&mut self, step: &Do) -> Result<(), String> {
        match step {
            Do::Expect { place, stanzas } => {
                self.told = true;
                if matches!(place, Place::Wire { .. }) && !self.stage.sees_wires() {
                    return Ok(());
                }
                for stanza in stanzas {
                    self.expect(place, stanza)?;
                }
                return Ok(());
            }
            Do::ExpectNothing { places } => {
                self.told = true;
                self.collect(Until::Quiet)?;
                for place in places {
                    self.skip_plumbing(place);
                    if let Some(first) = self.pending.get(place).and_then(VecDeque::front) {
                        return Err(format!("{place} nothing, but it was:\n{}", pretty(first)));
                    }
                }
                return Ok(());
            }
            Do::Swallow => return self.swallow(),
            Do::Join { .. } | Do::Leave { .. } => {
                self.nothing_left("before this line, which swallows what it causes")?;
            }
            _ if self.told => self.nothing_left("before this line")?,
            _ => {}
        }
        match step {
            Do::Join { user, room, nick, password } => self.join(user, room, nick, password.as_deref()),
            Do::Leave { user, room } => {
                let nick = self.nicks.remove(&(user.clone(), room.clone()));
                let nick = nick.ok_or_else(|| format!("{user} is not in {room}"))?;
                let mut presence = Element::bare("presence", "jabber:client");
                set(&mut presence, "to", &format!("{room}/{nick}"));
                set(&mut presence, "type", "unavailable");
                self.stage.send(user, &presence).map_err(|e| format!("{e:#}"))?;
                self.stage_answers(user, &|stanza| {
                    stanza.name() == "presence"
                        && stanza.attr("type") == Some("unavailable")
                        && from(stanza).is_some_and(|from| from.to_bare() == *room)
                })?;
                self.swallow()
            }
            Do::Send { actor, stanzas } => {
                for stanza in stanzas {
                    let stanza = self.bindings.fill(stanza);
                    self.remember(actor, &stanza);
                    self.stage.send(actor, &stanza).map_err(|e| format!("{e:#}"))?;
                }
                Ok(())
            }
            Do::Advance(by) => self.stage.advance(*by).map_err(|e| format!("{e:#}")),
            Do::Fault(fault) => self.stage.fault(fault).map_err(|e| format!("{e:#}")),
            Do::Expect { .. } | Do::ExpectNothing { .. } | Do::Swallow => Ok(()),
        }?;
        self.told = matches!(step, Do::Join { .. } | Do::Leave { .. });
        Ok(())
    }

    fn join(&mut self, user: &str, room: &BareJid, nick: &str, password: Option<&str>) -> Result<(), String> {
        let mut x = Element::bare("x", MUC);
        if let Some(password) = password {
            let mut element = Element::bare("password", MUC);
            element.append_text(password);
            x.append_child(element);
        }
        let mut presence = Element::bare("presence", "jabber:client");
        set(&mut presence, "to", &format!("{room}/{nick}"));
        presence.append_child(x);
        self.stage.send(user, &presence).map_err(|e| format!("{e:#}"))?;
        self.nicks.insert((user.to_owned(), room.clone()), nick.to_owned());
        let answer = self.stage_answers(user, &|stanza| {
            let here = from(stanza).is_some_and(|from| from.to_bare() == *room);
            let refused = stanza.name() == "presence" && stanza.attr("type") == Some("error");
            here && (refused || (stanza.name() == "message" && stanza.has_child("subject", "jabber:client")))
        })?;
        if answer.name() == "presence" {
            return Err(format!("{user} was not let in:\n{}", pretty(&answer)));
        }
        self.swallow()
    }

    /// Waits until a user has received something; all before it is dropped.
    fn stage_answers(&mut self, user: &str, wanted: &dyn Fn(&Element) -> bool) -> Result<Element, String> {
        let place = Place::User(user.to_owned());
        loop {
            if self.queue(&place).is_empty() {
                self.collect(Until::At(&place))?;
            }
            match self.queue(&place).pop_front() {
                None => return Err(format!("{user} got no answer")),
                Some(stanza) if wanted(&stanza) => return Ok(stanza),
                Some(_) => {}
            }
        }
    }

    /// `X leaves` needs the nick of a user that came in by `sends`.
    fn remember(&mut self, actor: &str, stanza: &Element) {
        if stanza.name() == "presence"
            && stanza.attr("type").is_none()
            && let Some(Ok(to)) = stanza.attr("to").map(Jid::new)
            && let Some(nick) = to.resource()
        {
            self.nicks.insert((actor.to_owned(), to.to_bare()), nick.to_string());
        }
    }

    fn expect(&mut self, place: &Place, expected: &Element) -> Result<(), String> {
        let user = self.address(place);
        let at = At { level: self.level, user: user.as_ref() };
        loop {
            if self.queue(place).is_empty() {
                self.collect(Until::At(place))?;
            }
            let Some(got) = self.queue(place).pop_front() else {
                return Err(format!(
                    "{place}\n{}\nbut there was nothing.{}",
                    pretty(&self.bindings.show(expected)),
                    self.elsewhere(place)
                ));
            };
            let differences = match compare(expected, &got, &mut self.bindings, at) {
                Ok(()) => return Ok(()),
                Err(differences) => differences,
            };
            if plumbing(&got) {
                continue;
            }
            let mut what =
                format!("{place}\n{}\nbut it was\n{}\n", pretty(&self.bindings.show(expected)), pretty(&got));
            for difference in differences {
                _ = writeln!(what, "  - {difference}");
            }
            let bindings = self.bindings.clone();
            let later =
                self.queue(place).iter().position(|later| compare(expected, later, &mut bindings.clone(), at).is_ok());
            if let Some(later) = later {
                _ = writeln!(
                    what,
                    "The expected one comes {} later: wrong order, or one that the story does not name.",
                    later + 1
                );
            }
            return Err(what);
        }
    }

    /// Nothing that was seen may be left untold.
    fn nothing_left(&mut self, when: &str) -> Result<(), String> {
        self.collect(Until::Quiet)?;
        let places: Vec<Place> = self.pending.keys().cloned().collect();
        let mut what = String::new();
        for place in places {
            self.skip_plumbing(&place);
            for stanza in self.queue(&place).iter() {
                _ = write!(what, "\n{place}\n{}", pretty(stanza));
            }
        }
        self.told = false;
        if what.is_empty() { Ok(()) } else { Err(format!("the story does not name, {when}:{what}")) }
    }

    fn swallow(&mut self) -> Result<(), String> {
        self.collect(Until::Quiet)?;
        self.pending.clear();
        self.told = true;
        Ok(())
    }

    fn skip_plumbing(&mut self, place: &Place) {
        self.queue(place).retain(|stanza| !plumbing(stanza));
    }

    fn collect(&mut self, until: Until<'_>) -> Result<(), String> {
        for seen in self.stage.collect(until).map_err(|e| format!("{e:#}"))? {
            if let Place::Wire { from, to } = &seen.place
                && self.story.scene.unwatched.contains(&(from.clone(), to.clone()))
            {
                continue;
            }
            self.queue(&seen.place).push_back(seen.stanza);
        }
        Ok(())
    }

    fn queue(&mut self, place: &Place) -> &mut VecDeque<Element> {
        self.pending.entry(place.clone()).or_default()
    }

    fn address(&self, place: &Place) -> Option<Jid> {
        let Place::User(name) = place else { return None };
        self.story.scene.user(name).cloned()
    }

    fn elsewhere(&self, place: &Place) -> String {
        let mut out = String::new();
        for (other, queue) in self.pending.iter().filter(|(other, queue)| *other != place && !queue.is_empty()) {
            let first = queue.front().map(pretty).unwrap_or_default();
            _ = write!(out, "\nAt the same time {other}\n{first}");
        }
        out
    }
}

fn from(stanza: &Element) -> Option<Jid> {
    stanza.attr("from").and_then(|from| Jid::new(from).ok())
}

fn set(element: &mut Element, name: &str, value: &str) {
    if let Ok(name) = rxml::NcName::try_from(name) {
        element.set_attr(rxml::Namespace::NONE, name, value);
    }
}
