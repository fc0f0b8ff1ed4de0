//! Stories on sites in memory.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use jid::Jid;
use minidom::Element;
use warren_model::{Now, UnixMs};
use warren_pod::Input;
use warren_xmpp::{ErrorType, Kind, Stanza, StanzaWriter, error_reply, ns};

use super::site::{MemorySite, service};
use crate::story::{Fault, Place, Scene, Seen, Stage, Story, Until};

/// A story's first moment: 2026-11-20T12:00:00Z.
const BEGIN: u64 = 1_795_176_000_000;
/// Stanzas that one step may cause; more is a loop.
const MANY: usize = 100_000;
/// What a site is given to confirm what it has delivered before it crashes. What it repeats when it crashes
/// earlier is the simulator's business.
const CONFIRM: Duration = Duration::from_secs(5);

/// The pure core, with virtual time. A stanza arrives at once.
pub struct CoreStage {
    scene: Scene,
    sites: BTreeMap<String, MemorySite>,
    now: Duration,
    seen: Vec<Seen>,
    cuts: BTreeSet<(String, String)>,
    lose: BTreeSet<(String, String)>,
}

impl CoreStage {
    /// All sites of the story, running, with their rooms declared.
    pub fn new(story: &Story) -> Result<Self> {
        Self::of(story, 1)
    }

    /// The same with three pods for each site: one has the link, another one the rooms.
    pub fn of_three(story: &Story) -> Result<Self> {
        Self::of(story, 3)
    }

    fn of(story: &Story, pods: usize) -> Result<Self> {
        let mut stage = Self {
            scene: story.scene.clone(),
            sites: BTreeMap::new(),
            now: Duration::ZERO,
            seen: Vec::new(),
            cuts: BTreeSet::new(),
            lose: BTreeSet::new(),
        };
        let now = stage.now();
        for decl in &story.scene.sites {
            let mut site = MemorySite::new(&decl.domain, pods);
            site.start(now)?;
            let peers = decl.allows.iter().map(|grant| grant.config.clone()).collect();
            let rooms = decl.rooms.iter().map(|room| (room.jid.clone(), room.config.clone())).collect();
            site.apply(service(&decl.domain, decl.home.iter().cloned()), peers, rooms, now)
                .with_context(|| format!("site {}", decl.name))?;
            stage.sites.insert(decl.name.clone(), site);
        }
        stage.settle()?;
        Ok(stage)
    }

    fn now(&self) -> Now {
        let wall = UnixMs(BEGIN).plus(self.now);
        Now { mono: self.now, wall }
    }

    /// Passes stanzas on until nobody has anything to say.
    fn settle(&mut self) -> Result<()> {
        let now = self.now();
        for _ in 0..MANY {
            let mut said: VecDeque<(String, Stanza)> = VecDeque::new();
            for (name, site) in &mut self.sites {
                said.extend(site.output(now)?.into_iter().map(|stanza| (name.clone(), stanza)));
            }
            if said.is_empty() {
                return Ok(());
            }
            for (from, stanza) in said {
                self.route(&from, stanza)?;
            }
        }
        bail!("the sites talk without end")
    }

    fn is_cut(&self, a: &str, b: &str) -> bool {
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        self.cuts.contains(&pair(a, b)) || self.cuts.contains(&pair(b, a))
    }

