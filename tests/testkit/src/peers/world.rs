//! Two sites, one border: Prosody at `wonderland.lit`, ejabberd at `denmark.lit`.

use std::{path::Path, time::Duration};

use anyhow::{Context, Result};

use super::{
    ca::Ca,
    component::Component,
    dir::RunDir,
    dns::Dns,
    ejabberd::{self, Ejabberd},
    prosody::{self, Prosody},
    proxy::{Counters, Mode, Proxy},
    user::User,
};

/// The password of every account.
pub const PASSWORD: &str = "secret";

/// The secret of every component.
pub const SECRET: &str = "secret";

/// How long a login may take on a busy machine.
const LOGIN: Duration = Duration::from_secs(20);

/// One of the two sites.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Site {
    /// Prosody, with users at `wonderland.lit` and the component `rooms.wonderland.lit`.
    Wonderland,
    /// ejabberd, with users at `denmark.lit` and the component `talk.denmark.lit`.
    Denmark,
}

impl Site {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Wonderland, Self::Denmark];

    /// The domain of its users.
    pub fn domain(self) -> &'static str {
        match self {
            Self::Wonderland => "wonderland.lit",
            Self::Denmark => "denmark.lit",
        }
    }

    /// The domain of its first component.
    pub fn rooms(self) -> &'static str {
        match self {
            Self::Wonderland => "rooms.wonderland.lit",
            Self::Denmark => "talk.denmark.lit",
        }
    }

    /// The other one.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Wonderland => Self::Denmark,
            Self::Denmark => Self::Wonderland,
        }
    }
}

/// What an external component needs to connect.
#[derive(Clone, Debug)]
pub struct ComponentAccess {
    /// Its domain.
    pub domain: String,
    /// Where the server listens for components.
    pub addr: std::net::SocketAddr,
    /// The shared secret.
    pub secret: String,
}

/// Two servers that federate through proxies, and everything they need. See [`World::start`].
///
/// Each site has a DNS of its own, which shows it the other site's domains behind proxies that nobody else
/// uses: one for each target domain. So the border between the two is exactly those
/// proxies, and a third party can be let in (with a DNS and proxies of its own) without being cut off with them.
#[derive(Debug)]
pub struct World {
    /// Prosody.
    pub prosody: Prosody,
    /// ejabberd.
    pub ejabberd: Ejabberd,
    ca: Option<Ca>,
    dns: [Dns; 2],
    links: Vec<Link>,
    // The last field: the servers must be gone before their directory.
    dir: RunDir,
}

#[derive(Debug)]
struct Link {
    from: Site,
    domain: String,
    proxy: Proxy,
}

/// See [`World::builder`].
#[derive(Debug)]
pub struct WorldBuilder {
    tls: bool,
    domains: Vec<(Site, String)>,
    prosody: Vec<Change<prosody::Config>>,
    ejabberd: Vec<Change<ejabberd::Config>>,
}

struct Change<C>(Box<dyn FnOnce(C) -> C + Send>);

impl<C> std::fmt::Debug for Change<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Change")
    }
}

impl World {
    /// Starts it as it comes: TLS and EXTERNAL between the servers, one component domain at each.
    ///
    /// # Errors
    /// When a package is missing or a server does not come up; says which, and why.
    pub async fn start() -> Result<Self> {
        Self::builder().start().await
    }

    /// Starts it with changes.
    pub fn builder() -> WorldBuilder {
        let domains = Site::ALL.map(|site| (site, site.rooms().to_owned())).to_vec();
        WorldBuilder { tls: true, domains, prosody: Vec::new(), ejabberd: Vec::new() }
    }

    /// Makes an account at a site and logs it in, with presence. The name must be new.
    ///
    /// # Errors
    /// When the account exists or the login does not succeed within 20 s.
    pub async fn user(&self, site: Site, name: &str) -> Result<User> {
        self.account(site, name).await?;
        self.login(site, name).await
    }

    /// Makes an account whose password is [`PASSWORD`]. Returns its bare JID.
    ///
    /// # Errors
    /// When the account exists (ejabberd) or cannot be made.
    pub async fn account(&self, site: Site, name: &str) -> Result<String> {
        let jid = format!("{name}@{}", site.domain());
        match site {
            Site::Wonderland => self.prosody.add_account(&jid, PASSWORD)?,
            Site::Denmark => self.ejabberd.add_account(&jid, PASSWORD).await?,
        }
        Ok(jid)
    }

