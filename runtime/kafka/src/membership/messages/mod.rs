//! The requests that a member makes and their answers, in the versions of brokers from 2.4 to the newest. The layouts are those
//! of Kafka's message definitions (`clients/src/main/resources/common/message`).

mod broker;
mod group;
mod sasl;

pub(super) use broker::{ApiVersions, Broker, FindCoordinator, Metadata, Range};
pub(super) use group::{Heartbeat, JoinGroup, Joined, LeaveGroup, SyncGroup};
pub(super) use sasl::{SaslAuthenticate, SaslHandshake};

use super::wire::{Malformed, Reader, Writer};

/// A kind of request.
pub(super) struct Api {
    /// Its number.
    pub(super) key: i16,
    /// Its name, for messages.
    pub(super) name: &'static str,
    /// The versions that are written and read here.
    pub(super) versions: Range,
    /// From this version on, lengths are compact and fields may be tagged.
    pub(super) flexible: i16,
}

/// A request.
pub(super) trait Request {
    /// What it is answered with.
    type Answer;
    const API: Api;

    /// Writes the body.
    fn write(&self, version: i16, out: &mut Writer);

    /// Reads the body of an answer.
    fn read(version: i16, reader: &mut Reader<'_>) -> Result<Self::Answer, Malformed>;
}

#[cfg(test)]
mod tests;
