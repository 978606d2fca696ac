//! Configuring and logging, the same for every client.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use millrace_api::config::Props;
use millrace_api::error::{Error, Result};
use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use tokio::sync::{Semaphore, oneshot};

use crate::allow::{Role, Settings, of_client, translate};
use crate::error;
use crate::security::ALLOWED_URLS;

/// Kafka client settings of a worker by their Kafka names, prefixes (`producer.`, `consumer.`, `admin.`) already taken off. They may
/// name files, and connectors' may not.
#[derive(Debug, Clone, Default)]
pub struct ClientProps {
    /// For producers.
    pub producer: Props,
    /// For consumers.
    pub consumer: Props,
    /// For administrative requests.
    pub admin: Props,
}

impl ClientProps {
    /// What a worker's configuration says about the clients of connectors: `producer.*`, `consumer.*`, `admin.*`.
    #[must_use]
    pub fn of_connectors(worker: &Props) -> Self {
        let under = |prefix: &str| {
            let mut props: Props = worker
                .iter()
                .filter_map(|(key, value)| Some((key.strip_prefix(prefix)?.to_owned(), value.clone())))
                .collect();
            // Which addresses may be asked for tokens is said once for all clients.
            if let Some(urls) = worker.get(ALLOWED_URLS) {
                props.insert(ALLOWED_URLS.to_owned(), urls.clone());
            }
            props
        };
        Self { producer: under("producer."), consumer: under("consumer."), admin: under("admin.") }
    }

    /// What it says about the worker's own clients, of its group and its internal topics: the same names without a prefix, beside
    /// everything else that is no client's.
    #[must_use]
    pub fn of_worker(worker: &Props) -> Self {
        let of = |role| {
            worker
                .iter()
                .filter(|(key, _)| of_client(role, key))
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect()
        };
        Self { producer: of(Role::Producer), consumer: of(Role::Consumer), admin: of(Role::Admin) }
    }

    fn of(&self, role: Role) -> &Props {
        match role {
            Role::Producer => &self.producer,
            Role::Consumer => &self.consumer,
            Role::Admin => &self.admin,
        }
    }
}

/// A client's settings: librdkafka's, and those that Millrace acts upon by itself.
pub(crate) struct Configured {
    pub(crate) native: ClientConfig,
    pub(crate) own: Settings,
}

/// Settings of one client: defaults, then the worker's, then the connector's, then what cannot be changed.
pub(crate) fn configure(
    role: Role,
    bootstrap: &str,
    worker: &ClientProps,
    overrides: &Props,
    defaults: &[(&str, String)],
    fixed: &[(&str, String)],
) -> Result<Configured> {
    let settings = translate(role, worker.of(role), overrides)?;
    let mut native = ClientConfig::new();
    // Brokers seldom ask for what clients measure (KIP-714), and the histograms for it are half of what an idle consumer occupies.
    native.set("enable.metrics.push", "false");
    for (key, value) in defaults {
        native.set(*key, value);
    }
    for (key, value) in &settings.native {
        native.set(*key, value);
    }
    for (key, value) in fixed {
        native.set(*key, value);
    }
    for (key, value) in settings.security.native() {
        native.set(key, value);
    }
    native.set("bootstrap.servers", bootstrap);
    // Brokers close idle connections as a matter of course.
    native.set("log.connection.close", "false");
    native.set_log_level(RDKafkaLogLevel::Info);
    Ok(Configured { native, own: settings })
}

/// librdkafka's own words, as log events.
pub(crate) fn log(level: RDKafkaLogLevel, facility: &str, message: &str) {
    match level {
        RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
            tracing::error!(target: "librdkafka", facility, "{message}");
        }
        // Lost connections are errors to librdkafka, and it repairs them.
        RDKafkaLogLevel::Error | RDKafkaLogLevel::Warning => {
            tracing::warn!(target: "librdkafka", facility, "{message}");
        }
        RDKafkaLogLevel::Notice => tracing::info!(target: "librdkafka", facility, "{message}"),
        RDKafkaLogLevel::Info | RDKafkaLogLevel::Debug => tracing::debug!(target: "librdkafka", facility, "{message}"),
    }
}

