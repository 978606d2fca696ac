//! The one thread that writes. It takes every command that waits, carries them out in their order as one atomic write with one fsync,
//! publishes what that made readable, and answers. While it syncs, the next commands gather: the busier, the larger the writes.

mod command;
mod transactions;
mod turn;

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::thread::JoinHandle;

use millrace_api::{Error, Result};
use tokio::sync::{mpsc, oneshot};

use crate::check::lock;
use crate::error::{closed, disk};
use crate::group::Coordinator;
use crate::store::Store;

pub(crate) use command::{Append, Command, Owner, Part};
use transactions::Transactions;
use turn::Turn;

/// A turn is closed at this many bytes, so that a transaction's commit does not wait behind everything there is.
const TURN_BYTES: usize = 8 << 20;
/// A turn is closed at this many commands.
const TURN_COMMANDS: usize = 4_096;

/// The way to the writer's thread.
pub(crate) struct Writer {
    sender: Mutex<Option<mpsc::UnboundedSender<Command>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    /// Starts the thread.
    pub(crate) fn start(store: Arc<Store>, coordinator: Arc<Coordinator>) -> Result<Self> {
        let (sender, receiver) = mpsc::unbounded_channel();
        let thread = std::thread::Builder::new()
            .name("millrace-log".to_owned())
            .spawn(move || run(&store, &coordinator, receiver))
            .map_err(|error| disk("starting the writer", error.into()))?;
        Ok(Self { sender: Mutex::new(Some(sender)), thread: Mutex::new(Some(thread)) })
    }

    /// Hands over a command without waiting. Commands are carried out in the order of these calls.
    pub(crate) fn submit(&self, command: Command) {
        if let Some(sender) = &*lock(&self.sender) {
            // A writer that is gone drops the command and with it the caller's answer, who reads that as "closed".
            let _ = sender.send(command);
        }
    }

    /// Hands over the command that `make` builds around a place for the answer, now; the answer comes when it is awaited.
    pub(crate) fn call<T>(&self, make: impl FnOnce(oneshot::Sender<Result<T>>) -> Command) -> Answer<T> {
        let (done, answer) = oneshot::channel();
        self.submit(make(done));
        Answer(answer)
    }

    /// Lets the thread finish what it was given and waits for it.
    pub(crate) fn stop(&self) {
        drop(lock(&self.sender).take());
        let thread = lock(&self.thread).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the log's writer ended with a panic");
        }
    }
}

/// The answer to a command. Dropping it does not undo the command.
pub(crate) struct Answer<T>(oneshot::Receiver<Result<T>>);

impl<T> Future for Answer<T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context).map(|answer| answer.unwrap_or_else(|_| Err(closed())))
    }
}

fn run(store: &Store, coordinator: &Coordinator, mut commands: mpsc::UnboundedReceiver<Command>) {
    let mut transactions = Transactions::default();
    while let Some(first) = commands.blocking_recv() {
        let mut turn = Turn::new(store, coordinator);
        turn.apply(first, &mut transactions);
        for _ in 1..TURN_COMMANDS {
            if turn.bytes() > TURN_BYTES {
                break;
            }
            let Ok(command) = commands.try_recv() else { break };
            turn.apply(command, &mut transactions);
        }
        turn.finish();
    }
}

/// The same error for one more caller.
fn copy(error: &Error) -> Error {
    let copy = Error::new(error.kind(), error.message().to_owned());
    error.context().iter().fold(copy, |copy, (key, value)| copy.with(key, value))
}
