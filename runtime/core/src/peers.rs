//! What a worker asks of another worker of its group by itself, not for a client. `millrace_rest::PeerClient` asks over HTTP.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use millrace_api::Result;
use millrace_api::config::Props;

use crate::herder::SessionKey;
use crate::task::TaskId;

/// Requests to the leader of the group. Each is signed with `key` when there is one (KIP-507), and ends within the client's deadline.
///
/// Errors: [`millrace_api::ErrorKind::Retriable`] when the other worker cannot be reached, is still starting (503), or knows of no
/// leader itself (409), which the next generation may cure; [`millrace_api::ErrorKind::NotFound`] when it does not know the
/// connector; else [`millrace_api::ErrorKind::External`] with its message. Dropping a call may leave the request done or not.
#[async_trait]
pub trait Peers: Send + Sync {
    /// Hands the leader at `url` the configurations that a connector here has made for its tasks.
    async fn put_task_configs(
        &self,
        url: &str,
        connector: &str,
        configs: &[Props],
        key: Option<&SessionKey>,
    ) -> Result<()>;

    /// Has the leader at `url` fence the producers of a source connector's former tasks (KIP-618).
    async fn fence_zombies(&self, url: &str, connector: &str, key: Option<&SessionKey>) -> Result<()>;

    /// The classes of the connectors that the worker at `url` has. Retriable also while its REST API is still being set up (404).
    async fn connector_plugins(&self, url: &str) -> Result<BTreeSet<String>>;

    /// How heavy the tasks of the worker at `url` are, as far as it knows ([`crate::progress::TaskProgress::load`]).
    /// [`millrace_api::ErrorKind::NotFound`] from a worker that does not measure, as Java's.
    async fn task_loads(&self, url: &str) -> Result<BTreeMap<TaskId, u32>>;
}
