//! Opening a herder: its topics, its loop, its way into the group.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use millrace_api::Result;
use millrace_api::group::Groups;
use tokio::sync::mpsc;

use super::WorkerHerder;
use super::driver::{Driver, Shared, StatusWriter};
use super::handle::FencingByLeader;
use super::machine::{Catalogue, Machine};
use super::settings::HerderSettings;
use crate::group::solo::Solo;
use crate::loggers::Loggers;
use crate::peers::Peers;
use crate::plugins::Plugins;
use crate::storage::topic::{CompactedTopic, Deliveries, InternalTopic, MemoryTopic, Purpose, TopicOptions};
use crate::worker::{Worker, WorkerParts};

/// What a worker of a group needs beside [`WorkerParts`].
pub struct Cluster {
    /// Where its REST API is reached by other workers: `http://host:port`, without a slash at the end.
    pub url: String,
    /// The coordinator.
    pub groups: Arc<dyn Groups>,
    /// The way to other workers.
    pub peers: Arc<dyn Peers>,
    /// Loggers of this worker, for levels that are set for the whole group.
    pub loggers: Option<Arc<dyn Loggers>>,
}

type Opened = (Arc<dyn InternalTopic>, Deliveries);

struct Topics {
    config: Opened,
    status: Opened,
    offsets: TopicOptions,
}

impl Catalogue for Plugins {
    fn describe(&self, class: &str) -> Option<(&'static str, String)> {
        let plugin = self.connector(class).ok()?;
        Some((plugin.kind().name(), plugin.version().to_owned()))
    }

    fn classes(&self) -> BTreeSet<String> {
        self.list(true).into_iter().map(|plugin| plugin.class).collect()
    }
}

impl WorkerHerder {
    /// A worker that is alone. `keep_configs`: connectors are written down in the log, in `config.storage.topic`, and start again with
    /// the worker; otherwise they go with the process, as with Kafka Connect's standalone worker. `worker_id` is host and port that
    /// others reach it under.
    ///
    /// # Errors
    /// When a setting is wrong or the log refuses.
    pub async fn start(parts: WorkerParts, worker_id: String, keep_configs: bool) -> Result<Arc<Self>> {
        let config = if keep_configs {
            opened(&parts, TopicOptions::new(Purpose::Config, &parts.config.config_storage_topic)).await?
        } else {
            memory()
        };
        let offsets = own_offsets_topic(&parts);
        let topics = Topics { config, status: memory(), offsets };
        let url = format!("http://{worker_id}");
        Self::open(parts, worker_id, url, topics, Arc::new(Solo), None, None)
    }

    /// A worker of a group. Returns when the configuration and status topics are open; it joins by itself then, however long the
    /// coordinator takes.
    ///
    /// # Errors
    /// When a setting is wrong or the log refuses for good. Waits while the log is out of reach.
    pub async fn distributed(parts: WorkerParts, worker_id: String, cluster: Cluster) -> Result<Arc<Self>> {
        let config = opened(&parts, TopicOptions::of_worker(Purpose::Config, &parts.props)?).await?;
        let status = opened(&parts, TopicOptions::of_worker(Purpose::Status, &parts.props)?).await?;
        let offsets = TopicOptions::of_worker(Purpose::Offsets, &parts.props)?;
        let topics = Topics { config, status, offsets };
        let Cluster { url, groups, peers, loggers } = cluster;
        Self::open(parts, worker_id, url, topics, groups, Some(peers), loggers)
    }

    fn open(
        parts: WorkerParts,
        worker_id: String,
        url: String,
        topics: Topics,
        groups: Arc<dyn Groups>,
        peers: Option<Arc<dyn Peers>>,
        loggers: Option<Arc<dyn Loggers>>,
    ) -> Result<Arc<Self>> {
        let mut settings = HerderSettings::of_worker(&parts.props)?;
        if peers.is_none() {
            // Who is alone needs no keys for requests among workers.
            "compatible".clone_into(&mut settings.connect_protocol);
        }
        let options = settings.options(worker_id.clone(), url, &parts.config.group)?;
        let group = settings.group(&format!("connect-{worker_id}"));
        let exactly_once = parts.config.exactly_once_source_support.as_deref().unwrap_or_default();
        let fences = peers.is_some() && !matches!(exactly_once.to_ascii_lowercase().as_str(), "" | "disabled");
        let by_load = parts.config.group.task_placement == "load";
        let catalogue: Arc<dyn Catalogue> = Arc::clone(&parts.plugins) as Arc<_>;
        let (reports, events) = mpsc::unbounded_channel();
        let (commands, receiver) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared::default());
        let worker = Worker::new(parts, worker_id.clone(), topics.offsets.clone(), reports.clone());
        let driver = Driver {
            machine: Machine::new(options, catalogue),
            worker: Arc::clone(&worker),
            config_topic: Arc::clone(&topics.config.0),
            config: topics.config.1,
            status: topics.status.1,
            status_writer: StatusWriter::start(topics.status.0),
            groups,
            group,
            peers: peers.clone(),
            loggers,
            by_load,
            fencing: fences.then(|| format!("connect-cluster-{}", settings.group_id)),
            events,
            reports,
            commands: receiver,
            shared: Arc::clone(&shared),
        };
        let herder = Arc::new(Self {
            commands,
            worker,
            config_topic: topics.config.0,
            shared,
            offsets_topic: topics.offsets,
            worker_id,
            ready: AtomicBool::new(false),
            peers,
            fencing: tokio::sync::Mutex::default(),
        });
        if herder.peers.is_some() {
            herder.worker.set_fencing(Box::new(FencingByLeader(Arc::downgrade(&herder))));
        }
        tokio::spawn(driver.run());
        Ok(herder)
    }
}

async fn opened(parts: &WorkerParts, options: TopicOptions) -> Result<Opened> {
    let (topic, deliveries) = CompactedTopic::open(Arc::clone(&parts.internal), options).await?;
    Ok((Arc::new(topic), deliveries))
}

fn memory() -> Opened {
    let (topic, deliveries) = MemoryTopic::new().open();
    (Arc::new(topic), deliveries)
}

/// The offsets topic of a worker that is alone. Replicas are the log's default where nothing is said.
fn own_offsets_topic(parts: &WorkerParts) -> TopicOptions {
    let fallback = TopicOptions::new(Purpose::Offsets, &parts.config.offset_storage_topic);
    let said = |setting: &str| parts.props.contains_key(&format!("offset.storage.{setting}"));
    if !said("topic") {
        return fallback;
    }
    match TopicOptions::of_worker(Purpose::Offsets, &parts.props) {
        Ok(options) if said("replication.factor") => options,
        Ok(options) => TopicOptions { replication: None, ..options },
        Err(error) => {
            tracing::warn!(%error, "the offsets topic is created with default settings");
            fallback
        }
    }
}
