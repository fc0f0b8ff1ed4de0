//! Threads that answer reads, so that nobody who asks has to wait.

use std::io;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use crate::{Reader, Refused};

/// A read with its callback: it reads, and passes the result on.
pub type ReadRequest = Box<dyn FnOnce(&mut dyn Reader) + Send>;

/// One thread for each reader, all fed from one queue, so that one slow read delays no other.
///
/// The queue is not bounded: who asks bounds what it has outstanding (a room asks for one page at a time).
pub struct Readers {
    requests: Sender<ReadRequest>,
    threads: Vec<JoinHandle<()>>,
}

impl Readers {
    /// Starts the threads.
    ///
    /// # Errors
    ///
    /// When the system gives no thread.
    pub fn start(readers: Vec<Box<dyn Reader>>) -> io::Result<Self> {
        let (requests, inbox) = mpsc::channel::<ReadRequest>();
        let inbox = Arc::new(Mutex::new(inbox));
        let threads = readers
            .into_iter()
            .map(|reader| {
                let inbox = Arc::clone(&inbox);
                thread::Builder::new().name("store-reader".to_owned()).spawn(move || serve(reader, &inbox))
            })
            .collect::<io::Result<_>>()?;
        Ok(Self { requests, threads })
    }

    /// Queues a read; never waits.
    pub fn read(&self, request: ReadRequest) -> Result<(), Refused> {
        self.requests.send(request).map_err(|_| Refused::Stopped)
    }

    /// A handle that queues reads from another thread.
    pub fn handle(&self) -> impl Fn(ReadRequest) -> Result<(), Refused> + Send + Clone + 'static {
        let requests = self.requests.clone();
        move |request| requests.send(request).map_err(|_| Refused::Stopped)
    }

    /// Answers what was asked before and ends the threads. Waits until every handle is dropped.
    pub fn stop(self) {
        drop(self.requests);
        for thread in self.threads {
            // A panic in a callback has been reported by its thread.
            let _ = thread.join();
        }
    }
}

fn serve(mut reader: Box<dyn Reader>, inbox: &Mutex<Receiver<ReadRequest>>) {
    loop {
        // One thread waits inside the lock and the others for the lock: the same as all waiting for the queue.
        let request = inbox.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(request) = request else { return };
        request(&mut *reader);
    }
}
