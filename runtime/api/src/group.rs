//! Membership in a group that Kafka coordinates by the classic protocol (`JoinGroup`, `SyncGroup`, `Heartbeat`, `LeaveGroup`), for any
//! protocol type. The coordinator keeps the list of members and elects a leader; what members tell each other is theirs, as bytes.
//!
//! `runtime/kafka` speaks it over the network; the herder decides what is said. A worker that is alone has [`GroupMember`]s that
//! elect themselves.

use async_trait::async_trait;
use tokio::sync::oneshot;

use crate::config::Props;
use crate::error::Result;

/// How a member joins.
#[derive(Debug, Clone)]
pub struct GroupOptions {
    /// `group.id`.
    pub group: String,
    /// Protocol type: `connect`.
    pub protocol_type: String,
    /// Shown to brokers.
    pub client_id: String,
    /// Without a heartbeat for this long the coordinator takes a member for dead, in milliseconds (`session.timeout.ms`).
    pub session_timeout_ms: i32,
    /// How long members have to join again once a rebalance has begun, in milliseconds (`rebalance.timeout.ms`).
    pub rebalance_timeout_ms: i32,
    /// Between heartbeats, in milliseconds (`heartbeat.interval.ms`).
    pub heartbeat_interval_ms: u64,
    /// The worker's client settings by their Kafka names: `security.protocol`, `sasl.*`, `ssl.*`, `request.timeout.ms`, ….
    pub client: Props,
}

/// A protocol that a member can speak, and what it tells the leader in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberProtocol {
    /// Name: `sessioned`, `compatible`, `default`.
    pub name: String,
    /// Metadata.
    pub metadata: Vec<u8>,
}

/// A member as its leader sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Member id.
    pub member: String,
    /// What it said in the protocol that was chosen.
    pub metadata: Vec<u8>,
}

/// What happens to a member. Heartbeats go on by themselves meanwhile.
#[derive(Debug)]
pub enum GroupEvent {
    /// The member is about to join, for the first time or because the group rebalances. It waits for the answer, most preferred
    /// protocol first; a holder that must give work back before it may join does so first. When the answer is dropped, it is asked again.
    Joining {
        /// The protocols.
        reply: oneshot::Sender<Vec<MemberProtocol>>,
    },
    /// The member was elected: it says what each member gets.
    Elected {
        /// Generation that is being formed.
        generation: i32,
        /// Its own id.
        leader: String,
        /// The protocol that all members speak.
        protocol: String,
        /// All members, itself among them.
        peers: Vec<Peer>,
        /// What each gets, by member id. When it is dropped, the member joins again.
        reply: oneshot::Sender<Vec<(String, Vec<u8>)>>,
    },
    /// The rebalance is over.
    Joined {
        /// Generation.
        generation: i32,
        /// Its own id.
        member: String,
        /// The leader's id.
        leader: String,
        /// Protocol.
        protocol: String,
        /// What the leader says it gets.
        assignment: Vec<u8>,
    },
    /// The coordinator no longer knows the member: its session ended or somebody removed it. Another may be doing its work by now. It
    /// joins again by itself, which is the next event.
    Lost {
        /// Why, for the log.
        reason: String,
    },
    /// The coordinator has not answered for the session timeout, so others may be given the work soon. Tried again by itself.
    Unreachable {
        /// Why, for the log.
        reason: String,
    },
}

/// A member. Dropping it stops heartbeats; others notice after the session timeout.
#[async_trait]
pub trait GroupMember: Send {
    /// The next event. Cancel-safe.
    ///
    /// # Errors
    /// Such that no further attempt can help: authorization, an id that is in use, inconsistent protocols.
    async fn next(&mut self) -> Result<GroupEvent>;

    /// Asks the coordinator for a rebalance: a [`GroupEvent::Joining`] follows. Returns at once.
    fn rejoin(&self, reason: &str);

    /// Leaves, so that others take over at once (or after the leader's delay).
    async fn leave(self: Box<Self>);
}

/// Opens members.
#[async_trait]
pub trait Groups: Send + Sync {
    /// Starts to join. Returns before the coordinator has been found.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Config`] naming the setting at fault.
    async fn join(&self, options: GroupOptions) -> Result<Box<dyn GroupMember>>;
}
