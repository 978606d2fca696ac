//! Membership in groups, for any protocol type: [`KafkaGroups`]. librdkafka knows only consumers, so this speaks Kafka's protocol on
//! connections of its own: nine requests, in the versions of brokers from 2.4 to the newest.
//!
//! - `wire`, `messages`: the bytes. `codes`: what the coordinator's codes mean.
//! - `connection`: one broker, over `tls` and after a `login` (`scram`) where that is configured. `link`: the way to the coordinator, wherever it is.
//! - `task`: a member's life; `member`: its holder's end; `pulse`: how long the coordinator has not heard from it.

mod codes;
mod connection;
mod link;
mod login;
mod member;
mod messages;
mod pulse;
mod scram;
mod settings;
mod task;
mod tls;
mod wire;

use async_trait::async_trait;
use millrace_api::config::Props;
use millrace_api::error::{Error, Result};
use millrace_api::group::{GroupMember, GroupOptions, Groups};

use member::KafkaMember;
use settings::Settings;
use task::Task;

/// Groups that Kafka coordinates. Opening it connects nothing.
pub struct KafkaGroups {
    bootstrap: String,
    props: Props,
}

impl KafkaGroups {
    /// Groups of the brokers of `bootstrap` (`host:port` pairs, comma-separated), with the worker's client settings by their Kafka
    /// names; [`GroupOptions::client`] wins over them.
    ///
    /// # Errors
    /// [`millrace_api::ErrorKind::Config`] naming the setting at fault.
    pub fn new(bootstrap: &str, props: Props) -> Result<Self> {
        Settings::of(bootstrap, "", &props)?;
        Ok(Self { bootstrap: bootstrap.to_owned(), props })
    }
}

#[async_trait]
impl Groups for KafkaGroups {
    async fn join(&self, options: GroupOptions) -> Result<Box<dyn GroupMember>> {
        check(&options)?;
        let mut props = self.props.clone();
        props.extend(options.client.clone());
        let settings = Settings::of(&self.bootstrap, &options.client_id, &props)?;
        Ok(Box::new(KafkaMember::start(|events, wishes| Task::new(options, settings, events, wishes))))
    }
}

fn check(options: &GroupOptions) -> Result<()> {
    let invalid = |key: &str, fix: &str| Err(Error::config(format!("Invalid value for configuration {key}: {fix}")));
    if options.group.is_empty() {
        return invalid("group.id", "name the group");
    }
    if options.session_timeout_ms <= 0 {
        return invalid("session.timeout.ms", "use a whole number of milliseconds above 0");
    }
    if options.rebalance_timeout_ms <= 0 {
        return invalid("rebalance.timeout.ms", "use a whole number of milliseconds above 0");
    }
    let session = u64::try_from(options.session_timeout_ms).unwrap_or(0);
    if options.heartbeat_interval_ms == 0 || options.heartbeat_interval_ms >= session {
        return invalid("heartbeat.interval.ms", "use less than session.timeout.ms, and more than 0");
    }
    Ok(())
}

#[cfg(test)]
mod tests;
