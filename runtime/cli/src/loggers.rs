//! Loggers over `tracing`: what is logged can be asked and changed while the worker runs.
//!
//! A logger's name is a target with dots, `millrace_rest.server`; `::` is taken too. So that runbooks of Kafka Connect go on
//! working, the names of its packages are loggers as well: setting one sets the crates that do the same here ([`ALIASES`]).

use std::str::FromStr as _;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::{SystemTime, UNIX_EPOCH};

use millrace_core::loggers::{Level, LoggerLevel, LoggerTable, Loggers};
use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, Filter};

/// Packages of Kafka Connect and of well-known connectors, and what does the same here.
const ALIASES: [(&str, &str); 13] = [
    ("org.apache.kafka.connect.runtime", "millrace_core"),
    ("org.apache.kafka.connect.runtime.rest", "millrace_rest"),
    ("org.apache.kafka.connect.runtime.distributed", "millrace_core.herder"),
    ("org.apache.kafka.connect.storage", "millrace_core.storage"),
    ("org.apache.kafka.connect.json", "millrace_converters"),
    ("org.apache.kafka.connect.transforms", "millrace_wasm"),
    ("org.apache.kafka.connect.file", "millrace_connector_file"),
    ("org.apache.kafka.clients", "millrace_kafka"),
    ("io.confluent.connect.elasticsearch", "millrace_connector_elasticsearch"),
    ("io.confluent.connect.jdbc", "millrace_connector_jdbc"),
    ("io.debezium.connector.jdbc", "millrace_connector_jdbc"),
    ("io.confluent.connect.http", "millrace_connector_http"),
    ("io.aiven.kafka.connect.http", "millrace_connector_http"),
];

static GLOBAL: OnceLock<Arc<TracingLoggers>> = OnceLock::new();

/// The loggers of this process; `None` before logging was set up.
pub(crate) fn global() -> Option<Arc<dyn Loggers>> {
    GLOBAL.get().map(|loggers| Arc::clone(loggers) as Arc<dyn Loggers>)
}

/// The levels by which events are filtered.
#[derive(Debug)]
pub(crate) struct TracingLoggers {
    table: RwLock<LoggerTable>,
}

impl TracingLoggers {
    /// Starts with a filter such as `info,millrace_kafka=debug`. What is not named is logged at the level without a name, else not
    /// at all.
    ///
    /// # Errors
    /// What is wrong with the filter.
    pub(crate) fn new(filter: &str) -> Result<Arc<Self>, String> {
        let targets = Targets::from_str(filter).map_err(|error| error.to_string())?;
        let mut table = LoggerTable::new(level(targets.default_level().unwrap_or(LevelFilter::OFF)));
        for (target, filter) in &targets {
            table.configure(&dotted(target), level(filter));
        }
        for (package, _) in ALIASES {
            table.learn(package);
        }
        Ok(Arc::new(Self { table: RwLock::new(table) }))
    }

    /// Makes these the loggers of the process, if there are none yet.
    pub(crate) fn make_global(self: &Arc<Self>) {
        let _ = GLOBAL.set(Arc::clone(self));
    }

    fn passes(&self, metadata: &Metadata<'_>) -> bool {
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        *metadata.level() <= filter(table.effective(&dotted(metadata.target())))
    }
}

impl Loggers for TracingLoggers {
    fn list(&self) -> Vec<(String, LoggerLevel)> {
        self.table.read().unwrap_or_else(PoisonError::into_inner).list()
    }

    fn get(&self, name: &str) -> Option<LoggerLevel> {
        self.table.read().unwrap_or_else(PoisonError::into_inner).get(&dotted(name))
    }

    fn set(&self, namespace: &str, level: Level) -> Vec<String> {
        let namespace = dotted(namespace);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let now = i64::try_from(now).unwrap_or(i64::MAX);
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        let mut changed = table.set(&namespace, level, now);
        for target in meant(&namespace) {
            changed.extend(table.set(target, level, now));
        }
        // Rebuilding asks this filter, so the lock must be free.
        drop(table);
        tracing::callsite::rebuild_interest_cache();
        changed.sort();
        changed.dedup();
        tracing::info!(namespace, level = level.name(), loggers = changed.len(), "levels of loggers were changed");
        changed
    }
}

/// The filter of the layer that writes the log. Whether an event is logged is decided once and kept until a level changes.
pub(crate) struct SharedFilter(pub(crate) Arc<TracingLoggers>);

impl<S: Subscriber> Filter<S> for SharedFilter {
    fn enabled(&self, metadata: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        self.0.passes(metadata)
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        let Self(loggers) = self;
        loggers.table.write().unwrap_or_else(PoisonError::into_inner).learn(&dotted(metadata.target()));
        if loggers.passes(metadata) { Interest::always() } else { Interest::never() }
    }
}

