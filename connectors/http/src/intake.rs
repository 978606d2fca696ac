//! Requests between the listener and the runtime: those that wait for a poll, and those that were polled and wait for the log.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use millrace_api::{RecordBatch, Result};
use tokio::sync::{Notify, watch};

use crate::ledger::{Claim, Ledger, Outcome};
use crate::records;

/// Milliseconds since the epoch.
pub(crate) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Bounds on what is pending.
pub(crate) struct Load {
    bytes: AtomicUsize,
    requests: AtomicUsize,
    max_bytes: usize,
    max_requests: usize,
}

/// The place a request takes until it is answered; dropping it frees the place.
pub(crate) struct Place {
    load: Arc<Load>,
    bytes: usize,
}

impl Place {
    /// Takes more bytes, unless there is no room for them.
    pub(crate) fn grow(&mut self, bytes: usize) -> bool {
        if self.load.bytes.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes) > self.load.max_bytes {
            self.load.bytes.fetch_sub(bytes, Ordering::Relaxed);
            return false;
        }
        self.bytes += bytes;
        true
    }

    /// Takes exactly so many bytes, room or not: what was read is there already, only in another form.
    pub(crate) fn resize(&mut self, bytes: usize) {
        self.load.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.load.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
        self.bytes = bytes;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.load.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
        self.load.requests.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A request that passed all checks.
pub(crate) struct Request {
    pub(crate) key: Option<Arc<str>>,
    pub(crate) records: RecordBatch,
    pub(crate) place: Place,
}

/// What became of an offer.
pub(crate) enum Offer {
    /// It will be produced; ask `outcome`.
    Queued { id: u64, outcome: watch::Receiver<Outcome> },
    /// It was produced before: so many records.
    Duplicate(u32),
    /// Another with the same key is on its way: wait for it, then offer again.
    Busy { outcome: watch::Receiver<Outcome>, request: Request },
    /// Its key belongs to a request of so many records.
    Mismatch(u32),
    /// The task stops.
    Stopping,
}

/// A request on its way.
struct Pending {
    id: u64,
    key: Option<Arc<str>>,
    /// Records of the request, those that were in the log already included.
    count: u32,
    outcome: watch::Sender<Outcome>,
    _place: Place,
}

struct State {
    waiting: VecDeque<(Pending, RecordBatch)>,
    /// By token, ascending.
    polled: VecDeque<(u64, Vec<Pending>)>,
    ledger: Ledger,
    next_id: u64,
    next_token: u64,
    stopping: bool,
}

impl State {
    fn token(&mut self) -> u64 {
        let token = self.next_token;
        self.next_token += 1;
        token
    }
}

/// Shared by the listener and the task.
pub(crate) struct Intake {
    load: Arc<Load>,
    state: Mutex<State>,
    arrived: Notify,
}

impl Intake {
    pub(crate) fn new(max_bytes: usize, max_requests: usize, ledger: Ledger) -> Self {
        let load = Load { bytes: AtomicUsize::new(0), requests: AtomicUsize::new(0), max_bytes, max_requests };
        let state = State {
            waiting: VecDeque::new(),
            polled: VecDeque::new(),
            ledger,
            next_id: 0,
            next_token: 0,
            stopping: false,
        };
        Self { load: Arc::new(load), state: Mutex::new(state), arrived: Notify::new() }
    }

    /// A place for one more request; `None` when there is no room.
    pub(crate) fn admit(&self) -> Option<Place> {
        let place = Place { load: Arc::clone(&self.load), bytes: 0 };
        let before = self.load.requests.fetch_add(1, Ordering::Relaxed);
        (before < self.load.max_requests && self.load.bytes.load(Ordering::Relaxed) < self.load.max_bytes)
            .then_some(place)
    }

    /// Whether the task stops.
    pub(crate) fn stopping(&self) -> bool {
        self.state().stopping
    }

    /// Queues a request for the next poll, unless it was seen before.
    pub(crate) fn offer(&self, mut request: Request) -> Offer {
        let mut state = self.state();
        if state.stopping {
            return Offer::Stopping;
        }
        let count = u32::try_from(request.records.len()).unwrap_or(u32::MAX);
        let (sender, outcome) = watch::channel(Outcome::Pending);
        if let Some(key) = &request.key {
            match state.ledger.claim(key, count, now()) {
                Claim::Done(records) => return Offer::Duplicate(records),
                Claim::Wait(outcome) => return Offer::Busy { outcome, request },
                Claim::Mismatch(records) => return Offer::Mismatch(records),
                Claim::Produce { appended } => {
                    if let Some(part) = &appended {
                        request.records.retain(|row| !part.indexes.contains(&row.origin));
                    }
                    state.ledger.begin(Arc::clone(key), outcome.clone(), appended);
                }
            }
        }
        let id = state.next_id;
        state.next_id += 1;
        let pending = Pending { id, key: request.key, count, outcome: sender, _place: request.place };
        state.waiting.push_back((pending, request.records));
        drop(state);
        self.arrived.notify_one();
        Offer::Queued { id, outcome }
    }

    /// Takes a request back that was not polled yet. `false`: it is on its way, or was answered.
    pub(crate) fn withdraw(&self, id: u64) -> bool {
        let mut state = self.state();
        let Some(at) = state.waiting.iter().position(|(pending, _)| pending.id == id) else { return false };
        if let Some((pending, _)) = state.waiting.remove(at) {
            if let Some(key) = &pending.key {
                state.ledger.withdraw(key, now());
            }
            pending.outcome.send_replace(Outcome::Refused);
        }
        true
    }

    /// Returns when there may be something to take.
    pub(crate) async fn arrived(&self) {
        self.arrived.notified().await;
    }

    /// Everything that waits, up to the bounds but at least one request, and its token. Nothing is lost between here and the
    /// caller: there is no await.
    ///
    /// # Errors
    /// [`millrace_api::ErrorKind::Limit`] when the bounds allow more than a batch can hold.
    pub(crate) fn take(&self, max_bytes: usize, max_records: usize) -> Result<Option<(RecordBatch, u64)>> {
        let mut state = self.state();
        let Some((first, mut batch)) = state.waiting.pop_front() else { return Ok(None) };
        let mut pending = vec![first];
        while let Some((_, records)) = state.waiting.front() {
            let (bytes, count) = (batch.bytes() + records.bytes(), batch.len() + records.len());
            if bytes > max_bytes || count > max_records {
                break;
            }
            records::append(&mut batch, records)?;
            pending.extend(state.waiting.pop_front().map(|(next, _)| next));
        }
        for (origin, row) in batch.rows_mut().iter_mut().enumerate() {
            row.origin = u32::try_from(origin).unwrap_or(u32::MAX);
        }
        let token = state.token();
        state.polled.push_back((token, pending));
        if !state.waiting.is_empty() {
            self.arrived.notify_one();
        }
        Ok(Some((batch, token)))
    }

    /// The token of a batch without records: it stands after everything that was taken.
    pub(crate) fn token(&self) -> u64 {
        self.state().token()
    }

    /// The log has everything up to this token.
    pub(crate) fn committed(&self, token: u64) {
        let mut state = self.state();
        while state.polled.front().is_some_and(|(polled, _)| *polled <= token) {
            for pending in state.polled.pop_front().map(|(_, pending)| pending).unwrap_or_default() {
                if let Some(key) = &pending.key {
                    state.ledger.done(key, pending.count, now());
                }
                pending.outcome.send_replace(Outcome::Committed);
            }
        }
    }

    /// Takes nothing any more and refuses everything that is pending.
    pub(crate) fn close(&self) {
        let mut state = self.state();
        state.stopping = true;
        let waiting = std::mem::take(&mut state.waiting).into_iter().map(|(pending, _)| pending);
        let polled = std::mem::take(&mut state.polled).into_iter().flat_map(|(_, pending)| pending);
        for pending in waiting.chain(polled) {
            pending.outcome.send_replace(Outcome::Refused);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
