//! What clients received, against the log of their room.

use std::collections::{BTreeMap, BTreeSet};

use super::{Findings, site_name};
use crate::history::{Entry, History, Receipt, Token, What};

pub(super) fn check(history: &History, found: &mut Findings) {
    let mut received: Vec<Vec<&Receipt>> = vec![Vec::new(); history.sessions.len()];
    for receipt in &history.receipts {
        received[receipt.session].push(receipt);
    }
    let logs: Vec<BTreeMap<&str, &Entry>> = history
        .sites
        .iter()
        .map(|site| site.log.iter().chain(&site.tail).map(|entry| (&*entry.id, entry)).collect())
        .collect();
    for (session, receipts) in received.iter().enumerate() {
        durable_before_shown(history, session, receipts, &logs, found);
        all_of_them(history, session, receipts, found);
    }
}

/// Nothing is shown that is not in the log at the end; and a path to which nothing happened shows it once and
/// in the log's order.
fn durable_before_shown(
    history: &History,
    session: usize,
    receipts: &[&Receipt],
    logs: &[BTreeMap<&str, &Entry>],
    found: &mut Findings,
) {
    let end = &history.sessions[session];
    let mut last = 0;
    for receipt in receipts {
        let Some(entry) = logs[end.site].get(&*receipt.id) else {
            found.add("shown, not in the log", format!("{} saw m{}", end.jid, receipt.token));
            continue;
        };
        if receipt.history || !end.undisturbed {
            continue;
        }
        if entry.seq <= last {
            found.add("order of what a client sees", format!("{}: row {} after {last}", end.jid, entry.seq));
        }
        last = last.max(entry.seq);
    }
}

/// Who is in the room has everything that was logged since it came.
fn all_of_them(history: &History, session: usize, receipts: &[&Receipt], found: &mut Findings) {
    let end = &history.sessions[session];
    let log = &history.sites[end.site].log;
    if !end.alive || !end.inside {
        return;
    }
    let Some(joined) = came(log, &end.jid) else { return };
    let seen: BTreeSet<(&str, Token)> = receipts.iter().map(|receipt| (&*receipt.id, receipt.token)).collect();
    for entry in log.iter().filter(|entry| entry.seq > joined) {
        let What::Message(token) = entry.what else { continue };
        if seen.contains(&(&*entry.id, token)) {
            continue;
        }
        if end.excused.contains(&Some(token)) {
            found.excused += 1;
        } else {
            let text = format!("m{token}, row {} of {}, never reached {}", entry.seq, site_name(end.site), end.jid);
            found.add("an occupant misses a message", text);
        }
    }
}

/// Position of the join that still holds.
fn came(log: &[Entry], jid: &str) -> Option<u64> {
    let last = log.iter().rev().find(|e| !e.foreign && e.jid == jid && matches!(e.what, What::Join | What::Leave))?;
    (last.what == What::Join).then_some(last.seq)
}