    /// Logs in an account that exists, with presence. `name` may hold a resource: `romeo/orchard`.
    ///
    /// # Errors
    /// When the login does not succeed within 20 s.
    pub async fn login(&self, site: Site, name: &str) -> Result<User> {
        let jid = match name.split_once('/') {
            Some((name, resource)) => format!("{name}@{}/{resource}", site.domain()),
            None => format!("{name}@{}", site.domain()),
        };
        let mut user = User::login(self.c2s(site), &jid, PASSWORD, LOGIN).await?;
        user.available(LOGIN).await?;
        Ok(user)
    }

    /// Where a site's clients connect.
    pub fn c2s(&self, site: Site) -> std::net::SocketAddr {
        match site {
            Site::Wonderland => self.prosody.c2s(),
            Site::Denmark => self.ejabberd.c2s(),
        }
    }

    /// What Warren, or anybody, needs to connect as a component of a site. `domain` is [`Site::rooms`] or one of
    /// [`WorldBuilder::component`].
    ///
    /// # Errors
    /// When ejabberd has no such component.
    pub fn access(&self, site: Site, domain: &str) -> Result<ComponentAccess> {
        let addr = match site {
            Site::Wonderland => self.prosody.component(),
            Site::Denmark => self.ejabberd.component(domain)?,
        };
        Ok(ComponentAccess { domain: domain.to_owned(), addr, secret: SECRET.to_owned() })
    }

    /// Connects a fake component as a site's first component domain.
    ///
    /// # Errors
    /// As [`Component::connect`].
    pub async fn component(&self, site: Site) -> Result<Component> {
        self.component_as(site, site.rooms()).await
    }

    /// Connects a fake component as `domain`.
    ///
    /// # Errors
    /// As [`Component::connect`].
    pub async fn component_as(&self, site: Site, domain: &str) -> Result<Component> {
        let access = self.access(site, domain)?;
        Component::connect(access.addr, &access.domain, &access.secret).await
    }

    /// Everything between the two servers.
    pub fn border(&self) -> Border<'_> {
        Border(self.links.iter().map(|link| &link.proxy).collect())
    }

    /// The streams that one site opens: they carry all stanzas *from* it. The way back of their answers is
    /// `outgoing(site.other())`.
    pub fn outgoing(&self, site: Site) -> Border<'_> {
        Border(self.links.iter().filter(|link| link.from == site).map(|link| &link.proxy).collect())
    }

    /// The proxy for what a site sends to one domain of the other.
    ///
    /// # Errors
    /// When there is no such domain.
    pub fn link(&self, from: Site, to_domain: &str) -> Result<&Proxy> {
        let link = self.links.iter().find(|link| link.from == from && link.domain == to_domain);
        link.map(|link| &link.proxy).with_context(|| format!("{from:?} has no link to {to_domain}"))
    }

    /// The DNS that a site's server asks. It knows the other site's domains only.
    pub fn dns(&self, site: Site) -> &Dns {
        &self.dns[site as usize]
    }

    /// Where a site's server takes streams of other servers, without a proxy.
    pub fn s2s(&self, site: Site) -> std::net::SocketAddr {
        match site {
            Site::Wonderland => self.prosody.s2s(),
            Site::Denmark => self.ejabberd.s2s(),
        }
    }

    /// The CA, unless TLS is off.
    pub fn ca(&self) -> Option<&Ca> {
        self.ca.as_ref()
    }

    /// The directory of this run, with logs (`prosody.log`, `ejabberd.log`) and certificates (`certs`).
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Ends both servers in good order and removes the directory.
    ///
    /// # Errors
    /// When they cannot be waited for.
    pub async fn stop(mut self) -> Result<()> {
        let (first, second) = tokio::join!(self.prosody.stop(), self.ejabberd.stop());
        first.and(second)
    }
}

impl WorldBuilder {
    /// Whether the servers use TLS and certificates between each other (default) or plain TCP and dialback.
    #[must_use]
    pub fn tls(mut self, tls: bool) -> Self {
        self.tls = tls;
        self
    }

