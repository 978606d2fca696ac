//! A producer's settings.

use millrace_api::config::Props;
use millrace_api::error::Result;
use millrace_api::log::ProducerOptions;
use rdkafka::ClientConfig;

use crate::allow::Role;
use crate::client::{self, ClientProps};

/// Kafka's own default.
const TRANSACTION_TIMEOUT_MS: i64 = 60_000;

/// Checks a worker's settings.
pub(crate) fn check(worker: &ClientProps) -> Result<()> {
    client::configure(Role::Producer, "", worker, &Props::new(), &[], &[]).map(drop)
}

/// Derives everything from the options.
pub(super) fn config(bootstrap: &str, worker: &ClientProps, options: &ProducerOptions) -> Result<ClientConfig> {
    // Kafka's defaults where librdkafka has others.
    let defaults = [
        ("client.id", options.client_id.clone()),
        ("linger.ms", "5".to_owned()),
        // As Kafka Connect sets it: an outage of Kafka is waited out.
        ("delivery.timeout.ms", i32::MAX.to_string()),
        ("message.max.bytes", (1 << 20).to_string()),
        ("queue.buffering.max.kbytes", (32 << 10).to_string()),
        ("max.in.flight.requests.per.connection", "5".to_owned()),
    ];
    let mut fixed = vec![
        ("enable.idempotence", "true".to_owned()),
        ("acks", "all".to_owned()),
        ("partitioner", "murmur2_random".to_owned()),
        // The bytes above are the bound; this one only keeps floods of empty records from costing more in bookkeeping.
        ("queue.buffering.max.messages", "250000".to_owned()),
    ];
    if let Some(id) = &options.transactional_id {
        fixed.push(("transactional.id", id.clone()));
    }
    let configured = client::configure(Role::Producer, bootstrap, worker, &options.overrides, &defaults, &fixed)?;
    let mut native = configured.native;
    make_room(&mut native);
    if options.transactional_id.is_some() {
        cap_delivery(&mut native);
    }
    Ok(native)
}

fn number(native: &ClientConfig, key: &str) -> Option<i64> {
    native.get(key).and_then(|value| value.parse().ok())
}

/// A record larger than the whole queue would wait for room forever.
fn make_room(native: &mut ClientConfig) {
    let needed = number(native, "message.max.bytes").unwrap_or_default() / 1024 * 2;
    if number(native, "queue.buffering.max.kbytes").is_none_or(|room| room < needed) {
        native.set("queue.buffering.max.kbytes", needed.to_string());
    }
}

/// librdkafka wants records to be delivered within the transaction's own time.
fn cap_delivery(native: &mut ClientConfig) {
    let transaction = number(native, "transaction.timeout.ms").unwrap_or(TRANSACTION_TIMEOUT_MS);
    if number(native, "delivery.timeout.ms").is_none_or(|delivery| delivery == 0 || delivery > transaction) {
        native.set("delivery.timeout.ms", transaction.to_string());
    }
}
