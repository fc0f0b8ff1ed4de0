//! Who and where: three servers, two of them with a room service and one room.

use std::fmt;

use jid::{BareJid, Jid};

/// Sites: servers 0 and 1.
pub const SITES: usize = 2;
/// Pods of each site: the first one's share a store.
pub const PODS: [usize; SITES] = [3, 1];
/// Servers; the third one has users only.
pub const SERVERS: usize = 3;

/// Microseconds of virtual time.
pub type Micros = u64;
/// One millisecond.
pub const MS: Micros = 1000;
/// One second.
pub const SEC: Micros = 1_000_000;

/// Where a pod runs: its processes come and go, its name stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The site.
    pub site: usize,
    /// Which of the site's pods.
    pub pod: usize,
}

impl Place {
    /// All of a site.
    pub fn of(site: usize) -> impl Iterator<Item = Self> {
        (0..PODS[site]).map(move |pod| Self { site, pod })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if PODS[self.site] > 1 { write!(f, "site {}/{}", self.site, self.pod) } else { write!(f, "site {}", self.site) }
    }
}

/// The domains of the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Domain {
    /// Users of site 0.
    Wonderland,
    /// Rooms of site 0.
    Rooms,
    /// Users of site 1.
    Denmark,
    /// Rooms of site 1.
    Talk,
    /// Users who live at neither site.
    Glass,
}

impl Domain {
    /// All.
    pub const ALL: [Self; 5] = [Self::Wonderland, Self::Rooms, Self::Denmark, Self::Talk, Self::Glass];

    /// On the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Wonderland => "wonderland.lit",
            Self::Rooms => "rooms.wonderland.lit",
            Self::Denmark => "denmark.lit",
            Self::Talk => "talk.denmark.lit",
            Self::Glass => "looking.glass",
        }
    }

    /// The domain of an address.
    pub fn of(jid: &Jid) -> Option<Self> {
        let name = jid.domain().as_str();
        Self::ALL.into_iter().find(|domain| domain.name() == name)
    }

    /// The server that speaks for it.
    pub fn server(self) -> usize {
        match self {
            Self::Wonderland | Self::Rooms => 0,
            Self::Denmark | Self::Talk => 1,
            Self::Glass => 2,
        }
    }

    /// Whether it is a component.
    pub fn is_component(self) -> bool {
        matches!(self, Self::Rooms | Self::Talk)
    }

    /// The users' domain of a server.
    pub fn users(server: usize) -> Self {
        [Self::Wonderland, Self::Denmark, Self::Glass][server]
    }

    /// The rooms' domain of a site.
    pub fn rooms(site: usize) -> Self {
        [Self::Rooms, Self::Talk][site]
    }
}

/// Address of the room of a site.
pub fn room(site: usize) -> BareJid {
    let text = ["rabbithole@rooms.wonderland.lit", "elsinore@talk.denmark.lit"][site];
    bare(text)
}

/// An address that is known to be one.
pub fn bare(text: &str) -> BareJid {
    match BareJid::new(text) {
        Ok(jid) => jid,
        Err(error) => unreachable!("{text}: {error}"),
    }
}

/// A full address that is known to be one.
pub fn full(text: &str) -> Jid {
    match Jid::new(text) {
        Ok(jid) => jid,
        Err(error) => unreachable!("{text}: {error}"),
    }
}

/// Whether the other site takes what that user says: nobody may vouch for a site's own users.
pub fn crosses(user: Domain, site: usize) -> bool {
    user != Domain::users(1 - site)
}