    /// What a site's server does with a stanza of its component.
    fn route(&mut self, from: &str, stanza: Stanza) -> Result<()> {
        let Some(to) = stanza.head.to.clone() else { bail!("{from} wrote a stanza without an address") };
        let Some(decl) = self.scene.sites.iter().find(|site| site.name == from).cloned() else {
            bail!("there is no site {from}")
        };
        let plumbing = is_plumbing(&stanza);
        let place = self.scene.place(&decl, &to);
        if let (Some(place), false) = (place.clone(), plumbing) {
            self.seen.push(Seen { place, stanza: element(&stanza)? });
        }
        match place {
            Some(Place::Wire { from, to: site }) => {
                let lost = !plumbing && self.lose.remove(&(from.clone(), site.clone()));
                if self.is_cut(&from, &site) || lost {
                    return Ok(());
                }
                self.deliver(&site, stanza)
            }
            // A server answers pings of its own domain.
            _ if to.node().is_none() && stanza.head.type_.as_deref() == Some("get") => {
                self.deliver(from, answer(&stanza, &to)?)
            }
            // A session that the story does not know is gone.
            None if stanza.head.kind == Kind::Message && to.is_full() => {
                match error_reply(&stanza.head, None, ErrorType::Cancel, "service-unavailable", None) {
                    Some(bounce) => self.deliver(from, parse(&bounce)?),
                    None => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }

    fn deliver(&mut self, site: &str, stanza: Stanza) -> Result<()> {
        let now = self.now();
        let Some(target) = self.sites.get_mut(site) else { bail!("there is no site {site}") };
        if target.is_up() {
            return target.handle(Input::Stanza(stanza), now);
        }
        // The component is away: the server bounces (`servers.md` 6).
        let by = target.domain().to_owned();
        let Some(bounce) = error_reply(&stanza.head, Some(&by), ErrorType::Wait, "remote-server-timeout", None) else {
            return Ok(());
        };
        let sender = stanza.head.from.as_ref().and_then(|from| {
            self.scene.sites.iter().find(|site| &*site.domain == from.domain().as_str()).map(|site| site.name.clone())
        });
        match sender {
            Some(sender) if sender != site => self.deliver(&sender, parse(&bounce)?),
            _ => Ok(()),
        }
    }

    fn address(&self, actor: &str) -> Option<Jid> {
        self.scene.users.iter().find(|user| user.name == actor).map(|user| user.jid.clone())
    }
}

impl Stage for CoreStage {
    fn send(&mut self, actor: &str, stanza: &Element) -> Result<()> {
        let mut stanza = parse(String::from(stanza).as_bytes())?;
        if let Some(user) = self.address(actor) {
            stanza.head.from = Some(user);
        }
        let to = stanza.head.to.as_ref().context("the stanza has no `to`")?;
        let site = self.scene.site(to.domain().as_str()).map(|site| site.name.clone());
        let site = site.with_context(|| format!("no site serves {}", to.domain()))?;
        self.deliver(&site, stanza)?;
        self.settle()
    }

    fn collect(&mut self, _until: Until<'_>) -> Result<Vec<Seen>> {
        self.settle()?;
        Ok(std::mem::take(&mut self.seen))
    }

    fn advance(&mut self, by: Duration) -> Result<()> {
        let end = self.now + by;
        loop {
            let next = self.sites.values().filter_map(MemorySite::next_deadline).min();
            let Some(at) = next.filter(|at| *at <= end) else { break };
            self.now = self.now.max(at);
            let now = self.now();
            for site in self.sites.values_mut() {
                site.tick(now)?;
            }
            self.settle()?;
        }
        self.now = end;
        Ok(())
    }

    fn fault(&mut self, fault: &Fault) -> Result<()> {
        match fault {
            Fault::Cut(a, b) => {
                self.cuts.insert((a.clone(), b.clone()));
            }
            Fault::Heal(a, b) => {
                self.cuts.remove(&(a.clone(), b.clone()));
                self.cuts.remove(&(b.clone(), a.clone()));
            }
            Fault::LoseNext(a, b) => {
                self.lose.insert((a.clone(), b.clone()));
            }
            Fault::Crash(name) => {
                self.advance(CONFIRM)?;
                self.sites.get_mut(name).context("no such site")?.crash();
            }
            Fault::Restart(name) => {
                let now = self.now();
                self.sites.get_mut(name).context("no such site")?.start(now)?;
            }
        }
        self.settle()
    }
}

/// Pings of a path and their answers, and the audit of occupants: no story tells them.
fn is_plumbing(stanza: &Stanza) -> bool {
    let head = &stanza.head;
    let to_domain = head.to.as_ref().is_some_and(|to| to.node().is_none());
    let from_domain = head.from.as_ref().is_some_and(|from| from.node().is_none());
    let ping = head.kind == Kind::Iq && to_domain && from_domain;
    let audit = head.kind == Kind::Message && head.type_.as_deref() == Some("groupchat") && stanza.content.is_empty();
    ping || audit
}

fn answer(ping: &Stanza, by: &Jid) -> Result<Stanza> {
    let to = ping.head.from.as_ref().context("a ping without `from`")?;
    let bytes =
        StanzaWriter::new(Kind::Iq).from(by.as_str()).type_(Some("result")).id(ping.head.id.as_deref()).finish();
    parse(&bytes.to(to))
}

fn parse(xml: &[u8]) -> Result<Stanza> {
    Stanza::parse(xml).with_context(|| String::from_utf8_lossy(xml).into_owned())
}

/// The stanza as an element of `jabber:client`.
fn element(stanza: &Stanza) -> Result<Element> {
    let bytes = stanza.to_bytes();
    let xml = String::from_utf8(bytes.to_vec())?;
    let name = stanza.head.kind.as_str();
    let xml = xml.replacen(&format!("<{name}"), &format!("<{name} xmlns='{}'", ns::CLIENT), 1);
    xml.parse().with_context(|| xml)
}
