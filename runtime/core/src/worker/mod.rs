//! The worker: runs connectors and tasks as the herder says. What it was told to start ends before the same is started again.
//!
//! Connector code runs on tasks of its own; nothing here waits for it except with a deadline, so one connector cannot stop
//! another (invariant 5).

mod connectors;
mod tasks;

use std::collections::HashMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use millrace_api::Error;
use millrace_api::config::Props;
use millrace_api::connector::ConnectorPlugin;
use millrace_api::log::{Log, StateStores};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::herder::machine::{Event, Failure};
use crate::metrics::Metrics;
use crate::offsets::OffsetStores;
use crate::plugins::Plugins;
use crate::providers::Redactor;
use crate::storage::topic::TopicOptions;
use crate::task::{TaskId, Wanted};
use crate::worker_config::WorkerConfig;

/// What a worker is made of.
pub struct WorkerParts {
    /// Its configuration.
    pub config: WorkerConfig,
    /// The properties it came from, for converters and client settings.
    pub props: Props,
    /// What it can run.
    pub plugins: Arc<Plugins>,
    /// Where records go.
    pub log: Arc<dyn Log>,
    /// The same log with the client settings of the worker itself, for its internal topics.
    pub internal: Arc<dyn Log>,
    /// Where aggregates keep state.
    pub stores: Arc<dyn StateStores>,
    /// Whether the log is Kafka.
    pub kafka: bool,
}

/// Has producers of a source connector's former tasks fenced before new ones start, wherever they run (KIP-618).
#[async_trait]
pub trait Fencing: Send + Sync {
    /// Returns when nothing of the former tasks can be written any more.
    ///
    /// # Errors
    /// [`millrace_api::ErrorKind::Retriable`] when it may be asked again.
    async fn fence(&self, connector: &str) -> Result<(), Error>;
}

/// See the module documentation.
pub struct Worker {
    parts: WorkerParts,
    /// Host and port that others reach it under.
    id: String,
    /// Of a worker in a group.
    fencing: OnceLock<Box<dyn Fencing>>,
    metrics: Metrics,
    offsets: OffsetStores,
    events: mpsc::UnboundedSender<Event>,
    running: Mutex<Running>,
    /// How often topics were forgotten on request.
    topic_rounds: AtomicU64,
}

#[derive(Default)]
struct Running {
    connectors: HashMap<String, Slot>,
    tasks: HashMap<TaskId, Slot>,
}

/// Something that runs until `wanted` says stop.
struct Slot {
    epoch: u64,
    wanted: watch::Sender<Wanted>,
}

impl Worker {
    /// A worker that others reach under the host and port `id`, and that reports on `events`. `offsets` is the topic of sources that
    /// have none of their own.
    #[must_use]
    pub fn new(
        parts: WorkerParts,
        id: String,
        offsets: TopicOptions,
        events: mpsc::UnboundedSender<Event>,
    ) -> Arc<Self> {
        let offsets = OffsetStores::new(Arc::clone(&parts.internal), offsets);
        let fencing = OnceLock::new();
        let metrics = Metrics::new(Duration::from_millis(parts.config.stalled_after_ms));
        let (metrics, running, topic_rounds) = (metrics, Mutex::default(), AtomicU64::default());
        Arc::new(Self { parts, id, fencing, metrics, offsets, events, running, topic_rounds })
    }

    /// What it is made of.
    #[must_use]
    pub fn parts(&self) -> &WorkerParts {
        &self.parts
    }

    /// Has tasks of exactly-once sources ask this before they start. Only the first call counts.
    pub fn set_fencing(&self, fencing: Box<dyn Fencing>) {
        let _ = self.fencing.set(fencing);
    }

    /// The plugin of a connector's class.
    ///
    /// # Errors
    /// When this worker has none. In a group another worker may have it, so this says who has not, and what to do.
    fn plugin(&self, class: &str) -> Result<Arc<dyn ConnectorPlugin>, Error> {
        self.parts.plugins.connector(class).map_err(|error| {
            if self.fencing.get().is_none() {
                return error;
            }
            let near = self.parts.plugins.nearest_connector(class);
            let near = near.map(|near| format!(" Did you mean {near}?")).unwrap_or_default();
            Error::config(format!(
                "The worker {id} (Millrace) does not have the connector class {class}, and the leader of the group placed it here.{near} \
                 GET http://{id}/connector-plugins lists the classes it has. If another worker of the group has this one, have a Millrace \
                 worker lead, which places connectors where their class is: stop the leader, a Java worker, and start it again. If no \
                 worker has it, delete the connector or run it in a group of workers that do.",
                id = self.id
            ))
        })
    }

