//! Small checks that several parts share.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use millrace_api::config::Props;
use millrace_api::{Error, Result};

/// Locks; what a panicking thread left behind is still sound, because critical sections here do not stop half way.
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Milliseconds since the epoch.
pub(crate) fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Names of groups and transactional ids end up in keys.
pub(crate) fn name(key: &str, name: &str) -> Result<()> {
    match name.len() {
        0 => Err(Error::config(format!("Invalid value for configuration {key}: it must not be empty"))),
        1..=32_767 => Ok(()),
        _ => Err(Error::config(format!("Invalid value for configuration {key}: it is longer than 32767 bytes"))),
    }
}

/// Client settings that tune Kafka's clients: the embedded log takes them so that a connector's configuration works on both, and
/// follows those that mean something to it (`auto.offset.reset`, `isolation.level`, `max.poll.interval.ms`).
const CLIENT_SETTINGS: [&str; 47] = [
    "acks",
    "allow.auto.create.topics",
    "auto.offset.reset",
    "batch.size",
    "buffer.memory",
    "check.crcs",
    "client.dns.lookup",
    "client.id",
    "client.rack",
    "compression.gzip.level",
    "compression.lz4.level",
    "compression.type",
    "compression.zstd.level",
    "connections.max.idle.ms",
    "default.api.timeout.ms",
    "delivery.timeout.ms",
    "enable.idempotence",
    "exclude.internal.topics",
    "fetch.max.bytes",
    "fetch.max.wait.ms",
    "fetch.min.bytes",
    "group.instance.id",
    "group.protocol",
    "heartbeat.interval.ms",
    "isolation.level",
    "linger.ms",
    "max.block.ms",
    "max.in.flight.requests.per.connection",
    "max.partition.fetch.bytes",
    "max.poll.interval.ms",
    "max.poll.records",
    "max.request.size",
    "metadata.max.age.ms",
    "metadata.max.idle.ms",
    "metrics.num.samples",
    "metrics.recording.level",
    "partition.assignment.strategy",
    "receive.buffer.bytes",
    "reconnect.backoff.max.ms",
    "reconnect.backoff.ms",
    "request.timeout.ms",
    "retries",
    "retry.backoff.max.ms",
    "retry.backoff.ms",
    "send.buffer.bytes",
    "session.timeout.ms",
    "transaction.timeout.ms",
];

/// Refuses client settings that are unknown, or that ask for something the embedded log cannot do.
pub(crate) fn overrides(overrides: &Props) -> Result<()> {
    for (key, value) in overrides {
        if !CLIENT_SETTINGS.contains(&key.as_str()) {
            return Err(Error::config(format!(
                "Invalid configuration {key}: the embedded log does not know this client setting. Remove it, or set \
                 bootstrap.servers in the worker's configuration to use Kafka"
            )));
        }
        let allowed: &[&str] = match key.as_str() {
            "auto.offset.reset" => &["earliest", "latest", "none"],
            "isolation.level" => &["read_committed", "read_uncommitted"],
            "max.poll.interval.ms" if value.parse::<u32>().is_err() => &["a number of milliseconds"],
            _ => continue,
        };
        if !allowed.contains(&value.as_str()) {
            let allowed = allowed.join(", ");
            return Err(Error::config(format!("Invalid value {value} for configuration {key}: allowed is {allowed}")));
        }
    }
    Ok(())
}
