//! What a worker says when it joins and what the leader answers, in the three versions of Kafka Connect's protocol.
//!
//! Big-endian, in Kafka's primitive types:
//! - state: INT16 version, STRING url, INT64 config offset; from version 1 on NULLABLE BYTES assignment (with a version of its own);
//! - assignment: INT16 version, INT16 error, STRING leader, STRING leader's url, INT64 config offset, ARRAY of {STRING connector, ARRAY of
//!   INT32 task} where task -1 is the connector itself; from version 1 on another such array of what is revoked, and INT32 delay in ms.
//!
//! A missing end is read as empty, and what follows the end is not looked at, so that older and newer workers understand each other.

mod wire;

use std::collections::BTreeSet;
use std::sync::Arc;

use millrace_api::group::MemberProtocol;
use millrace_api::{Error, Result};

use crate::task::TaskId;
use wire::{Reader, Writer};

/// [`Assignment::error`]: all is well.
pub const NO_ERROR: i16 = 0;
/// [`Assignment::error`]: the leader knows less of the config topic than somebody else, so there is no decision. Everybody reads to
/// [`Assignment::offset`] and joins again.
pub const CONFIG_MISMATCH: i16 = 1;

/// What the members of a group speak (`connect.protocol`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// Everybody stops everything in every rebalance. Version 0.
    Eager,
    /// Only what moves is stopped (KIP-415). Version 1.
    Compatible,
    /// As `Compatible`, and requests among workers are signed with a session key (KIP-507). Version 2.
    Sessioned,
}

impl Protocol {
    /// By its name in the group: `default`, `compatible`, `sessioned`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Eager, Self::Compatible, Self::Sessioned].into_iter().find(|protocol| protocol.name() == name)
    }

    /// By its name in `connect.protocol`: `eager`, `compatible`, `sessioned`, in any case.
    #[must_use]
    pub fn from_config(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "eager" => Some(Self::Eager),
            "compatible" => Some(Self::Compatible),
            "sessioned" => Some(Self::Sessioned),
            _ => None,
        }
    }

    /// Name in the group.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Eager => "default",
            Self::Compatible => "compatible",
            Self::Sessioned => "sessioned",
        }
    }

    /// Version of the messages.
    #[must_use]
    pub fn version(self) -> i16 {
        match self {
            Self::Eager => 0,
            Self::Compatible => 1,
            Self::Sessioned => 2,
        }
    }

    /// Whether members keep their work while the group rebalances. When not, a worker stops everything before it joins.
    #[must_use]
    pub fn is_cooperative(self) -> bool {
        self != Self::Eager
    }

    /// What a worker with this `connect.protocol` offers when it joins, most preferred first. The broker picks what all members know.
    #[must_use]
    pub fn offers(self, state: &WorkerState) -> Vec<MemberProtocol> {
        [Self::Sessioned, Self::Compatible, Self::Eager]
            .into_iter()
            .filter(|protocol| *protocol <= self)
            .map(|protocol| MemberProtocol { name: protocol.name().to_owned(), metadata: state.encode(protocol) })
            .collect()
    }
}

/// What a worker says of itself when it joins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerState {
    /// Where its REST API is reached by other workers.
    pub url: String,
    /// One more than the offset of the last record it has read of the config topic.
    pub offset: i64,
    /// What it runs, with the leader and error it was last told; `None` for nothing. Not said in [`Protocol::Eager`].
    pub assignment: Option<Assignment>,
}

impl WorkerState {
    /// As bytes.
    #[must_use]
    pub fn encode(&self, protocol: Protocol) -> Vec<u8> {
        let mut out = Writer::new(protocol.version());
        out.string(&self.url);
        out.i64(self.offset);
        if protocol.is_cooperative() {
            let held = self.assignment.as_ref().map(|held| held.encode(protocol));
            out.nullable_bytes(held.as_deref());
        }
        out.into_bytes()
    }

