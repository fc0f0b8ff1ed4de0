//! What answers and errors do to a path, and what is asked for then.

use std::sync::Arc;
use std::time::Duration;

use jid::BareJid;
use warren_model::{RoomId, Seq};
use warren_xmpp::cast::PathState;

use crate::Event;
use crate::context::Context;
use crate::evidence::{Row, Unproven};
use crate::gaps::Gaps;
use crate::path::{Phase, Route};

impl Route {
    /// Our ping was answered by the other end.
    pub(crate) fn answered(&mut self, cx: &mut Context, id: u64, now: Duration) {
        let Some(answer) = self.chain.answer(id, cx.settings.breakage.chain_ignored) else {
            // Forgotten with its interval. Still a sign of life.
            return self.hint(cx, now);
        };
        cx.stats.answers += 1;
        self.last_answer = now;
        self.last_used = now;
        self.gaps.prove(&answer.proven);
        if !answer.lost.is_empty() {
            cx.stats.breaks += 1;
            self.lose(answer.lost);
        }
        if self.phase != Phase::Open {
            self.set_phase(cx, Phase::Open);
            self.ping_due = false;
            if self.reported == PathState::Down {
                // As after the loss of the link: leaves may have got lost on the way here.
                self.audit_all();
            }
            self.report(cx, PathState::Up);
        }
        self.ask(cx);
    }

    /// Rooms that lack rows, each with the first of them, as the store has it.
    pub(crate) fn restore(&mut self, cx: &mut Context, missing: Vec<(RoomId, BareJid, Seq)>) {
        for (room, jid, seq) in missing {
            let row = Row { room, jid: Arc::new(jid), seq, at: None };
            self.gaps.restore(room, Unproven::of(&row));
        }
        // Usually there is nothing yet; but a path may be in use before its past is known.
        self.drop_rows(cx, Gaps::hold);
        self.ask(cx);
    }

    /// The room was loaded again: a replay that it was making has ended with it.
    pub(crate) fn reloaded(&mut self, cx: &mut Context, room: RoomId) {
        self.gaps.reloaded(room);
        self.ask(cx);
    }

    /// Asks for the replay of everything that is missing, if the path is open.
    pub(crate) fn ask(&mut self, cx: &mut Context) {
        if self.phase != Phase::Open || !self.gaps.any_due() {
            return;
        }
        let rooms = self.gaps.ask();
        // What is queued of these rooms would overtake the replay, which brings it too.
        self.drop_rows(cx, Gaps::hold);
        cx.events.push_back(Event::Replay { path: self.path.clone(), rooms });
    }

    /// A transport condition came back: in answer to our ping `id`, or to anything else.
    pub(crate) fn refused(&mut self, cx: &mut Context, id: Option<u64>, now: Duration) {
        match (self.phase, id) {
            // Old pings, and bounces of what was written before: nothing new.
            (_, Some(id)) if !self.chain.waits_for(id) => {}
            (Phase::Cold | Phase::Opening { .. }, None) | (Phase::Down, _) => {}
            (Phase::Suspect { .. }, None) => {
                // Something of what was only late is now known to be lost. Once; storms of errors end here.
                if self.chain.intervals().any(|interval| !interval.is_empty()) {
                    self.cut(cx);
                    self.hint(cx, now);
                }
            }
            (Phase::Suspect { .. }, Some(_)) => self.down(cx),
            (Phase::Cold | Phase::Opening { .. } | Phase::Open, _) => {
                self.cut(cx);
                self.suspect(cx, now);
            }
        }
    }

    /// Something came from there: if the path is in trouble, it may be over.
    pub(crate) fn hint(&mut self, cx: &Context, now: Duration) {
        if self.phase.in_trouble() && cx.link {
            self.probe_soon(cx, now);
        }
    }
}