    /// Its metrics.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Where sources stand.
    #[must_use]
    pub fn offsets(&self) -> &OffsetStores {
        &self.offsets
    }

    /// Has a connector or task end. It reports when it has; at the latest after its deadlines it is aborted.
    pub fn stop_connector(&self, name: &str, epoch: u64) {
        if let Some(slot) = self.running().connectors.get(name).filter(|slot| slot.epoch == epoch) {
            slot.wanted.send_replace(Wanted::Stopped);
        }
    }

    /// As [`Worker::stop_connector`].
    pub fn stop_task(&self, id: &TaskId, epoch: u64) {
        self.want(id, epoch, Wanted::Stopped);
    }

    /// Pauses a task or lets it go on.
    pub fn want(&self, id: &TaskId, epoch: u64, wanted: Wanted) {
        if let Some(slot) = self.running().tasks.get(id).filter(|slot| slot.epoch == epoch) {
            slot.wanted.send_replace(wanted);
        }
    }

    /// Forgets a connector that has ended, and says so.
    fn connector_ended(&self, name: String, epoch: u64, error: Option<&Error>) {
        let failure = error.map(failure);
        if let Some(failure) = &failure {
            tracing::error!(connector = name, trace = failure.trace, "connector failed");
        }
        self.running().connectors.remove(&name);
        self.report(Event::ConnectorEnded { name, epoch, failure });
    }

    /// Forgets a task that has ended, and says so.
    fn task_ended(&self, id: TaskId, epoch: u64, error: Option<&Error>) {
        let failure = error.map(failure);
        if let Some(failure) = &failure {
            tracing::error!(task = %id, trace = failure.trace, "task failed");
        }
        self.running().tasks.remove(&id);
        self.report(Event::TaskEnded { id, epoch, failure });
    }

    /// How long something that was told to stop may take before it is aborted: its own drain and stop deadlines, and a little.
    fn kill_after(&self) -> Duration {
        Duration::from_millis(self.parts.config.graceful_timeout_ms) * 3 + Duration::from_secs(1)
    }

    /// The longest that [`Worker::stop_task`] can take.
    #[must_use]
    pub fn stop_deadline(&self) -> Duration {
        self.kill_after() + Duration::from_secs(1)
    }

    fn drain_deadline(&self) -> Duration {
        Duration::from_millis(self.parts.config.graceful_timeout_ms)
    }

    fn commit_interval(&self) -> Duration {
        Duration::from_millis(self.parts.config.offset_flush_interval_ms)
    }

    /// Whether sources write records and offsets in one transaction.
    pub(crate) fn exactly_once(&self) -> bool {
        match &self.parts.config.exactly_once_source_support {
            Some(text) => text.eq_ignore_ascii_case("enabled"),
            None => !self.parts.kafka,
        }
    }

    fn report(&self, event: Event) {
        // The receiver only goes away when the process ends.
        let _ = self.events.send(event);
    }

    fn running(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Errors may hold what config providers gave (invariant 6).
fn failure(error: &Error) -> Failure {
    Failure { kind: error.kind(), trace: Redactor::process().redact(&error.trace()).into_owned() }
}

/// Waits for work that is to end by itself, and aborts it when it is told to stop and does not.
async fn supervise<T>(
    mut work: JoinHandle<T>,
    mut wanted: watch::Receiver<Wanted>,
    kill_after: Duration,
) -> Result<T, Ended> {
    let stopping = async {
        while *wanted.borrow_and_update() != Wanted::Stopped {
            if wanted.changed().await.is_err() {
                break;
            }
        }
        tokio::time::sleep(kill_after).await;
    };
    tokio::select! {
        result = &mut work => result.map_err(|error| if error.is_panic() { Ended::Panicked } else { Ended::Killed }),
        () = stopping => {
            work.abort();
            Err(Ended::Killed)
        }
    }
}

/// Why supervised work gave no result.
enum Ended {
    Panicked,
    Killed,
}
