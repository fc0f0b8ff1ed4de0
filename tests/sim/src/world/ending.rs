//! An end in good order (SIGTERM): a pod finishes what it has read, ends its stream, hands over its rooms, and goes.

use warren_mesh::Input as News;
use warren_pod::Input;
use warren_store::Assignment;

use super::World;
use super::member::{Ask, mono};
use super::queue::{Event, Pid};
use super::site::Ending;
use crate::fault::Step;
use crate::names::{MS, Micros, Place, SEC};

/// Who has been told to end and has not by then is killed.
const GRACE: Micros = 30 * SEC;
/// So long at most it waits until all that came on its stream is handled.
const CLOSE: Micros = 12 * SEC;

impl World {
    /// SIGTERM.
    pub(super) fn terminate(&mut self, at: Place) {
        if let Some(pid) = self.process(at).filter(|process| process.ending == Ending::No).map(|process| process.pid) {
            self.drain(pid);
        }
    }

    /// A pod is told to end: it finishes what it has read, ends its stream, and hands over its rooms.
    pub(super) fn drain(&mut self, pid: Pid) {
        let (at, now) = (pid.at, self.now);
        if let Some(until) = self.paused(at) {
            return self.queue.push(until, Event::Drain(pid));
        }
        let linked = self.slot(at).link.up;
        let unread = !self.slot(at).link.into.is_empty();
        let Some(process) = self.running(pid) else { return };
        let unhandled = process.pod.uncommitted_bytes() > 0;
        let (busy, unread) = (unhandled || (linked && process.pod.ready()), unread || unhandled);
        let (ending, again) = match process.ending {
            Ending::No => (Ending::Resting(now + 10 * SEC), true),
            Ending::Resting(until) if busy && now < until => (Ending::Resting(until), true),
            Ending::Resting(_) => (Ending::Closing(now + CLOSE, linked), true),
            Ending::Closing(until, linked) if unread && now < until => (Ending::Closing(until, linked), true),
            Ending::Closing(until, _) => (Ending::Moving(until - CLOSE), false),
            Ending::Moving(_) => return,
        };
        let before = std::mem::replace(&mut process.ending, ending);
        match (before, ending) {
            (Ending::No, _) => {
                self.trace.line(now, || format!("{at}: SIGTERM"));
                self.after(GRACE, Event::Kill(pid));
            }
            (Ending::Resting(_), Ending::Closing(..)) => {
                self.end_stream(at);
            }
            (Ending::Closing(_, linked), Ending::Moving(_)) => {
                if linked {
                    self.input(at, Input::LinkDown);
                }
                self.input(at, Input::Flush);
                self.input(at, Input::Drain);
            }
            _ => {}
        }
        if again {
            self.after(20 * MS, Event::Drain(pid));
        }
    }

    /// Everything is at rest: others get it.
    pub(super) fn hand_over(&mut self, pid: Pid) {
        if !self.step(pid.at, Step::Move) {
            return;
        }
        let now = mono(self.now);
        let Some(member) = self.member(pid).filter(|member| !member.leaving) else { return };
        member.leaving = true;
        let assign = member.state.handover(now).into_iter().map(|(thing, to)| Assignment { thing, to }).collect();
        member.state.handle(News::Leaving, now);
        self.want(pid, Ask::HandOver(assign));
    }

    /// Everything was handed over: it ends when nobody has to wait for it any more.
    pub(super) fn leave(&mut self, pid: Pid, patience: u32) {
        if let Some(until) = self.paused(pid.at) {
            return self.queue.push(until, Event::Leave(pid, patience));
        }
        let Some(process) = self.running(pid) else { return };
        if patience > 0 && process.pod.uncommitted_bytes() > 0 {
            return self.after(50 * MS, Event::Leave(pid, patience - 1));
        }
        self.retire(pid.at);
    }
}