    /// One more component domain, below the site's domain.
    #[must_use]
    pub fn component(mut self, site: Site, domain: &str) -> Self {
        self.domains.push((site, domain.to_owned()));
        self
    }

    /// Changes Prosody's configuration.
    #[must_use]
    pub fn prosody(mut self, change: impl FnOnce(prosody::Config) -> prosody::Config + Send + 'static) -> Self {
        self.prosody.push(Change(Box::new(change)));
        self
    }

    /// Changes ejabberd's configuration.
    #[must_use]
    pub fn ejabberd(mut self, change: impl FnOnce(ejabberd::Config) -> ejabberd::Config + Send + 'static) -> Self {
        self.ejabberd.push(Change(Box::new(change)));
        self
    }

    /// Starts both servers at once and waits until they answer.
    ///
    /// # Errors
    /// When a package is missing or a server does not come up; says which, and why.
    pub async fn start(self) -> Result<World> {
        let dir = RunDir::new()?;
        let dns = [Dns::start().await?, Dns::start().await?];
        let domains = |site: Site| {
            let components = self.domains.iter().filter(move |(of, _)| *of == site).map(|(_, domain)| domain.as_str());
            std::iter::once(site.domain()).chain(components).collect::<Vec<_>>()
        };
        let certs = dir.path().join("certs");

        let mut prosody = Prosody::config(dir.path(), dns[Site::Wonderland as usize].addr());
        let mut ejabberd = Ejabberd::config(dir.path(), dns[Site::Denmark as usize].addr());
        let ca = if self.tls { Some(Ca::new(&certs)?) } else { None };
        if let Some(ca) = &ca {
            // Prosody finds certificates by file name, so each domain gets one of its own.
            for domain in domains(Site::Wonderland) {
                ca.issue(&[domain])?;
            }
            let files: Result<Vec<_>> = domains(Site::Denmark).into_iter().map(|domain| ca.issue(&[domain])).collect();
            prosody = prosody.tls(ca);
            ejabberd = ejabberd.tls(ca, files?);
        }
        prosody = prosody.host(Site::Wonderland.domain());
        ejabberd = ejabberd.host(Site::Denmark.domain());
        for (site, domain) in &self.domains {
            match site {
                Site::Wonderland => prosody = prosody.component(domain, SECRET),
                Site::Denmark => ejabberd = ejabberd.component(domain, SECRET),
            }
        }
        let prosody = self.prosody.into_iter().fold(prosody, |config, change| change.0(config));
        let ejabberd = self.ejabberd.into_iter().fold(ejabberd, |config, change| change.0(config));
        let (prosody, ejabberd) = tokio::try_join!(prosody.start(), ejabberd.start())?;

        let mut links = Vec::new();
        for from in Site::ALL {
            let to = match from {
                Site::Wonderland => ejabberd.s2s(),
                Site::Denmark => prosody.s2s(),
            };
            for domain in domains(from.other()) {
                let proxy = Proxy::start(to)?;
                dns[from as usize].srv("xmpp-server", domain, proxy.port()).await?;
                links.push(Link { from, domain: domain.to_owned(), proxy });
            }
        }
        Ok(World { prosody, ejabberd, ca, dns, links, dir })
    }
}

/// Several proxies that are switched together.
#[derive(Clone, Debug)]
pub struct Border<'w>(Vec<&'w Proxy>);

impl Border<'_> {
    /// See [`Proxy::set`].
    pub fn set(&self, mode: Mode) {
        self.0.iter().for_each(|proxy| proxy.set(mode));
    }

    /// See [`Proxy::heal`].
    pub fn heal(&self) {
        self.set(Mode::Pass);
    }

    /// See [`Proxy::reset_all`].
    pub fn reset_all(&self) {
        self.0.iter().for_each(|proxy| proxy.reset_all());
    }

    /// Sets the same latency for both directions; a round trip takes twice as long.
    pub fn latency(&self, each_way: Duration) {
        self.0.iter().for_each(|proxy| proxy.latency(each_way, each_way));
    }

    /// The sum of all.
    pub fn counters(&self) -> Counters {
        self.0.iter().fold(Counters::default(), |sum, proxy| sum.plus(proxy.counters()))
    }
}
