//! The paths of a link: where they are found, whose turn it is, what is due when.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use jid::BareJid;
use warren_model::Path;

use crate::Event;
use crate::context::Context;
use crate::path::Route;
use crate::queue::Item;
use crate::settings::Settings;

/// All paths, by place.
#[derive(Debug)]
pub(crate) struct Table {
    pub cx: Context,
    pub routes: Vec<Option<Route>>,
    free: Vec<usize>,
    /// Local domain, then remote domain.
    names: BTreeMap<Box<str>, BTreeMap<Box<str>, usize>>,
    /// Paths with something to write, in turn.
    pub ring: VecDeque<usize>,
    /// At most one entry per path. It may be early, never late: looking at a path again costs less than
    /// moving its entry with every stanza.
    pub timers: BTreeSet<(Duration, usize)>,
    /// Paths that may want their turn in the audit.
    pub to_audit: Vec<usize>,
    /// Sum of all queues.
    pub bytes: usize,
}

impl Table {
    pub(crate) fn new(settings: Settings) -> Self {
        Self {
            cx: Context::new(settings),
            routes: Vec::new(),
            free: Vec::new(),
            names: BTreeMap::new(),
            ring: VecDeque::new(),
            timers: BTreeSet::new(),
            to_audit: Vec::new(),
            bytes: 0,
        }
    }

    pub(crate) fn find(&self, local: &str, remote: &str) -> Option<usize> {
        self.names.get(local)?.get(remote).copied()
    }

    /// Finds or makes a path.
    pub(crate) fn place(&mut self, local: &str, remote: &str, now: Duration) -> usize {
        if let Some(place) = self.find(local, remote) {
            return place;
        }
        let place = self.free.pop().unwrap_or(self.routes.len());
        if place == self.routes.len() {
            self.routes.push(None);
        }
        self.routes[place] = Some(Route::new(Path::new(local, remote), &mut self.cx, now));
        self.names.entry(local.into()).or_default().insert(remote.into(), place);
        place
    }

    /// The same for something that may be dropped: strangers must not be able to fill the table.
    pub(crate) fn transient_place(&mut self, from: &BareJid, remote: &str, now: Duration) -> Option<usize> {
        let local = from.domain().as_str();
        let full = self.routes.len() - self.free.len() >= self.cx.settings.max_paths;
        let known = self.find(local, remote);
        if known.is_none() && full {
            self.cx.stats.transient_dropped += 1;
            return None;
        }
        Some(self.place(local, remote, now))
    }

    pub(crate) fn route(&mut self, place: usize) -> Option<&mut Route> {
        self.routes.get_mut(place)?.as_mut()
    }

    /// A path together with what all share.
    pub(crate) fn both(&mut self, place: usize) -> Option<(&mut Route, &mut Context)> {
        let route = self.routes.get_mut(place)?.as_mut()?;
        Some((route, &mut self.cx))
    }

    /// Does something with every path.
    pub(crate) fn each(&mut self, now: Duration, mut act: impl FnMut(&mut Route, &mut Context)) {
        for place in 0..self.routes.len() {
            if let Some((route, cx)) = self.both(place) {
                act(route, cx);
                self.settle(place, now);
            }
        }
    }

    /// Queues something, and keeps to the budget of the link.
    pub(crate) fn push(&mut self, place: usize, item: Item, bytes: usize, now: Duration) {
        if let Some((route, cx)) = self.both(place) {
            route.push(cx, item, bytes, now);
        }
        self.settle(place, now);
        while self.bytes > self.cx.settings.link_budget {
            let longest = self
                .routes
                .iter()
                .enumerate()
                .filter_map(|(place, route)| Some((route.as_ref()?, place)))
                .filter(|(route, _)| route.queue.len() > 1)
                .max_by_key(|(route, place)| (route.queue.bytes(), *place));
            let Some((_, longest)) = longest else { break };
            if let Some((route, cx)) = self.both(longest) {
                route.overflow(cx, now);
            }
            self.settle(longest, now);
        }
    }

    /// After anything that touched a path: opens it if that is wanted, counts its bytes, gives it its
    /// turn and its timer.
    pub(crate) fn settle(&mut self, place: usize, now: Duration) {
        let Some(route) = self.routes.get_mut(place).and_then(Option::as_mut) else { return };
        route.open_if_wanted(&mut self.cx, now);
        self.bytes = self.bytes - route.counted + route.queue.bytes();
        route.counted = route.queue.bytes();
        if !route.in_ring && route.ready(&self.cx) {
            route.in_ring = true;
            self.ring.push_back(place);
        }
        if let Some(at) = route.deadline(&self.cx)
            && route.timer.is_none_or(|timer| at < timer)
        {
            if let Some(timer) = route.timer {
                self.timers.remove(&(timer, place));
            }
            route.timer = Some(at);
            self.timers.insert((at, place));
        }
        if !route.audits.is_empty() && !route.in_audit {
            self.to_audit.push(place);
        }
    }

    /// Does what is due on the paths.
    pub(crate) fn tick(&mut self, now: Duration) {
        let later = self.timers.split_off(&(now + Duration::from_nanos(1), 0));
        for (_, place) in std::mem::replace(&mut self.timers, later) {
            if let Some((route, cx)) = self.both(place) {
                route.timer = None;
                if cx.link {
                    route.tick(cx, now);
                    let end = route.last_used + cx.settings.cold_after;
                    if route.is_unused() && now >= end {
                        self.forget(place);
                        continue;
                    }
                }
            }
            self.settle(place, now);
        }
    }

    fn forget(&mut self, place: usize) {
        let Some(route) = self.routes.get_mut(place).and_then(Option::take) else { return };
        if route.in_ring {
            self.ring.retain(|other| *other != place);
        }
        self.cx.troubled -= usize::from(route.phase.in_trouble());
        if let Some(remotes) = self.names.get_mut(&route.path.local) {
            remotes.remove(&route.path.remote);
            if remotes.is_empty() {
                self.names.remove(&route.path.local);
            }
        }
        self.free.push(place);
        self.cx.events.push_back(Event::Forgotten { path: route.path });
    }
}
