//! What becomes of a message at the site where it was said.

use std::collections::BTreeMap;

use super::{Findings, by_token, site_name};
use crate::history::{Entry, History, What};
use crate::names::SITES;

pub(super) fn check(history: &History, found: &mut Findings) {
    for site in 0..SITES {
        nothing_from_nowhere(history, site, found);
        once(history, site, found);
        in_order(history, site, found);
        positions(history, site, found);
    }
    ids(history, found);
}

/// A message never appears that nobody sent, or that did not arrive.
fn nothing_from_nowhere(history: &History, site: usize, found: &mut Findings) {
    for entry in &history.sites[site].log {
        match entry.what {
            What::Unknown => found.add("nobody sent it", format!("row {} of {}", entry.seq, site_name(site))),
            What::Message(token) if history.said.get(token).is_none_or(|said| said.arrivals.is_empty()) => {
                found.add("it never arrived", format!("m{token} is row {} of {}", entry.seq, site_name(site)));
            }
            _ => {}
        }
    }
}

/// Reflected: in the log, once for each copy that arrived. Refused: not in the log. Neither: either way. And
/// what a pod took in while it lived is decided.
fn once(history: &History, site: usize, found: &mut Findings) {
    let name = site_name(site);
    let here = &history.sites[site];
    let rows = by_token(&here.log);
    let lost = by_token(&here.tail);
    for (token, said) in history.said.iter().enumerate().filter(|(_, said)| said.site == site) {
        let logged = rows.get(&token).map_or(0, Vec::len) + lost.get(&token).map_or(0, Vec::len);
        let arrived = said.arrivals.len();
        if said.reflected && logged == 0 {
            found.add("a reflected message is lost", format!("m{token} is not in the log of {name}"));
        }
        if logged + said.refused > arrived {
            let text = format!("m{token}: {arrived} arrived, {logged} in the log of {name}, {} refused", said.refused);
            found.add(if said.refused > 0 && logged <= arrived { "refused and logged" } else { "logged twice" }, text);
        }
        // What was lost with the store's tail is no longer decided.
        let settled = said.arrivals.iter().filter(|arrival| arrival.settled).count();
        if logged + said.refused + said.unheard < settled && !here.tail_lost {
            let text = format!("m{token}: {settled} taken in by {name}, {logged} logged, {} refused", said.refused);
            found.add("taken in and forgotten", text);
        }
    }
}

/// What one session says is logged in the order in which it arrived.
fn in_order(history: &History, site: usize, found: &mut Findings) {
    let mut last: BTreeMap<usize, (u64, usize)> = BTreeMap::new();
    for entry in history.sites[site].log.iter().filter(|entry| !entry.foreign) {
        let What::Message(token) = entry.what else { continue };
        let Some(said) = history.said.get(token) else { continue };
        // Copies that the network made may come at any time.
        let [arrival] = said.arrivals[..] else { continue };
        if let Some((order, before)) = last.get(&said.session)
            && *order > arrival.order
        {
            found.add("order of one sender", format!("m{before} before m{token} in {}", site_name(site)));
        }
        last.insert(said.session, (arrival.order, token));
    }
}

/// A log is dense, and its epochs only rise.
fn positions(history: &History, site: usize, found: &mut Findings) {
    for pair in history.sites[site].log.windows(2) {
        if pair[1].seq != pair[0].seq + 1 {
            found.add("a hole in the log", format!("{} after {} in {}", pair[1].seq, pair[0].seq, site_name(site)));
        }
        if pair[1].epoch < pair[0].epoch {
            found.add("epochs fall", format!("at row {} of {}", pair[1].seq, site_name(site)));
        }
    }
}

/// One id, one content: over both logs, all that was lost with a store, and all that any client saw.
fn ids(history: &History, found: &mut Findings) {
    let mut known: BTreeMap<&str, What> = BTreeMap::new();
    let rows = |entry: &'_ Entry| entry.what;
    for (site, end) in history.sites.iter().enumerate() {
        let mut here: BTreeMap<&str, u64> = BTreeMap::new();
        for (entry, stays) in end.log.iter().map(|e| (e, true)).chain(end.tail.iter().map(|e| (e, false))) {
            if !matches!(entry.what, What::Message(_)) {
                continue;
            }
            if stays && let Some(before) = here.insert(&entry.id, entry.seq) {
                found.add("an id twice in a log", format!("rows {before} and {} of {}", entry.seq, site_name(site)));
            }
            if *known.entry(&entry.id).or_insert(rows(entry)) != entry.what {
                found.add("an id for two messages", format!("row {} of {}", entry.seq, site_name(site)));
            }
        }
    }
    for receipt in &history.receipts {
        let what = What::Message(receipt.token);
        if *known.entry(&receipt.id).or_insert(what) != what {
            let who = &history.sessions[receipt.session].jid;
            found.add("an id for two messages", format!("{who} knows the id of m{} as another's", receipt.token));
        }
    }
}
