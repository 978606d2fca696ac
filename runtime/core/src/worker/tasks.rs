//! Tasks: put together from a configuration, run, and reported.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use millrace_api::config::{Config as _, Props};
use millrace_api::connector::{SinkContext, SinkTask, SourceContext, SourceTask, Task};
use millrace_api::log::{ConsumerOptions, Producer, ProducerOptions, Subscription};
use millrace_api::{Error, ErrorKind, Result};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{Ended, Slot, Worker, supervise};
use crate::config::{ConnectorConfig, SinkConnectorConfig};
use crate::convert::{Converters, strip_prefix};
use crate::errors::{DeadLetterQueue, OperationLog, Patience, Tolerance};
use crate::herder::State;
use crate::herder::machine::Event;
use crate::offsets::OffsetWriter;
use crate::sink::{SinkRun, consumer_group, consumer_overrides};
use crate::source::{LazyProducer, SourceRun, TopicCreation};
use crate::task::{Backoff, StateListener, TaskId, Wanted};

/// One start of one task.
struct Start {
    id: TaskId,
    epoch: u64,
    connector: Props,
    config: Props,
    wanted: watch::Receiver<Wanted>,
}

/// Between two reports that the same topic is used: topics may be forgotten on request while they are in use.
const TOPIC_REPORTS: Duration = Duration::from_secs(5);

struct Listener {
    worker: Arc<Worker>,
    id: TaskId,
    epoch: u64,
    topics: Mutex<Reported>,
}

/// Topics that a task has reported as used.
#[derive(Default)]
struct Reported {
    /// What [`Worker::forget_topics`] had counted then.
    round: u64,
    /// When each was reported last.
    at: HashMap<String, Instant>,
}

impl Listener {
    fn new(worker: &Arc<Worker>, start: &Start) -> Arc<Self> {
        let (worker, id) = (Arc::clone(worker), start.id.clone());
        Arc::new(Self { worker, id, epoch: start.epoch, topics: Mutex::default() })
    }
}

impl StateListener for Listener {
    fn changed(&self, state: State) {
        self.worker.report(Event::TaskChanged { id: self.id.clone(), epoch: self.epoch, state });
    }

    fn topic_used(&self, topic: &str) {
        let mut topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        let round = self.worker.topic_rounds.load(Ordering::Relaxed);
        if round != topics.round {
            *topics = Reported { round, at: HashMap::new() };
        }
        match topics.at.get_mut(topic) {
            Some(said) if said.elapsed() < TOPIC_REPORTS => return,
            Some(said) => *said = Instant::now(),
            None => drop(topics.at.insert(topic.to_owned(), Instant::now())),
        }
        self.worker.report(Event::TopicUsed { id: self.id.clone(), topic: topic.to_owned() });
    }
}

impl Worker {
    /// Topics that connectors have used were forgotten on request: those still in use are reported with the next record.
    pub(crate) fn forget_topics(&self) {
        self.topic_rounds.fetch_add(1, Ordering::Relaxed);
    }

    /// Starts a task. It reports what it does, and that it has ended.
    pub fn start_task(self: &Arc<Self>, id: TaskId, epoch: u64, connector: Props, config: Props, wanted: Wanted) {
        let (sender, watching) = watch::channel(wanted);
        let start = Start { id: id.clone(), epoch, connector, config, wanted: watching.clone() };
        let worker = Arc::clone(self);
        self.running().tasks.insert(id.clone(), Slot { epoch, wanted: sender });
        tokio::spawn(async move {
            let kill_after = worker.kill_after();
            let work = tokio::spawn(Arc::clone(&worker).run_task(start));
            let error = match supervise(work, watching, kill_after).await {
                Ok(ended) => ended.err(),
                Err(Ended::Panicked) => Some(Error::internal("the task panicked; this is a bug")),
                Err(Ended::Killed) => {
                    Some(Error::new(ErrorKind::Timeout, "the task did not stop in time and was abandoned"))
                }
            };
            worker.task_ended(id.clone(), epoch, error.map(|error| error.with("task", id)).as_ref());
        });
    }

