//! What two sites owe each other: each message in both logs, once, in one order.

use std::collections::BTreeMap;

use super::{Findings, site_name};
use crate::history::{Entry, History, What};
use crate::names::{SITES, crosses};

pub(super) fn check(history: &History, found: &mut Findings) {
    // A store that lost its newest rows has forgotten what it promised: that is an alert, not a guarantee.
    if history.sites.iter().any(|site| site.tail_lost) {
        return;
    }
    for site in 0..SITES {
        arrives(history, site, found);
    }
}

/// Messages that were said at `site` and that the other site takes.
fn owed(history: &History, site: usize) -> impl Iterator<Item = (usize, &Entry)> {
    history.sites[site].log.iter().filter(|entry| !entry.foreign).filter_map(move |entry| {
        let What::Message(token) = entry.what else { return None };
        let said = history.said.get(token)?;
        crosses(history.sessions.get(said.session)?.domain, site).then_some((token, entry))
    })
}

fn arrives(history: &History, site: usize, found: &mut Findings) {
    let (here, there) = (site_name(site), site_name(1 - site));
    let mut taken: BTreeMap<&str, Vec<&Entry>> = BTreeMap::new();
    let foreign = history.sites[1 - site].log.iter().filter(|entry| entry.foreign);
    for entry in foreign.filter(|entry| matches!(entry.what, What::Message(_) | What::Unknown)) {
        taken.entry(&entry.id).or_default().push(entry);
    }
    let mut before: Option<(u64, usize)> = None;
    for (token, entry) in owed(history, site) {
        match taken.remove(&*entry.id).as_deref() {
            None | Some([]) => {
                found.add("not at the other site", format!("m{token}, row {} of {here}, is not in {there}", entry.seq));
            }
            Some([copy, more @ ..]) => {
                if copy.what != entry.what {
                    found.add("another content at the other site", format!("m{token} of {here} at {there}"));
                }
                if !more.is_empty() {
                    found.add("twice at the other site", format!("m{token} of {here} at {there}"));
                }
                if let Some((last, said)) = before
                    && last > copy.seq
                {
                    found.add("order between sites", format!("m{said} of {here} comes after m{token} at {there}"));
                }
                before = Some((copy.seq, token));
            }
        }
    }
    for entry in taken.values().flatten() {
        found.add("shown and vanished", format!("row {} of {there} is not in {here}: {:?}", entry.seq, entry.what));
    }
}
