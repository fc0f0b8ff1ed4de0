//! What must hold between any two calls. Plain functions: stories, properties and the simulator run
//! them after every call by [`Settings::check`](crate::Settings::check).

use std::collections::BTreeMap;

use warren_model::RoomId;
use warren_xmpp::cast::{GroupChange, SessionId};

use crate::Egress;
use crate::evidence::Chain;
use crate::gaps::Stage;
use crate::path::{Phase, Route};
use crate::queue::Item;

/// All of them; the text says which one does not hold, and where.
pub fn check(egress: &Egress) -> Result<(), String> {
    let mut bytes = 0;
    let mut troubled = 0;
    for (place, route) in egress.table.routes.iter().enumerate() {
        let Some(route) = route else { continue };
        bytes += route.queue.bytes();
        troubled += usize::from(route.phase.in_trouble());
        [
            queue_is_counted(route),
            trouble_holds_rows(route),
            held_rooms_hold_rows(route),
            nothing_is_under_way_without_a_link(egress, route),
            chain_is_bounded(route),
            watermarks_stay_below_what_is_outstanding(egress, route),
            groups_are_sound(route),
            turns_are_taken(egress, route, place),
            members_add_up(egress, route, place),
        ]
        .into_iter()
        .collect::<Result<(), String>>()
        .map_err(|violation| format!("{}: {violation}", route.path))?;
    }
    ensure(bytes == egress.table.bytes, || format!("{} bytes are queued, {} counted", bytes, egress.table.bytes))?;
    ensure(troubled == egress.table.cx.troubled, || "paths in trouble are miscounted".into())
}

fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise()) }
}

fn queue_is_counted(route: &Route) -> Result<(), String> {
    let counted = route.queue.counted();
    ensure(counted == route.queue.bytes() && counted == route.counted, || "the queue is miscounted".into())
}

/// A row is never queued while its path is Suspect or Down.
fn trouble_holds_rows(route: &Route) -> Result<(), String> {
    let row = route.queue.iter().find_map(Item::row).filter(|_| route.phase.in_trouble());
    ensure(row.is_none(), || format!("{row:?} is queued in {:?}", route.phase))
}

/// A row is never queued while a replay that has not started will bring it.
fn held_rooms_hold_rows(route: &Route) -> Result<(), String> {
    let row = route.queue.iter().filter_map(Item::row).find(|row| route.gaps.hold(row.room));
    ensure(row.is_none(), || format!("{row:?} is queued, its room is held"))?;
    let end = route.queue.iter().find_map(|item| match item {
        Item::ReplayEnd(room) if route.gaps.stage(*room) != Some(Stage::Running) => Some(room),
        _ => None,
    });
    ensure(end.is_none(), || format!("the end of a replay of {end:?} is queued, none runs"))
}

/// Replays run only on open paths; without a link no path is open and no ping is waited for.
fn nothing_is_under_way_without_a_link(egress: &Egress, route: &Route) -> Result<(), String> {
    let link = egress.table.cx.link;
    ensure(link || (route.chain.is_idle() && !matches!(route.phase, Phase::Open | Phase::Opening { .. })), || {
        format!("{:?} without a link", route.phase)
    })?;
    let missing = route.phase == Phase::Open && route.gaps.any_due();
    ensure(!missing, || "the path is open and a replay was not asked for".into())?;
    let stage = route.gaps.iter().map(|(_, gap)| gap.stage).find(|stage| matches!(stage, Stage::Held | Stage::Running));
    ensure(!route.phase.in_trouble() || stage.is_none(), || format!("a replay is {stage:?} in {:?}", route.phase))
}

fn chain_is_bounded(route: &Route) -> Result<(), String> {
    ensure(route.chain.pings() <= Chain::MAX_PINGS, || "too many pings are remembered".into())
}

/// No watermark was handed out that covers what is not proven.
fn watermarks_stay_below_what_is_outstanding(egress: &Egress, route: &Route) -> Result<(), String> {
    let on_write = egress.table.cx.settings.breakage.watermark_moved_on_write;
    for (lane, mark) in &route.lanes {
        if let Some(floor) = route.floor(*lane, on_write) {
            ensure(mark.told < floor, || format!("lane {lane}: told {}, batch {floor} is not proven", mark.told))?;
        }
    }
    Ok(())
}

fn groups_are_sound(route: &Route) -> Result<(), String> {
    for (room, group) in &route.groups {
        ensure(!group.is_empty(), || format!("room {room}: an empty group"))?;
        ensure(group.slots().is_sorted_by(|a, b| a.session < b.session), || format!("room {room}: out of order"))?;
        let (used, all) = group.arena();
        let addresses: usize = group.slots().iter().map(|slot| group.address(slot).len()).sum();
        ensure(used == addresses && all <= 2 * used, || format!("room {room}: arena {used} of {all} for {addresses}"))?;
        ensure(group.marked() == 0 || audit_is_due(route, *room), || format!("room {room}: an audit is forgotten"))?;
    }
    Ok(())
}

fn audit_is_due(route: &Route, room: RoomId) -> bool {
    let queued = |item: &Item| matches!(item, Item::Audit { room: other, .. } if *other == room);
    route.audits.contains(&room) || route.queue.iter().any(queued)
}

/// Whatever can be written has its turn, whatever can become due has a timer, which is not late.
fn turns_are_taken(egress: &Egress, route: &Route, place: usize) -> Result<(), String> {
    let table = &egress.table;
    let listed = table.ring.iter().filter(|other| **other == place).count();
    ensure(listed == usize::from(route.in_ring), || format!("{listed} places in the ring"))?;
    ensure(route.in_ring || !route.ready(&table.cx), || "ready, but not in the ring".into())?;
    let timer = route.timer.filter(|timer| table.timers.contains(&(*timer, place)));
    let deadline = route.deadline(&table.cx);
    let held = deadline.is_none_or(|deadline| timer.is_some_and(|timer| timer <= deadline));
    ensure(held && timer == route.timer, || format!("due at {deadline:?}, timer {timer:?}"))?;
    let wanted = route.phase == Phase::Cold && table.cx.link && !route.queue.is_empty();
    ensure(!wanted, || "something waits and the path is not being opened".into())
}

/// A group with all queued changes is what the room last said.
fn members_add_up(egress: &Egress, route: &Route, place: usize) -> Result<(), String> {
    let mut groups: BTreeMap<RoomId, Vec<SessionId>> = BTreeMap::new();
    for (room, group) in &route.groups {
        groups.insert(*room, group.slots().iter().map(|slot| slot.session).collect());
    }
    for item in route.queue.iter() {
        match item {
            Item::Group { room, change, .. } => {
                let sessions = groups.entry(*room).or_default();
                match change {
                    GroupChange::Reset(members) => *sessions = members.iter().map(|member| member.session).collect(),
                    GroupChange::Put(member) => sessions.push(member.session),
                    GroupChange::Remove(session) => sessions.retain(|other| other != session),
                }
            }
            Item::Close(room) => {
                groups.remove(room);
            }
            _ => {}
        }
    }
    groups.retain(|_, sessions| {
        sessions.sort_unstable();
        sessions.dedup();
        !sessions.is_empty()
    });
    let mut said = BTreeMap::new();
    for (room, entry) in &egress.rooms {
        said.extend(entry.tails.iter().filter(|tail| tail.place == place).map(|tail| (*room, tail.sessions.clone())));
    }
    ensure(groups == said, || format!("groups {groups:?}, the rooms said {said:?}"))
}
