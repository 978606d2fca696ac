//! What any broker answers.

use super::super::wire::{Malformed, Reader, Writer};
use super::{Api, Request};

/// Versions from the first to the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct Range {
    pub(in super::super) first: i16,
    pub(in super::super) last: i16,
}

impl Range {
    /// The newest version that both have.
    pub(in super::super) fn common(self, other: Self) -> Option<i16> {
        let newest = self.last.min(other.last);
        (newest >= self.first.max(other.first)).then_some(newest)
    }
}

/// Asks which requests a broker knows. The answer is a code and, unless there is one, versions by request.
pub(in super::super) struct ApiVersions;

impl Request for ApiVersions {
    type Answer = Result<Vec<(i16, Range)>, i16>;
    // Version 3 is in every broker from 2.4 on. Nothing that came later is of use here.
    const API: Api = Api { key: 18, name: "ApiVersions", versions: Range { first: 3, last: 3 }, flexible: 3 };

    fn write(&self, _: i16, out: &mut Writer) {
        out.string("millrace");
        out.string(env!("CARGO_PKG_VERSION"));
        out.tags();
    }

    fn read(_: i16, reader: &mut Reader<'_>) -> Result<Self::Answer, Malformed> {
        // A broker that does not know the version answers in the first one, of which the code is all that is needed.
        let code = reader.i16()?;
        if code != 0 {
            return Ok(Err(code));
        }
        let versions = reader.list(|reader| {
            let entry = (reader.i16()?, Range { first: reader.i16()?, last: reader.i16()? });
            reader.tags()?;
            Ok(entry)
        })?;
        Ok(Ok(versions))
    }
}

/// Where a broker listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Broker {
    pub(in super::super) host: String,
    pub(in super::super) port: i32,
}

/// Asks who coordinates a group.
pub(in super::super) struct FindCoordinator<'a> {
    pub(in super::super) group: &'a str,
}

/// Who coordinates a group, unless there is a code.
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) struct Coordinator {
    pub(in super::super) code: i16,
    pub(in super::super) broker: Broker,
}

const GROUP: i8 = 0;

impl Request for FindCoordinator<'_> {
    type Answer = Coordinator;
    const API: Api = Api { key: 10, name: "FindCoordinator", versions: Range { first: 3, last: 6 }, flexible: 3 };

    fn write(&self, version: i16, out: &mut Writer) {
        if version < 4 {
            out.string(self.group);
            out.i8(GROUP);
        } else {
            out.i8(GROUP);
            out.list(&[self.group], |out, group| out.string(group));
        }
        out.tags();
    }

    fn read(version: i16, reader: &mut Reader<'_>) -> Result<Coordinator, Malformed> {
        reader.i32()?;
        if version < 4 {
            let code = reader.i16()?;
            reader.nullable_string()?;
            reader.i32()?;
            let broker = Broker { host: reader.string()?, port: reader.i32()? };
            return Ok(Coordinator { code, broker });
        }
        let mut found = reader.list(|reader| {
            reader.string()?;
            reader.i32()?;
            let broker = Broker { host: reader.string()?, port: reader.i32()? };
            let code = reader.i16()?;
            reader.nullable_string()?;
            reader.tags()?;
            Ok(Coordinator { code, broker })
        })?;
        found.pop().ok_or(Malformed("it names no coordinator"))
    }
}

/// Asks which brokers there are.
pub(in super::super) struct Metadata;

impl Request for Metadata {
    type Answer = Vec<Broker>;
    const API: Api = Api { key: 3, name: "Metadata", versions: Range { first: 9, last: 13 }, flexible: 9 };

    fn write(&self, version: i16, out: &mut Writer) {
        let no_topics: &[&str] = &[];
        out.list(no_topics, |out, topic| out.string(topic));
        // Topics are not created, and nobody asks what is allowed: on the cluster (while that could be asked) and on topics.
        for _ in 0..if version < 11 { 3 } else { 2 } {
            out.bool(false);
        }
        out.tags();
    }

    fn read(_: i16, reader: &mut Reader<'_>) -> Result<Vec<Broker>, Malformed> {
        reader.i32()?;
        // What follows the brokers is of no interest.
        reader.list(|reader| {
            reader.i32()?;
            let broker = Broker { host: reader.string()?, port: reader.i32()? };
            reader.nullable_string()?;
            reader.tags()?;
            Ok(broker)
        })
    }
}
