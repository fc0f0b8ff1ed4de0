//! How objects stand: of each one the pod speaks that knows most, the owner of the room or of the link.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use warren_control::{Address, ObjectReport, PeeringReport};
use warren_model::{Body, Incarnation, Now, Object, ObjectName};

use crate::{Frame, Pod, Request};

/// Who does not answer within this time is not waited for: what we know ourselves is the answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// A question whose answers are not all there.
#[derive(Debug)]
pub(crate) struct Question {
    call: u64,
    until: Duration,
    waits_for: BTreeSet<Incarnation>,
    reports: BTreeMap<ObjectName, ObjectReport>,
}

/// All questions, by the number that others know them by.
#[derive(Debug, Default)]
pub(crate) struct Questions {
    last: u64,
    open: BTreeMap<u64, Question>,
}

impl Questions {
    pub(crate) fn deadline(&self) -> Option<Duration> {
        self.open.values().map(|question| question.until).min()
    }
}

impl Pod {
    /// How these stand, as far as this pod knows.
    fn report(&self, object: &Object) -> ObjectReport {
        let room = match &object.body {
            Body::Room { jid, .. } => self.room(jid),
            _ => None,
        };
        let peerings = room.into_iter().flat_map(warren_room::Room::peerings).map(|(peer, direction, state)| {
            let peer = peer.clone();
            PeeringReport { peer, direction, state }
        });
        ObjectReport {
            name: object.name.clone(),
            uid: object.uid.clone(),
            generation: object.generation,
            digest: object.digest.clone(),
            peerings: peerings.collect(),
            // A room that is not in memory has nobody in it.
            occupied: room.is_some_and(|room| room.sessions() > 0),
            connected: matches!(object.body, Body::Service(_)) && self.link,
            shard: Address::of(object).shard(),
        }
    }

    fn reports(&self, objects: &[ObjectName]) -> Vec<ObjectReport> {
        let wanted: BTreeSet<&ObjectName> = objects.iter().collect();
        self.registry
            .objects()
            .filter(|object| wanted.contains(&object.name))
            .map(|object| self.report(object))
            .collect()
    }

    /// Who knows most of an object.
    fn teller(&self, object: &Object) -> Option<Incarnation> {
        match &object.body {
            Body::Room { jid, .. } => self.table.shard(warren_model::Shard::of(jid)).who,
            Body::Service(_) => self.table.link(&self.link_name).who,
            Body::Peer(_) => None,
        }
    }

    /// Somebody asks how these stand.
    pub(super) fn ask(&mut self, call: u64, objects: &[ObjectName], now: Now) {
        let reports: BTreeMap<ObjectName, ObjectReport> =
            self.reports(objects).into_iter().map(|report| (report.name.clone(), report)).collect();
        let mut others: BTreeMap<Incarnation, Vec<ObjectName>> = BTreeMap::new();
        for object in self.registry.objects().filter(|object| reports.contains_key(&object.name)) {
            if let Some(teller) = self.teller(object).filter(|teller| self.sessions.contains(teller)) {
                others.entry(teller).or_default().push(object.name.clone());
            }
        }
        self.questions.last += 1;
        let number = self.questions.last;
        let waits_for = others.keys().copied().collect();
        let question = Question { call, until: now.mono + PATIENCE, waits_for, reports };
        self.questions.open.insert(number, question);
        for (pod, objects) in others {
            self.say(pod, Frame::Ask { call: number, objects });
        }
        self.answer_questions(now);
    }

    /// Another pod asks.
    pub(super) fn asked(&mut self, from: Incarnation, call: u64, objects: &[ObjectName]) {
        let reports = self.reports(objects);
        self.say(from, Frame::Reports { call, reports });
    }

    /// Another pod answers.
    pub(super) fn told(&mut self, from: Incarnation, call: u64, reports: Vec<ObjectReport>, now: Now) {
        if let Some(question) = self.questions.open.get_mut(&call)
            && question.waits_for.remove(&from)
        {
            question.reports.extend(reports.into_iter().map(|report| (report.name.clone(), report)));
        }
        self.answer_questions(now);
    }

    /// That pod does not answer any more.
    pub(super) fn asks_failed(&mut self, pod: Incarnation) {
        for question in self.questions.open.values_mut() {
            question.waits_for.remove(&pod);
        }
    }

    /// Answers what can be answered, or has to be.
    pub(super) fn answer_questions(&mut self, now: Now) {
        let done = |question: &Question| question.waits_for.is_empty() || question.until <= now.mono;
        let ready = self.questions.open.extract_if(.., |_, question| done(question));
        for (_, Question { call, reports, .. }) in ready {
            self.requests.push(Request::Reports { call, reports: reports.into_values().collect() });
        }
    }
}