    /// Puts a task together and runs it. Retriable errors while it is put together (a log that is out of reach) are tried again.
    async fn run_task(self: Arc<Self>, start: Start) -> Result<()> {
        let providers = self.parts.plugins.providers();
        let connector = providers.resolve_connector(&start.connector)?.props;
        let start = Start { config: providers.resolve(&start.config)?.props, connector, ..start };
        let mut backoff = Backoff::default();
        loop {
            if *start.wanted.borrow() == Wanted::Stopped {
                return Ok(());
            }
            let class = start.connector.get("connector.class").map_or("", String::as_str);
            let plugin = self.plugin(class)?;
            let built = match plugin.task() {
                Task::Sink(task) => self.build_sink(&start, task, plugin.task_class()).await.map(Built::Sink),
                Task::Source(task) => self.build_source(&start, task).await.map(Built::Source),
            };
            match built {
                Ok(Built::Sink(run)) => return run.run().await,
                Ok(Built::Source(run)) => return run.run().await,
                Err(error) if error.is_retriable() => {
                    tracing::warn!(task = %start.id, %error, "the task cannot start yet, trying again");
                    backoff.wait().await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn build_sink(self: &Arc<Self>, start: &Start, task: Box<dyn SinkTask>, class: &str) -> Result<Box<SinkRun>> {
        let config = SinkConnectorConfig::parse(&start.connector)?;
        let log = &self.parts.log;
        let group = consumer_group(&start.id.connector, &start.connector, &self.parts.props);
        let mut options =
            ConsumerOptions::new(format!("connector-consumer-{}", start.id), &group, subscription(&start.config)?);
        options.max_records = self.parts.config.task_batch_records;
        options.buffer_bytes = self.parts.config.task_buffer_bytes;
        options.overrides = consumer_overrides(&start.connector, &group, self.parts.kafka);
        let cancel = CancellationToken::new();
        let tolerance = Tolerance::new(&config.common, start.id.clone());
        let overrides = strip_prefix(&start.connector, "producer.override");
        Ok(Box::new(SinkRun {
            id: start.id.clone(),
            task,
            class: class.into(),
            props: start.config.clone(),
            context: SinkContext {
                connector: Arc::clone(&start.id.connector),
                task: start.id.task,
                group,
                services: self.services(cancel.clone()),
            },
            converters: self.converters(start, Patience::new(tolerance.retry(), cancel))?,
            chain: self.parts.plugins.components.chain(&start.connector)?,
            tolerance,
            dlq: DeadLetterQueue::open(&config, &start.id, overrides.clone(), &**log).await?,
            oplog: OperationLog::open(&config, &start.id, overrides, &**log).await?,
            consumer: log.consumer(options).await?,
            internal_topics: names(start.config.get(super::connectors::INTERNAL_TOPICS)),
            metrics: self.metrics.task(&start.id.connector, start.id.task),
            commit_interval: self.commit_interval(),
            drain_deadline: self.drain_deadline(),
            wanted: start.wanted.clone(),
            listener: Listener::new(self, start),
        }))
    }

    fn converters(&self, start: &Start, patience: Patience) -> Result<Converters> {
        Ok(Converters::new(&self.parts.plugins, &start.connector, &self.parts.props)?.patient(patience))
    }

    async fn build_source(self: &Arc<Self>, start: &Start, task: Box<dyn SourceTask>) -> Result<Box<SourceRun>> {
        let config = ConnectorConfig::parse(&start.connector)?;
        let log = &self.parts.log;
        let exactly_once = self.exactly_once();
        let own = start.connector.get("offsets.storage.topic").map(String::as_str);
        let offsets = self.offsets.of_connector(&start.id.connector, own).await?;
        if let Some(fencing) = self.fencing.get().filter(|_| exactly_once) {
            fencing.fence(&start.id.connector).await?;
        }
        let producer = ProducerOptions {
            client_id: format!("connector-producer-{}", start.id),
            transactional_id: exactly_once
                .then(|| transactional_id(&self.parts.config.group_id, &start.id.connector, start.id.task)),
            overrides: strip_prefix(&start.connector, "producer.override"),
        };
        let producer: Arc<dyn Producer> = if exactly_once {
            // Opening it fences older instances, so what they left open is settled before anything is read.
            Arc::from(log.producer(producer).await?)
        } else {
            Arc::new(LazyProducer::new(Arc::clone(log), producer))
        };
        let cancel = CancellationToken::new();
        let tolerance = Tolerance::new(&config, start.id.clone());
        Ok(Box::new(SourceRun {
            id: start.id.clone(),
            task,
            props: start.config.clone(),
            context: SourceContext {
                connector: Arc::clone(&start.id.connector),
                task: start.id.task,
                offsets: offsets.reader().await?,
                exactly_once,
                services: self.services(cancel.clone()),
            },
            converters: self.converters(start, Patience::new(tolerance.retry(), cancel))?,
            chain: self.parts.plugins.components.chain(&start.connector)?,
            offsets: OffsetWriter::new(offsets, Arc::clone(&producer)),
            producer,
            topics: TopicCreation::new(&start.connector)?,
            tolerance,
            metrics: self.metrics.task(&start.id.connector, start.id.task),
            flush_interval: self.commit_interval(),
            drain_deadline: self.drain_deadline(),
            wanted: start.wanted.clone(),
            listener: Listener::new(self, start),
        }))
    }
}

enum Built {
    Sink(Box<SinkRun>),
    Source(Box<SourceRun>),
}

fn subscription(config: &Props) -> Result<Subscription> {
    let pattern = config.get("topics.regex").map(|pattern| pattern.trim()).filter(|pattern| !pattern.is_empty());
    if let Some(pattern) = pattern {
        return Ok(Subscription::Pattern(pattern.to_owned()));
    }
    let topics = config.get("topics").map(String::as_str).unwrap_or_default();
    let topics: Vec<String> =
        topics.split(',').map(str::trim).filter(|topic| !topic.is_empty()).map(str::to_owned).collect();
    if topics.is_empty() {
        return Err(Error::config("Must configure one of topics or topics.regex"));
    }
    Ok(Subscription::Topics(topics))
}

fn names(list: Option<&String>) -> Vec<String> {
    let list = list.map(String::as_str).unwrap_or_default();
    list.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

impl Worker {
    /// Fences the producers of a source connector's first `tasks` tasks, wherever they run (KIP-618).
    ///
    /// # Errors
    /// When the log refuses or is out of reach.
    pub async fn fence(&self, connector: &str, tasks: usize) -> Result<()> {
        for task in 0..tasks {
            let id = transactional_id(&self.parts.config.group_id, connector, task);
            let options = ProducerOptions {
                client_id: format!("connector-fencer-{connector}-{task}"),
                transactional_id: Some(id),
                overrides: Props::new(),
            };
            // Opening it is what fences the one before.
            drop(self.parts.log.producer(options).await?);
        }
        Ok(())
    }
}

fn transactional_id(group: &str, connector: &str, task: impl std::fmt::Display) -> String {
    format!("{group}-{connector}-{task}")
}
