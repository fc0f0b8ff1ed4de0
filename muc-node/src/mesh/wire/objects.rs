//! What is said of configuration objects: the messages of control, whole, as they are rare.

use bytes::Bytes;
use prost::Message;
use warren_control::grpc::proto as control;
use warren_control::{Answer, Change, ObjectReport};
use warren_mesh::grpc::proto::{self, answered::Outcome as Said, change::What};
use warren_model::ids::SHARDS;
use warren_model::{Object, ObjectName};
use warren_pod::{Frame, Outcome};

use super::{Malformed, missing};

impl From<warren_control::grpc::Malformed> for Malformed {
    fn from(malformed: warren_control::grpc::Malformed) -> Self {
        Self(malformed.0)
    }
}

fn bytes(message: &impl Message) -> Bytes {
    message.encode_to_vec().into()
}

fn read<M: Message + Default>(bytes: Bytes, what: &str) -> Result<M, Malformed> {
    // The text of the error names fields, never values.
    M::decode(bytes).map_err(|error| Malformed(format!("{what} is not understood: {error}")))
}

pub(super) fn change_message(change: &Change) -> proto::Change {
    let what = match change {
        Change::Apply(object) => What::Apply(bytes(&control::Object::from(&**object))),
        Change::Remove { name, uid } => {
            What::Remove(bytes(&control::RemoveRequest { name: Some(name.into()), uid: uid.clone() }))
        }
    };
    proto::Change { what: Some(what) }
}

pub(super) fn change(message: proto::Change) -> Result<Change, Malformed> {
    match message.what.ok_or_else(|| missing("the change"))? {
        What::Apply(bytes) => {
            let object: control::Object = read(bytes, "an object")?;
            Ok(Change::Apply(Box::new(Object::try_from(object)?)))
        }
        What::Remove(bytes) => {
            let control::RemoveRequest { name, uid } = read(bytes, "a removal")?;
            Ok(Change::Remove { name: ObjectName::try_from(name.ok_or_else(|| missing("name"))?)?, uid })
        }
    }
}

pub(super) fn answered_message(call: u64, outcome: &Outcome) -> proto::Answered {
    let answer = |answer: Answer| Said::Answer(bytes(&control::ApplyResponse::from(answer)));
    let outcome = match outcome {
        Outcome::Done(applied) => answer(Answer::Done(*applied)),
        Outcome::Refused(refusal) => answer(Answer::Refused(refusal.clone())),
        Outcome::Failed(why) => Said::Failed(why.clone()),
    };
    proto::Answered { call, outcome: Some(outcome) }
}

pub(super) fn answered(message: proto::Answered) -> Result<Frame, Malformed> {
    let outcome = match message.outcome.ok_or_else(|| missing("the outcome"))? {
        Said::Answer(bytes) => {
            let answer: control::ApplyResponse = read(bytes, "an answer")?;
            match Answer::try_from(answer)? {
                Answer::Done(applied) => Outcome::Done(applied),
                Answer::Refused(refusal) => Outcome::Refused(refusal),
            }
        }
        Said::Failed(why) => Outcome::Failed(why),
    };
    Ok(Frame::Answered { call: message.call, outcome })
}

pub(super) fn ask_message(call: u64, objects: &[ObjectName]) -> proto::Ask {
    proto::Ask { call, names: objects.iter().map(|name| bytes(&control::Name::from(name))).collect() }
}

pub(super) fn ask(message: proto::Ask) -> Result<Frame, Malformed> {
    let name = |bytes| Ok(ObjectName::try_from(read::<control::Name>(bytes, "a name")?)?);
    let objects = message.names.into_iter().map(name).collect::<Result<_, Malformed>>()?;
    Ok(Frame::Ask { call: message.call, objects })
}

pub(super) fn reports_message(call: u64, reports: &[ObjectReport]) -> proto::Reports {
    proto::Reports { call, reports: reports.iter().map(|report| bytes(&control::ObjectReport::from(report))).collect() }
}

pub(super) fn reports(message: proto::Reports) -> Result<Frame, Malformed> {
    let report = |bytes| {
        let report = ObjectReport::try_from(read::<control::ObjectReport>(bytes, "a report")?)?;
        if report.shard.0 >= SHARDS {
            return Err(Malformed(format!("there is no shard {}", report.shard)));
        }
        Ok(report)
    };
    let reports = message.reports.into_iter().map(report).collect::<Result<_, Malformed>>()?;
    Ok(Frame::Reports { call: message.call, reports })
}
