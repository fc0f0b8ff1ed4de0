//! Histories made by hand: one that holds, and each rule broken alone.

use std::collections::BTreeSet;

use super::check;
use crate::history::{Arrival, Entry, History, Present, Receipt, Said, SessionEnd, What};
use crate::names::Domain;

const ALICE: &str = "alice@wonderland.lit/r0";
const HAMLET: &str = "hamlet@denmark.lit/r1";

fn entry(seq: u64, id: &str, what: What, jid: &str, foreign: bool) -> Entry {
    Entry { seq, epoch: 1, id: id.into(), what, jid: jid.into(), foreign }
}

fn session(jid: &str, domain: Domain, site: usize, nick: &str) -> SessionEnd {
    SessionEnd {
        jid: jid.into(),
        domain,
        site,
        alive: true,
        inside: true,
        may_leave: false,
        nick: nick.into(),
        view: BTreeSet::from(["alice".to_owned(), "hamlet".to_owned()]),
        excused: BTreeSet::new(),
        reordered: false,
        undisturbed: true,
    }
}

fn receipt(session: usize, token: usize, id: &str) -> Receipt {
    Receipt { session, token, id: id.into(), history: false, at: 0 }
}

/// Alice says m0 and m1 in her room, Hamlet is in his; everything is where it belongs.
fn good() -> History {
    let mut history = History::default();
    let arrivals = |order| vec![Arrival { order, at: order, settled: true }];
    let said = |order| Said { session: 0, site: 0, arrivals: arrivals(order), reflected: true, ..Said::default() };
    history.said = vec![said(1), said(2)];
    history.sessions =
        vec![session(ALICE, Domain::Wonderland, 0, "alice"), session(HAMLET, Domain::Denmark, 1, "hamlet")];
    history.sites[0].log = vec![
        entry(1, "a", What::Join, ALICE, false),
        entry(2, "b", What::Join, HAMLET, true),
        entry(3, "c", What::Message(0), ALICE, false),
        entry(4, "d", What::Message(1), ALICE, false),
    ];
    history.sites[1].log = vec![
        entry(1, "v", What::Join, HAMLET, false),
        entry(2, "w", What::Join, ALICE, true),
        entry(3, "c", What::Message(0), ALICE, true),
        entry(4, "d", What::Message(1), ALICE, true),
    ];
    history.receipts = vec![receipt(0, 0, "c"), receipt(0, 1, "d"), receipt(1, 0, "c"), receipt(1, 1, "d")];
    for site in 0..2 {
        let present = |jid: &str, nick: &str, local| Present { jid: jid.into(), nick: nick.into(), local };
        history.sites[site].roster =
            BTreeSet::from([present(ALICE, "alice", site == 0), present(HAMLET, "hamlet", site == 1)]);
    }
    history
}

fn rules(change: impl FnOnce(&mut History)) -> BTreeSet<&'static str> {
    let mut history = good();
    change(&mut history);
    check(&history).violations.into_iter().map(|violation| violation.rule).collect()
}

#[track_caller]
fn breaks(rule: &str, change: impl FnOnce(&mut History)) {
    let rules = rules(change);
    assert!(rules.contains(rule), "{rule:?} is not among {rules:?}");
}

#[test]
fn a_good_history_holds() {
    assert_eq!(rules(|_| {}), BTreeSet::new());
}

#[test]
fn nobody_knows_what_became_of_an_unanswered_message() {
    // Neither reflected nor refused, and its pod died: in the log or not.
    let unknown = |history: &mut History| {
        history.said[1].reflected = false;
        history.said[1].arrivals[0].settled = false;
        history.receipts.retain(|receipt| receipt.token != 1);
    };
    assert_eq!(
        rules(|history| {
            unknown(history);
            history.sites[0].log.pop();
            history.sites[1].log.pop();
        }),
        BTreeSet::new()
    );
    let logged = rules(|history| {
        unknown(history);
        history.receipts.extend([receipt(0, 1, "d"), receipt(1, 1, "d")]);
    });
    assert_eq!(logged, BTreeSet::new());
}

