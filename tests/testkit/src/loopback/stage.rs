//! The stage on processes. What arrives, arrives when it does: quiet means that nothing has come for a while.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use jid::Jid;
use minidom::Element;
use tokio::runtime::Runtime;
use warren_test_postgres::Server;

use super::site::Site;
use super::three;
use crate::peers::RunDir;
use crate::story::{Fault, Place, Scene, Seen, SiteDecl, Stage, Story, Until};

/// Nothing comes any more when so many looks in a row have found nothing: a message takes a millisecond or two. Looks
/// and not time: on a busy machine they take longer, as messages do.
const QUIET: u32 = 30;
/// The same where a message goes through three processes and a database.
const QUIET_OF_THREE: u32 = 80;
/// How long an expected stanza is waited for.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two looks at the links.
const LOOK: Duration = Duration::from_millis(2);

/// One `muc-node` for each site of a story, or three.
pub struct NodeStage {
    // Before the runtime: processes and links end while it still runs.
    sites: BTreeMap<String, Site>,
    runtime: Runtime,
    scene: Scene,
    seen: Vec<Seen>,
    quiet: u32,
    /// Stores that are files are in there, as long as this is here.
    stores: Option<RunDir>,
}

impl NodeStage {
    /// Starts one for each site.
    pub fn new(story: &Story) -> Result<Self> {
        let dir = RunDir::new()?;
        let mut stage = Self::of(story, QUIET, |runtime, decl| runtime.block_on(Site::start(decl, dir.path())))?;
        stage.stores = Some(dir);
        Ok(stage)
    }

    /// Starts three for each site on a database of this server: one has the link, the others have the story's rooms.
    pub fn of_three(story: &Story, postgres: &Server) -> Result<Self> {
        Self::of(story, QUIET_OF_THREE, |runtime, decl| three::start(runtime, postgres, decl, story))
    }

    fn of(story: &Story, quiet: u32, start: impl Fn(&Runtime, &SiteDecl) -> Result<Site>) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let mut sites = BTreeMap::new();
        for decl in &story.scene.sites {
            sites.insert(decl.name.clone(), start(&runtime, decl)?);
        }
        Ok(Self { sites, runtime, scene: story.scene.clone(), seen: Vec::new(), quiet, stores: None })
    }

    /// Takes what has come and passes it on. True: there was something.
    fn look(&mut self) -> Result<bool> {
        let mut said = Vec::new();
        for (name, site) in &mut self.sites {
            said.extend(site.link.inbox().take().into_iter().map(|arrival| (name.clone(), arrival.stanza)));
        }
        let any = !said.is_empty();
        for (from, stanza) in said {
            // On a component stream a stanza is in the stream's own namespace.
            let client = String::from(&stanza).replace("'jabber:component:accept'", "'jabber:client'");
            let stanza: Element = client.parse().context(client)?;
            self.route(&from, &stanza)?;
        }
        Ok(any)
    }

    fn route(&mut self, from: &str, stanza: &Element) -> Result<()> {
        let to = stanza.attr("to").and_then(|to| Jid::new(to).ok()).context("a stanza without an address")?;
        let Some(decl) = self.scene.sites.iter().find(|site| site.name == from).cloned() else { return Ok(()) };
        let Some(place) = self.scene.place(&decl, &to) else { return self.bounce(from, stanza, &to) };
        // A body-less groupchat message is the audit of occupants, no story's business.
        if stanza.name() == "message" && stanza.attr("type") == Some("groupchat") && stanza.children().next().is_none()
        {
            return Ok(());
        }
        self.seen.push(Seen { place: place.clone(), stanza: stanza.clone() });
        match place {
            Place::Wire { to: site, .. } => self.deliver(&site, stanza),
            Place::User(_) | Place::Peer(_) => Ok(()),
        }
    }

    /// A session that the story does not know is gone.
    fn bounce(&mut self, site: &str, stanza: &Element, to: &Jid) -> Result<()> {
        if stanza.name() != "message" || to.is_bare() || stanza.attr("type") == Some("error") {
            return Ok(());
        }
        let error = format!(
            "<message xmlns='jabber:client' type='error' from='{to}' to='{}' id='{}'><error type='cancel'>\
             <service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>",
            stanza.attr("from").unwrap_or_default(),
            stanza.attr("id").unwrap_or_default(),
        );
        self.deliver(site, &error.parse()?)
    }

    fn deliver(&mut self, site: &str, stanza: &Element) -> Result<()> {
        let Some(target) = self.sites.get(site) else { bail!("there is no site {site}") };
        // On a component stream a stanza is in the stream's own namespace.
        let xml =
            String::from(stanza).replacen(" xmlns='jabber:client'", "", 1).replacen(" xmlns=\"jabber:client\"", "", 1);
        let sent = self.runtime.block_on(target.link.send(xml));
        sent.with_context(|| format!("{}\n{}", target.domain, target.report()))
    }
}

impl Stage for NodeStage {
    fn send(&mut self, actor: &str, stanza: &Element) -> Result<()> {
        let mut stanza = stanza.clone();
        if let Some(user) = self.scene.users.iter().find(|user| user.name == actor) {
            let from = rxml::NcName::try_from("from")?;
            stanza.set_attr(rxml::Namespace::NONE, from, user.jid.to_string());
        }
        let to = stanza.attr("to").and_then(|to| Jid::new(to).ok()).context("the stanza has no `to`")?;
        let site = self.scene.site(to.domain().as_str()).map(|site| site.name.clone());
        let site = site.with_context(|| format!("no site serves {}", to.domain()))?;
        self.deliver(&site, &stanza)
    }

    fn collect(&mut self, until: Until<'_>) -> Result<Vec<Seen>> {
        let begin = Instant::now();
        let mut silent = 0;
        loop {
            silent = if self.look()? { 0 } else { silent + 1 };
            let enough = match until {
                Until::At(place) => self.seen.iter().any(|seen| seen.place == *place) || begin.elapsed() > PATIENCE,
                Until::Quiet => silent > self.quiet,
            };
            if enough {
                return Ok(std::mem::take(&mut self.seen));
            }
            std::thread::sleep(LOOK);
        }
    }

    fn advance(&mut self, by: Duration) -> Result<()> {
        let end = Instant::now() + by;
        while Instant::now() < end {
            self.look()?;
            std::thread::sleep(LOOK);
        }
        Ok(())
    }

    fn fault(&mut self, fault: &Fault) -> Result<()> {
        bail!("{fault:?} cannot be told at level node")
    }
}
