//! Calls of the control protocol, from whoever makes them to the loop that answers.
//!
//! Manifests are such a caller; the operator's gRPC will be another. The answer is the acknowledgement: what was
//! applied is durable then.

use tokio::sync::{mpsc, oneshot};
use warren_control::Change;

use warren_pod::Outcome;

/// Calls that may wait for the loop.
const CALLS: usize = 64;

/// One call, with where its answer goes.
#[derive(Debug)]
pub struct Call {
    /// What to do.
    pub change: Change,
    /// Where the answer goes.
    pub answer: oneshot::Sender<Outcome>,
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
        self.0.send(Call { change, answer }).await.map_err(|_| Gone)?;
        Ok(Answer(answered))
    }
}
