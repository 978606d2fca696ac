//! Keys of the workers' group.

use millrace_api::config::Props;
use millrace_api::group::GroupOptions;
use millrace_macros::Config;

use super::WorkerConfig;

/// How workers find and trust each other.
#[derive(Debug, Clone, Config)]
pub struct GroupConfig {
    /// An id string to pass to the server when making requests; by default made of the worker's address.
    #[config(name = "client.id", default = "", importance = "low")]
    pub client_id: String,

    /// The timeout used to detect worker failures, in milliseconds. The broker removes a worker without a heartbeat for this long.
    #[config(name = "session.timeout.ms", default = "10000", importance = "high")]
    pub session_timeout_ms: i32,

    /// The expected time between heartbeats to the group coordinator, in milliseconds. Typically no higher than a third of
    /// session.timeout.ms.
    #[config(name = "heartbeat.interval.ms", default = "3000", importance = "high")]
    pub heartbeat_interval_ms: i32,

    /// The maximum allowed time in milliseconds for each worker to join the group once a rebalance has begun.
    #[config(name = "rebalance.timeout.ms", default = "60000", importance = "high")]
    pub rebalance_timeout_ms: i32,

    /// When the worker is out of sync with other workers and needs to resynchronize configurations, wait up to this amount of
    /// milliseconds before giving up, leaving the group, and waiting a backoff period before rejoining.
    #[config(name = "worker.sync.timeout.ms", default = "3000", importance = "medium")]
    pub sync_timeout_ms: i32,

    /// When the worker is out of sync with other workers and fails to catch up within worker.sync.timeout.ms, leave the Connect
    /// cluster for this long, in milliseconds, before rejoining.
    #[config(name = "worker.unsync.backoff.ms", default = "300000", importance = "medium")]
    pub unsync_backoff_ms: i32,

    /// Compatibility mode for the Kafka Connect protocol: eager, compatible or sessioned.
    #[config(name = "connect.protocol", default = "sessioned", check = protocol, importance = "low")]
    pub protocol: String,

    /// The maximum delay in milliseconds that is scheduled in order to wait for the return of departed workers before rebalancing
    /// and reassigning their connectors and tasks.
    #[config(
        name = "scheduled.rebalance.max.delay.ms",
        default = "300000",
        range = "0..=2147483647",
        importance = "low"
    )]
    pub scheduled_rebalance_max_delay_ms: i32,

    /// The algorithm to use for generating internal request keys.
    #[config(name = "inter.worker.key.generation.algorithm", default = "HmacSHA256", check = key_algorithm, importance = "low")]
    pub key_generation_algorithm: String,

    /// The size of the key to use for signing internal requests, in bits. If null, 256.
    #[config(name = "inter.worker.key.size", importance = "low")]
    pub key_size: Option<i32>,

    /// The TTL of generated session keys used for internal request validation, in milliseconds.
    #[config(name = "inter.worker.key.ttl.ms", default = "3600000", range = "0..=2147483647", importance = "low")]
    pub key_ttl_ms: i32,

    /// The algorithm used to sign internal requests.
    #[config(name = "inter.worker.signature.algorithm", default = "HmacSHA256", check = key_algorithm, importance = "low")]
    pub signature_algorithm: String,

    /// A list of permitted algorithms for verifying internal requests, which must include the algorithm used for
    /// inter.worker.signature.algorithm.
    #[config(name = "inter.worker.verification.algorithms", default = "HmacSHA256", check = algorithms, importance = "low")]
    pub verification_algorithms: Vec<String>,

    /// What is even among the workers of a group: the load of their tasks, as it is measured, or their count, as in Kafka Connect. In a
    /// group with Java workers it is the count.
    #[config(name = "task.placement", default = "load", one_of("load", "count"), importance = "low")]
    pub task_placement: String,

    /// How often a failed connector or task is started again by itself within an hour, when it failed of something outside; 0 never,
    /// as Kafka Connect. Connectors may have their own.
    #[config(name = "errors.restart.max", default = "10", importance = "medium")]
    pub restart_max: u32,

    /// Before the first such restart, in milliseconds; doubled with each within the hour.
    #[config(name = "errors.restart.backoff.ms", default = "10000", importance = "low")]
    pub restart_backoff_ms: u32,

    /// The longest wait before such a restart, in milliseconds.
    #[config(name = "errors.restart.backoff.max.ms", default = "600000", importance = "low")]
    pub restart_backoff_max_ms: u32,
}

impl WorkerConfig {
    /// How a distributed worker joins its group. `props` are the worker's own, for the connection.
    #[must_use]
    pub fn group_options(&self, props: &Props, worker_id: &str) -> GroupOptions {
        let client_id = match self.group.client_id.trim() {
            "" => format!("connect-{worker_id}"),
            id => id.to_owned(),
        };
        GroupOptions {
            group: self.group_id.clone(),
            protocol_type: "connect".to_owned(),
            client_id,
            session_timeout_ms: self.group.session_timeout_ms,
            rebalance_timeout_ms: self.group.rebalance_timeout_ms,
            heartbeat_interval_ms: u64::try_from(self.group.heartbeat_interval_ms).unwrap_or(1),
            client: super::client_props(props),
        }
    }
}

fn protocol(text: &str) -> Result<(), String> {
    if ["eager", "compatible", "sessioned"].iter().any(|known| known.eq_ignore_ascii_case(text)) {
        Ok(())
    } else {
        Err("Invalid Connect protocol compatibility".to_owned())
    }
}

/// What requests among workers can be signed with; Java's virtual machines know more.
const ALGORITHMS: [&str; 4] = ["HmacSHA256", "HmacSHA1", "HmacSHA384", "HmacSHA512"];

fn key_algorithm(text: &str) -> Result<(), String> {
    if ALGORITHMS.iter().any(|known| known.eq_ignore_ascii_case(text)) {
        Ok(())
    } else {
        let known = ALGORITHMS.join(", ");
        Err(format!("the algorithm is not supported; the supported algorithms are: [{known}]"))
    }
}

fn algorithms(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Err("At least one signature verification algorithm must be provided".to_owned());
    }
    text.split(',').map(str::trim).try_for_each(key_algorithm)
}
