//! Calls of the control protocol, from whoever makes them to the loop that answers.
//!
//! Manifests are such a caller; [`listener`](crate::listener) is another. The answer is the acknowledgement: what was
//! applied is durable then.

use tokio::sync::{mpsc, oneshot};
use warren_control::grpc::Page;
use warren_control::{Applied, Change, Failed};
use warren_model::{Body, Object, ObjectName, ServiceConfig};

use warren_pod::Outcome;

/// Calls that may wait for the loop.
const CALLS: usize = 64;

/// One call, with where its answer goes.
#[derive(Debug)]
pub enum Call {
    /// Apply or Remove.
    Change(Change, oneshot::Sender<Outcome>),
    /// What is applied, and how it stands: at most so many objects behind this one.
    Page(Option<ObjectName>, usize, oneshot::Sender<Page>),
}

/// Makes calls. Clones go to other callers.
#[derive(Clone, Debug)]
pub struct Control(mpsc::Sender<Call>);

/// The loop's end of it.
pub type Calls = mpsc::Receiver<Call>;

/// A pair of ends.
pub fn channel() -> (Control, Calls) {
    let (calls, inbox) = mpsc::channel(CALLS);
    (Control(calls), inbox)
}

/// The pod has ended before it answered; what became of the call is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the pod stops")]
pub struct Gone;

impl From<Gone> for Failed {
    fn from(gone: Gone) -> Self {
        Self::Unavailable(gone.to_string())
    }
}

/// The answer to come.
#[derive(Debug)]
pub struct Answer(oneshot::Receiver<Outcome>);

impl Answer {
    /// Waits for it.
    ///
    /// # Errors
    /// When the pod ends before it answers.
    pub async fn outcome(self) -> Result<Outcome, Gone> {
        self.0.await.map_err(|_| Gone)
    }
}

impl Control {
    /// Makes one call. Calls take effect in the order in which they are made; those that are made together are made
    /// durable together.
    ///
    /// # Errors
    /// When the pod has ended.
    pub async fn call(&self, change: Change) -> Result<Answer, Gone> {
        let (answer, answered) = oneshot::channel();
        self.0.send(Call::Change(change, answer)).await.map_err(|_| Gone)?;
        Ok(Answer(answered))
    }

    /// Some of what is applied.
    ///
    /// # Errors
    /// When the pod has ended.
    pub async fn page(&self, after: Option<ObjectName>, max: usize) -> Result<Page, Gone> {
        let (answer, answered) = oneshot::channel();
        self.0.send(Call::Page(after, max, answer)).await.map_err(|_| Gone)?;
        answered.await.map_err(|_| Gone)
    }
}

/// Answers calls while there is no pod, because nobody has said which service it is to serve. Ends with the service that
/// is applied, and the call, which is not answered yet. `None`: nobody can call any more.
pub async fn await_service(calls: &mut Calls) -> Option<(ServiceConfig, Call)> {
    loop {
        // Whoever has stopped listening does not need the answer.
        match calls.recv().await? {
            Call::Change(Change::Apply(object), answer) => match &object.body {
                Body::Service(service) => {
                    let service = service.clone();
                    return Some((service, Call::Change(Change::Apply(object), answer)));
                }
                _ => drop(answer.send(Outcome::Failed(too_early(&object)))),
            },
            Call::Change(Change::Remove { .. }, answer) => drop(answer.send(Outcome::Done(Applied::Unchanged))),
            Call::Page(.., answer) => drop(answer.send(Page::default())),
        }
    }
}

fn too_early(object: &Object) -> String {
    format!("{}: this pod waits for its MucService", object.name)
}
