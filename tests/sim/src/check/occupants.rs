//! Who is in the rooms: nobody thrown out, no ghosts, both sites agree, and clients see it so.

use std::collections::BTreeSet;

use super::{Findings, site_name};
use crate::history::{History, Present, What};
use crate::names::{Domain, SITES, crosses, full};

pub(super) fn check(history: &History, found: &mut Findings) {
    for site in 0..SITES {
        if let Err(why) = &history.sites[site].quiet {
            found.add("no rest", format!("{}: {why}", site_name(site)));
        }
        nobody_thrown_out(history, site, found);
        here(history, site, found);
        there(history, site, found);
        views(history, site, found);
    }
}

/// A live session that never asked to leave is never removed. (`domainGrace` is longer than a run.)
fn nobody_thrown_out(history: &History, site: usize, found: &mut Findings) {
    for entry in history.sites[site].log.iter().filter(|entry| !entry.foreign && entry.what == What::Leave) {
        if history.sessions.iter().any(|end| end.jid == entry.jid && !end.may_leave) {
            found.add("thrown out", format!("{} by row {} of {}", entry.jid, entry.seq, site_name(site)));
        }
    }
}

/// The room's own occupants are exactly the live clients that believe to be in it.
fn here(history: &History, site: usize, found: &mut Findings) {
    let roster: BTreeSet<&str> = locals(history, site).map(|present| &*present.jid).collect();
    for end in history.sessions.iter().filter(|end| end.site == site) {
        let (present, live) = (roster.contains(&*end.jid), end.alive && end.inside);
        if live && !present {
            found.add("an occupant is missing", format!("{} in {}", end.jid, site_name(site)));
        } else if present && !live {
            found.add("a ghost", format!("{} in {} (alive: {})", end.jid, site_name(site), end.alive));
        }
    }
}

fn locals(history: &History, site: usize) -> impl Iterator<Item = &Present> {
    history.sites[site].roster.iter().filter(|present| present.local)
}

/// The other site's occupants are shown here, under their nick or an alias of it.
fn there(history: &History, site: usize, found: &mut Findings) {
    let linked = locals(history, 1).next().is_some();
    let wanted: BTreeSet<&str> = locals(history, 1 - site)
        .filter(|present| linked && Domain::of(&full(&present.jid)).is_some_and(|domain| crosses(domain, 1 - site)))
        .map(|present| &*present.jid)
        .collect();
    // Of several clients under one nick the other site is told of one.
    let shown: BTreeSet<&str> =
        history.sites[site].roster.iter().filter(|present| !present.local).map(|present| &*present.jid).collect();
    let nick_of = |jid: &str| locals(history, 1 - site).find(|present| present.jid == jid).map(|p| p.nick.clone());
    let nicks: BTreeSet<Option<String>> = shown.iter().map(|jid| nick_of(jid)).collect();
    for jid in wanted.difference(&shown) {
        if !nicks.contains(&nick_of(jid)) {
            found.add("missing at the other site", format!("{jid} is not shown in {}", site_name(site)));
        }
    }
    for jid in shown.difference(&wanted) {
        found.add("a ghost at the other site", format!("{jid} is shown in {}", site_name(site)));
    }
}

/// What a client sees is who is there.
fn views(history: &History, site: usize, found: &mut Findings) {
    // Nobody can take back what was shown of rows that the store has lost since.
    if history.sites[site].tail_lost {
        return;
    }
    let nicks: BTreeSet<String> = history.sites[site].roster.iter().map(|present| present.nick.clone()).collect();
    for end in history.sessions.iter().filter(|end| end.site == site && end.alive && end.inside) {
        if end.view != nicks && end.excused.is_empty() && !end.reordered {
            let text = format!("{} sees {:?}, in {} are {nicks:?}", end.jid, end.view, site_name(site));
            found.add("a wrong view", text);
        }
    }
}
