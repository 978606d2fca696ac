//! What the coordinator of a group answers.

use millrace_api::group::{MemberProtocol, Peer};

use super::super::wire::{Malformed, Reader, Writer};
use super::{Api, Range, Request};

/// Joins, or joins again. Answered when all members have.
pub(in super::super) struct JoinGroup<'a> {
    pub(in super::super) group: &'a str,
    pub(in super::super) session_timeout_ms: i32,
    pub(in super::super) rebalance_timeout_ms: i32,
    /// Empty the first time.
    pub(in super::super) member: &'a str,
    pub(in super::super) protocol_type: &'a str,
    pub(in super::super) protocols: &'a [MemberProtocol],
    /// For the coordinator's log (KIP-800).
    pub(in super::super) reason: &'a str,
}

/// The generation that is being formed, unless there is a code.
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) struct Joined {
    pub(in super::super) code: i16,
    pub(in super::super) generation: i32,
    pub(in super::super) protocol_type: Option<String>,
    pub(in super::super) protocol: String,
    pub(in super::super) leader: String,
    pub(in super::super) member: String,
    /// Only the leader is told.
    pub(in super::super) peers: Vec<Peer>,
}

impl Request for JoinGroup<'_> {
    type Answer = Joined;
    const API: Api = Api { key: 11, name: "JoinGroup", versions: Range { first: 6, last: 9 }, flexible: 6 };

    fn write(&self, version: i16, out: &mut Writer) {
        out.string(self.group);
        out.i32(self.session_timeout_ms);
        out.i32(self.rebalance_timeout_ms);
        out.string(self.member);
        out.nullable_string(None);
        out.string(self.protocol_type);
        out.list(self.protocols, |out, protocol| {
            out.string(&protocol.name);
            out.bytes(&protocol.metadata);
            out.tags();
        });
        if version >= 8 {
            out.string(self.reason);
        }
        out.tags();
    }

    fn read(version: i16, reader: &mut Reader<'_>) -> Result<Joined, Malformed> {
        reader.i32()?;
        let code = reader.i16()?;
        let generation = reader.i32()?;
        let protocol_type = if version >= 7 { reader.nullable_string()? } else { None };
        let protocol = reader.string()?;
        let leader = reader.string()?;
        if version >= 9 {
            // Only leaders with an instance id may be told to keep what was assigned before (KIP-814).
            reader.bool()?;
        }
        let member = reader.string()?;
        let peers = reader.list(|reader| {
            let member = reader.string()?;
            reader.nullable_string()?;
            let peer = Peer { member, metadata: reader.bytes()? };
            reader.tags()?;
            Ok(peer)
        })?;
        Ok(Joined { code, generation, protocol_type, protocol, leader, member, peers })
    }
}

/// Asks for the assignment; the leader's request brings all of them.
pub(in super::super) struct SyncGroup<'a> {
    pub(in super::super) group: &'a str,
    pub(in super::super) generation: i32,
    pub(in super::super) member: &'a str,
    pub(in super::super) protocol_type: &'a str,
    pub(in super::super) protocol: &'a str,
    pub(in super::super) assignments: &'a [(String, Vec<u8>)],
}

/// An assignment, unless there is a code.
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) struct Synced {
    pub(in super::super) code: i16,
    pub(in super::super) protocol_type: Option<String>,
    pub(in super::super) protocol: Option<String>,
    pub(in super::super) assignment: Vec<u8>,
}

impl Request for SyncGroup<'_> {
    type Answer = Synced;
    const API: Api = Api { key: 14, name: "SyncGroup", versions: Range { first: 4, last: 5 }, flexible: 4 };

    fn write(&self, version: i16, out: &mut Writer) {
        out.string(self.group);
        out.i32(self.generation);
        out.string(self.member);
        out.nullable_string(None);
        if version >= 5 {
            out.string(self.protocol_type);
            out.string(self.protocol);
        }
        out.list(self.assignments, |out, (member, assignment)| {
            out.string(member);
            out.bytes(assignment);
            out.tags();
        });
        out.tags();
    }

    fn read(version: i16, reader: &mut Reader<'_>) -> Result<Synced, Malformed> {
        reader.i32()?;
        let code = reader.i16()?;
        let (protocol_type, protocol) =
            if version >= 5 { (reader.nullable_string()?, reader.nullable_string()?) } else { (None, None) };
        Ok(Synced { code, protocol_type, protocol, assignment: reader.bytes()? })
    }
}

/// Says that a member lives. Answered with a code.
pub(in super::super) struct Heartbeat<'a> {
    pub(in super::super) group: &'a str,
    pub(in super::super) generation: i32,
    pub(in super::super) member: &'a str,
}

impl Request for Heartbeat<'_> {
    type Answer = i16;
    const API: Api = Api { key: 12, name: "Heartbeat", versions: Range { first: 4, last: 4 }, flexible: 4 };

    fn write(&self, _: i16, out: &mut Writer) {
        out.string(self.group);
        out.i32(self.generation);
        out.string(self.member);
        out.nullable_string(None);
        out.tags();
    }

    fn read(_: i16, reader: &mut Reader<'_>) -> Result<i16, Malformed> {
        reader.i32()?;
        reader.i16()
    }
}

/// Leaves. Answered with a code.
pub(in super::super) struct LeaveGroup<'a> {
    pub(in super::super) group: &'a str,
    pub(in super::super) member: &'a str,
    /// For the coordinator's log (KIP-800).
    pub(in super::super) reason: &'a str,
}

impl Request for LeaveGroup<'_> {
    type Answer = i16;
    const API: Api = Api { key: 13, name: "LeaveGroup", versions: Range { first: 4, last: 5 }, flexible: 4 };

    fn write(&self, version: i16, out: &mut Writer) {
        out.string(self.group);
        out.list(&[self.member], |out, member| {
            out.string(member);
            out.nullable_string(None);
            if version >= 5 {
                out.string(self.reason);
            }
            out.tags();
        });
        out.tags();
    }

    fn read(_: i16, reader: &mut Reader<'_>) -> Result<i16, Malformed> {
        reader.i32()?;
        let code = reader.i16()?;
        let members = reader.list(|reader| {
            reader.string()?;
            reader.nullable_string()?;
            let code = reader.i16()?;
            reader.tags()?;
            Ok(code)
        })?;
        Ok(if code == 0 { members.into_iter().find(|code| *code != 0).unwrap_or(0) } else { code })
    }
}