/// An error of the whole client, as a log event.
pub(crate) fn log_error(error: &KafkaError, reason: &str) {
    tracing::warn!(target: "librdkafka", %error, "{reason}");
}

/// Makes a client, which takes milliseconds and starts threads: beside the runtime, and not more at a time than there are processors,
/// so that a worker that starts hundreds of tasks goes on answering. It must not wait for brokers.
pub(crate) async fn create<T: Send + 'static>(open: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    static CREATING: LazyLock<Semaphore> =
        LazyLock::new(|| Semaphore::new(std::thread::available_parallelism().map_or(1, usize::from)));
    let _turn = CREATING.acquire().await.map_err(|_| Error::internal("Kafka clients are no longer made"))?;
    let opened = tokio::task::spawn_blocking(open).await;
    opened.unwrap_or_else(|_| Err(Error::internal("making a Kafka client panicked; this is a bug")))
}

/// Makes a blocking call on a thread of its own; `None` when it does not come back in time. Not on one of the runtime's blocking
/// threads: a runtime that shuts down waits for those, and librdkafka does not always keep its deadlines.
pub(crate) async fn call<T: Send + 'static>(
    deadline: Duration,
    native: impl FnOnce() -> T + Send + 'static,
) -> Result<Option<T>> {
    let (reply, answer) = oneshot::channel();
    let spawned = std::thread::Builder::new().name("kafka-call".to_owned()).spawn(move || {
        let _ = reply.send(native());
    });
    spawned.map_err(error::thread)?;
    match tokio::time::timeout(deadline, answer).await {
        Ok(answer) => {
            answer.map(Some).map_err(|_| Error::internal("a call to the Kafka client ended without an answer"))
        }
        Err(_) => Ok(None),
    }
}

/// Serves a client's events on a thread until the returned guard is dropped. The thread holds a share of the client, so that the
/// client is destroyed there and not on a thread that must not wait.
pub(crate) fn serve<T: Send + Sync + 'static>(
    name: &str,
    client: &Arc<T>,
    serve: impl Fn(&T, Duration) + Send + 'static,
) -> Result<Serving> {
    let stop = Arc::new(AtomicBool::new(false));
    let (client, stopped) = (Arc::clone(client), Arc::clone(&stop));
    let spawned = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
        while !stopped.load(Ordering::Relaxed) {
            serve(&client, Duration::from_millis(100));
        }
    });
    spawned.map_err(error::thread)?;
    Ok(Serving(stop))
}

/// Ends a client's thread when dropped.
pub(crate) struct Serving(Arc<AtomicBool>);

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn props(pairs: &[(&str, &str)]) -> Props {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_workers_clients_and_those_of_connectors_are_told_apart() {
        let worker = props(&[
            ("bootstrap.servers", "h:1"),
            ("group.id", "the workers"),
            ("client.id", "c"),
            ("key.converter", "x"),
            ("plugin.path", "/p"),
            ("security.protocol", "SSL"),
            ("session.timeout.ms", "10000"),
            ("ssl.truststore.location", "/t"),
            ("listeners.https.ssl.truststore.location", "/l"),
            ("producer.linger.ms", "7"),
            ("consumer.security.protocol", "PLAINTEXT"),
            ("producer.override.linger.ms", "not here"),
            (ALLOWED_URLS, "https://idp"),
        ]);
        let connectors = ClientProps::of_connectors(&worker);
        assert_eq!(
            connectors.producer,
            props(&[("linger.ms", "7"), ("override.linger.ms", "not here"), (ALLOWED_URLS, "https://idp")])
        );
        assert_eq!(connectors.consumer, props(&[("security.protocol", "PLAINTEXT"), (ALLOWED_URLS, "https://idp")]));
        assert_eq!(connectors.admin, props(&[(ALLOWED_URLS, "https://idp")]));
        let own = ClientProps::of_worker(&worker);
        let security = [("security.protocol", "SSL"), ("ssl.truststore.location", "/t"), (ALLOWED_URLS, "https://idp")];
        for props_of_role in [&own.producer, &own.admin] {
            assert_eq!(*props_of_role, props(&security));
        }
        assert_eq!(own.consumer, own.producer);
    }
}