/// Targets that a package of Java's means: all that do what is below it, or the nearest that does what it is a part of.
fn meant(namespace: &str) -> Vec<&'static str> {
    if namespace.is_empty() {
        return Vec::new();
    }
    let below: Vec<&str> =
        ALIASES.iter().filter(|(package, _)| package.starts_with(namespace)).map(|(_, target)| *target).collect();
    if !below.is_empty() {
        return below;
    }
    let part = |(package, _): &&(&str, &str)| namespace.strip_prefix(package).is_some_and(|rest| rest.starts_with('.'));
    let nearest = ALIASES.iter().filter(part).max_by_key(|(package, _)| package.len());
    nearest.map(|(_, target)| *target).into_iter().collect()
}

fn dotted(target: &str) -> String {
    target.replace("::", ".")
}

/// `tracing` has nothing above ERROR, so FATAL logs nothing.
fn filter(level: Level) -> LevelFilter {
    match level {
        Level::Off | Level::Fatal => LevelFilter::OFF,
        Level::Error => LevelFilter::ERROR,
        Level::Warn => LevelFilter::WARN,
        Level::Info => LevelFilter::INFO,
        Level::Debug => LevelFilter::DEBUG,
        Level::Trace | Level::All => LevelFilter::TRACE,
    }
}

fn level(filter: LevelFilter) -> Level {
    match filter {
        LevelFilter::OFF => Level::Off,
        LevelFilter::ERROR => Level::Error,
        LevelFilter::WARN => Level::Warn,
        LevelFilter::INFO => Level::Info,
        LevelFilter::DEBUG => Level::Debug,
        LevelFilter::TRACE => Level::Trace,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tracing::subscriber::with_default;
    use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};

    use super::*;

    #[derive(Clone, Default)]
    struct Seen(Arc<Mutex<Vec<&'static str>>>);

    impl<S: Subscriber> tracing_subscriber::Layer<S> for Seen {
        fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
            self.0.lock().unwrap().push(event.metadata().target());
        }
    }

    fn log() {
        tracing::debug!(target: "millrace_rest::server", "a");
        tracing::debug!(target: "millrace_kafka", "b");
        tracing::error!(target: "other", "c");
    }

    #[test]
    fn levels_change_what_is_logged_at_once() {
        let loggers = TracingLoggers::new("warn,millrace_kafka=debug").unwrap();
        let seen = Seen::default();
        let subscriber =
            tracing_subscriber::registry().with(seen.clone().with_filter(SharedFilter(Arc::clone(&loggers))));
        with_default(subscriber, || {
            let logged = || {
                log();
                let mut seen = std::mem::take(&mut *seen.0.lock().unwrap());
                // Others may have something to say at the lowest level.
                seen.retain(|target| ["millrace_rest::server", "millrace_kafka", "other"].contains(target));
                seen
            };
            assert_eq!(logged(), ["millrace_kafka", "other"]);
            loggers.set("org.apache.kafka.connect.runtime.rest.RestServer", Level::Debug);
            assert_eq!(logged(), ["millrace_rest::server", "millrace_kafka", "other"]);
            loggers.set("millrace_rest::server", Level::Info);
            loggers.set("millrace_kafka", Level::Fatal);
            assert_eq!(logged(), ["other"]);
            loggers.set("root", Level::Off);
            assert!(logged().is_empty());
            loggers.set("ROOT", Level::All);
            assert_eq!(logged().len(), 3);
            assert!(loggers.get("millrace_rest.server").is_some(), "who has logged is known");
            assert!(loggers.list().iter().any(|(name, _)| name == "other"));
        });
    }

    #[test]
    fn a_package_means_all_that_is_below_it_or_the_nearest_around_it() {
        assert_eq!(meant("org.apache.kafka.connect").len(), 7);
        assert_eq!(meant("org.apache.kafka.connect.runtime.rest.resources"), ["millrace_rest"]);
        assert_eq!(meant("org.apache.kafka.connect.runtime.WorkerSinkTask"), ["millrace_core"]);
        assert_eq!(
            meant("io.confluent.connect.elasticsearch.ElasticsearchSinkConnector"),
            ["millrace_connector_elasticsearch"]
        );
        assert!(meant("millrace_rest").is_empty());
        assert!(meant("com.example").is_empty());
    }

    #[test]
    fn filters_are_read_and_a_wrong_one_is_refused() {
        let loggers = TracingLoggers::new("info,millrace_kafka::consumer=trace").unwrap();
        assert_eq!(loggers.get("root").unwrap().level, Level::Info);
        assert_eq!(loggers.get("millrace_kafka::consumer").unwrap().level, Level::Trace);
        assert_eq!(loggers.get("nope"), None);
        assert!(TracingLoggers::new("millrace=loud").is_err());
    }
}