#[test]
fn messages() {
    breaks("a reflected message is lost", |h| drop(h.sites[0].log.pop()));
    breaks("taken in and forgotten", |h| {
        h.said[1].reflected = false;
        h.sites[0].log.pop();
    });
    breaks("logged twice", |h| h.sites[0].log.push(entry(5, "e", What::Message(1), ALICE, false)));
    breaks("refused and logged", |h| h.said[1].refused = 1);
    breaks("it never arrived", |h| h.said[1].arrivals.clear());
    breaks("nobody sent it", |h| h.sites[0].log.push(entry(5, "e", What::Unknown, ALICE, false)));
    breaks("order of one sender", |h| h.said[0].arrivals[0].order = 9);
    breaks("a hole in the log", |h| h.sites[0].log[3].seq = 9);
    breaks("epochs fall", |h| h.sites[0].log[2].epoch = 2);
}

#[test]
fn ids() {
    breaks("an id twice in a log", |h| h.sites[0].log[3].id = "c".into());
    breaks("an id for two messages", |h| h.receipts[1].id = "c".into());
    breaks("an id for two messages", |h| {
        // The store lost a row, and its id was given to another message.
        h.sites[0].tail_lost = true;
        h.sites[0].tail = vec![entry(4, "d", What::Message(0), ALICE, false)];
    });
}

#[test]
fn two_sites() {
    breaks("not at the other site", |h| drop(h.sites[1].log.pop()));
    breaks("twice at the other site", |h| h.sites[1].log.push(entry(5, "d", What::Message(1), ALICE, true)));
    breaks("shown and vanished", |h| drop(h.sites[0].log.pop()));
    breaks("another content at the other site", |h| h.sites[1].log[3].what = What::Message(0));
    breaks("order between sites", |h| {
        h.sites[1].log[2].id = "d".into();
        h.sites[1].log[2].what = What::Message(1);
        h.sites[1].log[3].id = "c".into();
        h.sites[1].log[3].what = What::Message(0);
    });
    // What a store forgot cannot be owed.
    let forgotten = rules(|h| {
        h.sites[1].tail_lost = true;
        h.sites[1].tail = h.sites[1].log.pop().into_iter().collect();
    });
    assert!(!forgotten.contains("not at the other site"), "{forgotten:?}");
}

#[test]
fn clients() {
    breaks("shown, not in the log", |h| h.receipts[1].id = "x".into());
    breaks("order of what a client sees", |h| h.receipts.swap(0, 1));
    breaks("order of what a client sees", |h| h.receipts.push(receipt(0, 1, "d")));
    breaks("an occupant misses a message", |h| drop(h.receipts.pop()));
    let repeated = rules(|h| {
        h.sessions[0].undisturbed = false;
        h.receipts.push(receipt(0, 0, "c"));
    });
    assert_eq!(repeated, BTreeSet::new(), "with the same id, after something has happened");
}

#[test]
fn what_is_lost_between_answered_pings_is_counted_not_blamed() {
    let mut history = good();
    history.receipts.pop();
    history.sessions[1].excused.insert(Some(1));
    let found = check(&history);
    assert_eq!((found.violations.len(), found.excused), (0, 1));
}

#[test]
fn occupants() {
    breaks("an occupant is missing", |h| h.sites[0].roster.retain(|present| !present.local));
    breaks("a ghost", |h| h.sessions[0].alive = false);
    breaks("a ghost at the other site", |h| {
        h.sessions[0].alive = false;
        h.sites[0].roster.retain(|present| !present.local);
    });
    breaks("missing at the other site", |h| h.sites[1].roster.retain(|present| present.local));
    breaks("a wrong view", |h| drop(h.sessions[0].view.pop_first()));
    breaks("thrown out", |h| h.sites[0].log.push(entry(5, "e", What::Leave, ALICE, false)));
    breaks("no rest", |h| h.sites[0].quiet = Err("works are not committed".into()));
    breaks("the run itself", |h| h.broken.push("it does not end".into()));
}
