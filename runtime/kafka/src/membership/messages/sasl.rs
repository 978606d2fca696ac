//! Authentication (KIP-152, KIP-368).

use super::super::wire::{Malformed, Reader, Writer};
use super::{Api, Range, Request};

/// Chooses a mechanism. Answered with a code and the mechanisms that the broker has.
pub(in super::super) struct SaslHandshake<'a> {
    pub(in super::super) mechanism: &'a str,
}

impl Request for SaslHandshake<'_> {
    type Answer = (i16, Vec<String>);
    const API: Api = Api { key: 17, name: "SaslHandshake", versions: Range { first: 1, last: 1 }, flexible: i16::MAX };

    fn write(&self, _: i16, out: &mut Writer) {
        out.old_string(self.mechanism);
    }

    fn read(_: i16, reader: &mut Reader<'_>) -> Result<Self::Answer, Malformed> {
        Ok((reader.i16()?, reader.old_list(Reader::old_string)?))
    }
}

/// One message of the mechanism's exchange.
pub(in super::super) struct SaslAuthenticate<'a> {
    pub(in super::super) message: &'a [u8],
}

/// The broker's message, unless there is a code.
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) struct Authenticated {
    pub(in super::super) code: i16,
    pub(in super::super) error: Option<String>,
    pub(in super::super) message: Vec<u8>,
    /// After this long the broker ends the connection unless the client has authenticated again, in milliseconds; 0 is never.
    pub(in super::super) lifetime_ms: i64,
}

impl Request for SaslAuthenticate<'_> {
    type Answer = Authenticated;
    const API: Api = Api { key: 36, name: "SaslAuthenticate", versions: Range { first: 1, last: 2 }, flexible: 2 };

    fn write(&self, version: i16, out: &mut Writer) {
        if version >= Self::API.flexible {
            out.bytes(self.message);
            out.tags();
        } else {
            out.old_bytes(self.message);
        }
    }

    fn read(version: i16, reader: &mut Reader<'_>) -> Result<Authenticated, Malformed> {
        let code = reader.i16()?;
        let (error, message) = if version >= Self::API.flexible {
            (reader.nullable_string()?, reader.bytes()?)
        } else {
            (Some(reader.old_string()?), reader.old_bytes()?)
        };
        Ok(Authenticated { code, error, message, lifetime_ms: reader.i64()? })
    }
}
