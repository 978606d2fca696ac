//! What the herder reads of the worker's properties, with Kafka Connect's names and defaults (`DistributedConfig`).

use millrace_api::config::{Config as _, Props};
use millrace_api::group::GroupOptions;
use millrace_api::{Error, Result};
use millrace_macros::Config;

use super::machine::{Options, RestartPolicy};
use crate::group::Protocol;
use crate::worker_config::GroupConfig;

/// See the module documentation.
#[derive(Debug, Clone, Config)]
pub struct HerderSettings {
    /// A unique string that identifies the Connect cluster group this worker belongs to.
    #[config(name = "group.id", default = "connect-standalone", importance = "high")]
    pub group_id: String,

    /// An id string to pass to the server when making requests.
    #[config(name = "client.id", default = "", importance = "low")]
    pub client_id: String,

    /// Compatibility mode for Kafka Connect Protocol.
    #[config(name = "connect.protocol", default = "sessioned", importance = "low")]
    pub connect_protocol: String,

    /// The timeout used to detect worker failures, in milliseconds.
    #[config(name = "session.timeout.ms", default = "10000", importance = "high")]
    pub session_timeout_ms: i32,

    /// The maximum allowed time for each worker to join the group once a rebalance has begun, in milliseconds.
    #[config(name = "rebalance.timeout.ms", default = "60000", importance = "high")]
    pub rebalance_timeout_ms: i32,

    /// The expected time between heartbeats to the group coordinator, in milliseconds.
    #[config(name = "heartbeat.interval.ms", default = "3000", importance = "high")]
    pub heartbeat_interval_ms: u64,

    /// How long the group waits for lost workers to return before their work is given to others, in milliseconds.
    #[config(name = "scheduled.rebalance.max.delay.ms", default = "300000", range = "0..", importance = "low")]
    pub rebalance_delay_ms: i32,

    /// The TTL of generated session keys used for internal request validation, in milliseconds; 0 never replaces one.
    #[config(name = "inter.worker.key.ttl.ms", default = "3600000", range = "0..", importance = "low")]
    pub key_ttl_ms: i32,

    /// Enable tracking the set of active topics per connector during runtime.
    #[config(name = "topic.tracking.enable", default = "true", importance = "low")]
    pub topic_tracking: bool,
}

impl HerderSettings {
    /// Reads a worker's properties.
    ///
    /// # Errors
    /// [`millrace_api::ErrorKind::Config`] naming the key.
    pub fn of_worker(props: &Props) -> Result<Self> {
        let settings = Self::parse(props)?;
        settings.protocol()?;
        Ok(settings)
    }

    fn protocol(&self) -> Result<Protocol> {
        let given = self.connect_protocol.as_str();
        Protocol::from_config(given.trim()).ok_or_else(|| {
            Error::config(format!(
                "Invalid value {given} for configuration connect.protocol: String must be one of: eager, compatible, sessioned"
            ))
        })
    }

    pub(super) fn options(&self, worker_id: String, url: String, group: &GroupConfig) -> Result<Options> {
        Ok(Options {
            worker_id,
            url,
            protocol: self.protocol()?,
            rebalance_delay_ms: self.rebalance_delay_ms,
            key_ttl_ms: self.key_ttl_ms.into(),
            topic_tracking: self.topic_tracking,
            restart: RestartPolicy {
                max_per_hour: group.restart_max as usize,
                backoff_ms: group.restart_backoff_ms.into(),
                backoff_max_ms: group.restart_backoff_max_ms.into(),
            },
        })
    }

    /// How this worker joins; `client_id` when it has none of its own.
    pub(super) fn group(&self, client_id: &str) -> GroupOptions {
        let named = !self.client_id.is_empty();
        GroupOptions {
            group: self.group_id.clone(),
            protocol_type: "connect".to_owned(),
            client_id: if named { self.client_id.clone() } else { client_id.to_owned() },
            session_timeout_ms: self.session_timeout_ms,
            rebalance_timeout_ms: self.rebalance_timeout_ms,
            heartbeat_interval_ms: self.heartbeat_interval_ms,
            client: Props::new(),
        }
    }
}
