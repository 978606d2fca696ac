//! A consumer's settings.

use std::time::Duration;

use millrace_api::config::Props;
use millrace_api::error::{Error, Result};
use millrace_api::log::{ConsumerOptions, Subscription};
use rdkafka::ClientConfig;

use crate::allow::{Role, Settings};
use crate::client::{self, ClientProps};

/// Kafka's own defaults, and the least that brokers accept by default.
const MAX_POLL_INTERVAL_MS: u64 = 300_000;
const SESSION_TIMEOUT_MS: u64 = 45_000;
const MIN_SESSION_TIMEOUT_MS: u64 = 6_000;
/// Topics of Kafka itself, which no pattern matches (`exclude.internal.topics`).
const INTERNAL_TOPICS: &str = "^__consumer_offsets$,^__transaction_state$,^__share_group_state$";

/// How to open a consumer.
pub(super) struct Plan {
    pub(super) native: ClientConfig,
    pub(super) thread: ThreadPlan,
    /// Bytes to hold for the task; librdkafka holds as many again.
    pub(super) buffered: usize,
}

/// What the thread needs to know.
pub(super) struct ThreadPlan {
    /// Most records of a batch.
    pub(super) max_records: usize,
    /// How long a rebalance may wait for the task.
    pub(super) revoke_wait: Duration,
    /// Topics that were asked for by name.
    pub(super) topics: Vec<String>,
}

/// Checks a worker's settings.
pub(crate) fn check(worker: &ClientProps) -> Result<()> {
    client::configure(Role::Consumer, "", worker, &Props::new(), &[], &[]).map(drop)
}

/// Derives everything from the options.
///
/// Partitions are shared out by the cooperative sticky assignor: a rebalance takes away only what others get. It is among the two
/// that Kafka Connect's consumers offer by default, so both can be members of one group.
pub(super) fn plan(bootstrap: &str, worker: &ClientProps, options: &ConsumerOptions) -> Result<Plan> {
    // A third of the budget is librdkafka's queue and a third is batches that wait for the task: when the one is emptied into the
    // other at once, librdkafka fills up again.
    let third = (options.buffer_bytes / 3).max(1);
    let mut defaults = vec![
        ("client.id", options.client_id.clone()),
        ("partition.assignment.strategy", "cooperative-sticky".to_owned()),
        ("isolation.level", if options.read_committed { "read_committed" } else { "read_uncommitted" }.to_owned()),
        ("auto.offset.reset", if options.from_latest { "latest" } else { "earliest" }.to_owned()),
        ("max.partition.fetch.bytes", (third / 2).clamp(64 << 10, 1 << 20).to_string()),
        ("fetch.max.bytes", third.clamp(1 << 20, 50 << 20).to_string()),
    ];
    let mut fixed = vec![
        ("enable.auto.commit", "false".to_owned()),
        ("enable.auto.offset.store", "false".to_owned()),
        ("enable.partition.eof", options.end_events.to_string()),
        ("queued.max.messages.kbytes", (third >> 10).clamp(1, 2_097_151).to_string()),
        // librdkafka counts neither its own 300 bytes per record nor anything else beside the bytes of the records.
        ("queued.min.messages", (third / 256).clamp(1_000, 1_000_000).to_string()),
        // How long a fetch is put off when the queue is full. The default of a second starves a fast task.
        ("fetch.queue.backoff.ms", "2".to_owned()),
    ];
    if matches!(options.subscription, Subscription::Pattern(_)) {
        // New topics are found when metadata is refreshed.
        defaults.push(("topic.metadata.refresh.interval.ms", "30000".to_owned()));
        fixed.push(("topic.blacklist", INTERNAL_TOPICS.to_owned()));
    }
    let configured = client::configure(Role::Consumer, bootstrap, worker, &options.overrides, &defaults, &fixed)?;
    let group = group(options, &configured.own)?;
    let mut native = configured.native;
    native.set("group.id", group);
    make_room(&mut native);
    let poll_interval = reconcile_timeouts(&mut native);
    let max_records = configured.own.own("max.poll.records").and_then(|value| value.parse().ok());
    let thread = ThreadPlan {
        max_records: max_records.unwrap_or(options.max_records).max(1),
        revoke_wait: Duration::from_millis(poll_interval / 5 * 4),
        topics: match &options.subscription {
            Subscription::Topics(topics) => topics.clone(),
            Subscription::Pattern(_) | Subscription::Assign(_) => Vec::new(),
        },
    };
    Ok(Plan { native, thread, buffered: third })
}

fn number(native: &ClientConfig, key: &str) -> Option<u64> {
    native.get(key).and_then(|value| value.parse().ok())
}

/// A fetch must fit into the largest response that is accepted.
fn make_room(native: &mut ClientConfig) {
    let fetch = number(native, "fetch.max.bytes").unwrap_or_default();
    native.set("receive.message.max.bytes", (fetch + 512).max(100_000_000).to_string());
}

/// librdkafka does not let a member be away for less than its session lasts; Kafka does. Returns how long it may be away.
fn reconcile_timeouts(native: &mut ClientConfig) -> u64 {
    let session = number(native, "session.timeout.ms").unwrap_or(SESSION_TIMEOUT_MS);
    let away = number(native, "max.poll.interval.ms").unwrap_or(MAX_POLL_INTERVAL_MS);
    let session = session.min(away.max(MIN_SESSION_TIMEOUT_MS));
    let away = away.max(session);
    native.set("session.timeout.ms", session.to_string()).set("max.poll.interval.ms", away.to_string());
    away
}

/// The group: the one of the settings (`consumer.override.group.id`) before the connector's own. librdkafka wants one even to
/// read without; nothing is ever committed to that.
fn group(options: &ConsumerOptions, settings: &Settings) -> Result<String> {
    if matches!(options.subscription, Subscription::Assign(_)) {
        return Ok(format!("millrace-unused-{}", uuid::Uuid::new_v4()));
    }
    let group = settings.own("group.id").unwrap_or(&options.group);
    if group.is_empty() || group.contains(|c: char| c.is_control()) {
        return Err(Error::config("Invalid value for configuration group.id: use one or more printable characters"));
    }
    Ok(group.to_owned())
}