    /// From bytes in any version.
    ///
    /// # Errors
    /// [`millrace_api::ErrorKind::External`] when they are not what a worker says.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let mut input = Reader::new(bytes);
        input.version()?;
        let url = input.string()?;
        let offset = input.i64()?;
        let held = if input.is_empty() { None } else { input.nullable_bytes()? };
        let assignment = held.map(Assignment::decode).transpose()?;
        Ok(Self { url, offset, assignment })
    }
}

/// What a worker gets from the leader, and later what it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// Version: 0, 1 or 2.
    pub version: i16,
    /// [`NO_ERROR`] or [`CONFIG_MISMATCH`].
    pub error: i16,
    /// The leader's member id.
    pub leader: String,
    /// Where the leader's REST API is reached.
    pub leader_url: String,
    /// State of the config topic that the decision rests on: a worker reads up to it before it acts.
    pub offset: i64,
    /// Connectors to start, beside those that run.
    pub connectors: BTreeSet<Arc<str>>,
    /// Tasks to start, beside those that run.
    pub tasks: BTreeSet<TaskId>,
    /// Connectors to stop. Who gets some joins again at once, so that others may have them.
    pub revoked_connectors: BTreeSet<Arc<str>>,
    /// Tasks to stop.
    pub revoked_tasks: BTreeSet<TaskId>,
    /// Not 0: join again after so many milliseconds.
    pub delay_ms: i32,
}

impl Assignment {
    /// Nothing to do, from this leader.
    #[must_use]
    pub fn empty(protocol: Protocol, leader: &str, leader_url: &str, offset: i64) -> Self {
        Self {
            version: protocol.version(),
            error: NO_ERROR,
            leader: leader.to_owned(),
            leader_url: leader_url.to_owned(),
            offset,
            connectors: BTreeSet::new(),
            tasks: BTreeSet::new(),
            revoked_connectors: BTreeSet::new(),
            revoked_tasks: BTreeSet::new(),
            delay_ms: 0,
        }
    }

    /// Whether the leader made no decision.
    #[must_use]
    pub fn failed(&self) -> bool {
        self.error != NO_ERROR
    }

    /// Whether something is to be stopped.
    #[must_use]
    pub fn revokes(&self) -> bool {
        !self.revoked_connectors.is_empty() || !self.revoked_tasks.is_empty()
    }

    /// What a worker that ran `held` runs once it has done what this says: `held` without what is revoked, and what is new. This is what it
    /// says of itself when it joins the next time. In [`Protocol::Eager`] an assignment is complete, so `held` does not count.
    #[must_use]
    pub fn after(mut self, held: Option<&Self>) -> Self {
        if let Some(held) = held.filter(|_| self.version > 0) {
            self.connectors.extend(held.connectors.difference(&self.revoked_connectors).cloned());
            self.tasks.extend(held.tasks.difference(&self.revoked_tasks).cloned());
        }
        self
    }

    /// As bytes in a protocol.
    #[must_use]
    pub fn encode(&self, protocol: Protocol) -> Vec<u8> {
        let mut out = Writer::new(protocol.version());
        out.i16(self.error);
        out.string(&self.leader);
        out.string(&self.leader_url);
        out.i64(self.offset);
        out.work(&self.connectors, &self.tasks);
        if protocol.is_cooperative() {
            out.work(&self.revoked_connectors, &self.revoked_tasks);
            out.i32(self.delay_ms);
        }
        out.into_bytes()
    }

    /// From bytes in any version.
    ///
    /// # Errors
    /// [`millrace_api::ErrorKind::External`] when they are not what a leader says.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let mut input = Reader::new(bytes);
        let version = input.version()?;
        let error = input.i16()?;
        let leader = input.string()?;
        let leader_url = input.string()?;
        let offset = input.i64()?;
        let (connectors, tasks) = input.work()?;
        let (revoked_connectors, revoked_tasks) = input.work()?;
        let delay_ms = if input.is_empty() { 0 } else { input.i32()? };
        Ok(Self {
            version,
            error,
            leader,
            leader_url,
            offset,
            connectors,
            tasks,
            revoked_connectors,
            revoked_tasks,
            delay_ms,
        })
    }
}

fn malformed(what: &str) -> Error {
    Error::external(format!("A member of the group sent what is not Kafka Connect's protocol: {what}"))
}
