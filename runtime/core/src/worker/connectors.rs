//! Connectors: started, asked for task configurations, kept until they are stopped.

use std::sync::Arc;
use std::time::Duration;

use millrace_api::config::Props;
use millrace_api::connector::{ConnectorType, Services};
use millrace_api::{Error, ErrorKind, Result};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{Ended, Slot, Worker, supervise};
use crate::herder::machine::Event;
use crate::task::Wanted;

/// Key of a task's configuration: topics that the connector made for itself. Their records reach it as bytes, past converters and
/// transformations.
pub(super) const INTERNAL_TOPICS: &str = "millrace.internal.topics";

/// Every call into a connector has a deadline; a start may have to reach the other side.
const START_DEADLINE: Duration = Duration::from_mins(1);

impl Worker {
    /// Starts a connector. It reports the configurations of its tasks, and later that it has ended.
    pub fn start_connector(self: &Arc<Self>, name: String, epoch: u64, config: Props) {
        let (wanted, watching) = watch::channel(Wanted::Running);
        let worker = Arc::clone(self);
        self.running().connectors.insert(name.clone(), Slot { epoch, wanted });
        tokio::spawn(async move {
            let kill_after = worker.kill_after();
            let work = tokio::spawn(Arc::clone(&worker).run_connector(name.clone(), epoch, config, watching.clone()));
            let error = match supervise(work, watching, kill_after).await {
                Ok(ended) => ended.err(),
                Err(Ended::Panicked) => Some(Error::internal("the connector panicked; this is a bug")),
                Err(Ended::Killed) => {
                    Some(Error::new(ErrorKind::Timeout, "the connector did not stop in time and was abandoned"))
                }
            };
            worker.connector_ended(name.clone(), epoch, error.map(|error| error.with("connector", name)).as_ref());
        });
    }

    async fn run_connector(
        self: Arc<Self>,
        name: String,
        epoch: u64,
        config: Props,
        watching: watch::Receiver<Wanted>,
    ) -> Result<()> {
        let cancel = CancellationToken::new();
        let plugin = self.plugin(config.get("connector.class").map_or("", String::as_str))?;
        let resolved = self.parts.plugins.providers().resolve_connector(&config)?;
        let mut connector = plugin.connector();
        let starting = async {
            connector.start(self.services(cancel.clone()), &resolved.props).await?;
            let max = resolved.props.get("tasks.max").and_then(|n| n.trim().parse().ok()).unwrap_or(1);
            let mut tasks = connector.task_configs(max).await?;
            if tasks.len() > max {
                return Err(Error::config(format!(
                    "The connector {name} has generated {} tasks, which is greater than {max}, the maximum number of tasks it is configured to create",
                    tasks.len()
                )));
            }
            for task in &mut tasks {
                task.insert("task.class".to_owned(), plugin.task_class().to_owned());
                if plugin.kind() == ConnectorType::Sink {
                    add_topics(task, &config, &connector.extra_topics());
                }
                resolved.unresolve(task);
            }
            Ok(tasks)
        };
        let starting = tokio::time::timeout(START_DEADLINE, starting);
        let outcome: Result<Vec<Props>> = tokio::select! {
            outcome = starting => outcome
                .unwrap_or_else(|_| Err(Error::new(ErrorKind::Timeout, "the connector did not start within 60 s"))),
            () = stopped(watching.clone()) => Err(Error::new(ErrorKind::Cancelled, "the connector was stopped while it started")),
        };
        let outcome = outcome.map(|tasks| self.report(Event::ConnectorStarted { name, epoch, tasks }));
        if outcome.is_ok() {
            stopped(watching).await;
        }
        cancel.cancel();
        connector.stop().await;
        outcome
    }

    pub(super) fn services(&self, cancel: CancellationToken) -> Services {
        Services {
            log: Arc::clone(&self.parts.log),
            components: Arc::clone(&self.parts.plugins.components),
            stores: Arc::clone(&self.parts.stores),
            cancel,
        }
    }
}

async fn stopped(mut watching: watch::Receiver<Wanted>) {
    while *watching.borrow_and_update() != Wanted::Stopped && watching.changed().await.is_ok() {}
}

/// A sink's tasks consume what its connector says, and the topics it makes itself.
fn add_topics(task: &mut Props, connector: &Props, extra: &[String]) {
    for key in ["topics", "topics.regex"] {
        if let Some(value) = connector.get(key) {
            task.entry(key.to_owned()).or_insert_with(|| value.clone());
        }
    }
    if extra.is_empty() {
        return;
    }
    task.insert(INTERNAL_TOPICS.to_owned(), extra.join(","));
    if let Some(pattern) = task.get_mut("topics.regex").filter(|pattern| !pattern.is_empty()) {
        for topic in extra {
            pattern.push('|');
            pattern.push_str(&regex::escape(topic));
        }
    } else {
        let topics = task.entry("topics".to_owned()).or_default();
        for topic in extra {
            topics.push(',');
            topics.push_str(topic);
        }
    }
}
