//! What travels on the repartition topic. Byte 0 is the version, byte 1 the kind; frozen once released (invariant 7).

use millrace_api::{Error, Result};

const VERSION: u8 = 1;
const PARTIAL: u8 = 0;
const WATERMARKS: u8 = 1;

/// A message of the repartition topic.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Message {
    /// What some records of one window and group came to.
    Partial(Partial),
    /// How far input partitions are. Follows the partials that came before it in those partitions.
    Watermarks(Vec<Watermark>),
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Partial {
    pub(crate) start: i64,
    /// Records in it.
    pub(crate) records: u32,
    pub(crate) group: Vec<u8>,
    pub(crate) state: Vec<u8>,
}

/// How far one input partition is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Watermark {
    /// `topic-partition`.
    pub(crate) source: String,
    /// Largest event time seen; `i64::MIN` for none.
    pub(crate) time: i64,
    /// Nothing new for a while: it holds no window open.
    pub(crate) idle: bool,
}

impl Message {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        match self {
            Self::Partial(partial) => {
                out.push(PARTIAL);
                out.extend_from_slice(&partial.start.to_le_bytes());
                out.extend_from_slice(&partial.records.to_le_bytes());
                put(&mut out, &partial.group);
                put(&mut out, &partial.state);
            }
            Self::Watermarks(watermarks) => {
                out.push(WATERMARKS);
                out.extend_from_slice(&u32::try_from(watermarks.len()).unwrap_or(u32::MAX).to_le_bytes());
                for watermark in watermarks {
                    put(&mut out, watermark.source.as_bytes());
                    out.extend_from_slice(&watermark.time.to_le_bytes());
                    out.push(u8::from(watermark.idle));
                }
            }
        }
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self> {
        let mut rest = bytes;
        let [version, kind] = array(&mut rest)?;
        if version != VERSION {
            return Err(Error::data(format!(
                "a message of the repartition topic has version {version}; this worker knows {VERSION}"
            )));
        }
        match kind {
            PARTIAL => Ok(Self::Partial(Partial {
                start: i64::from_le_bytes(array(&mut rest)?),
                records: u32::from_le_bytes(array(&mut rest)?),
                group: slice(&mut rest)?.to_vec(),
                state: slice(&mut rest)?.to_vec(),
            })),
            WATERMARKS => {
                let count = u32::from_le_bytes(array(&mut rest)?);
                let mut watermarks = Vec::new();
                for _ in 0..count {
                    let source = String::from_utf8(slice(&mut rest)?.to_vec()).map_err(|_| malformed())?;
                    let time = i64::from_le_bytes(array(&mut rest)?);
                    let [idle] = array(&mut rest)?;
                    watermarks.push(Watermark { source, time, idle: idle != 0 });
                }
                Ok(Self::Watermarks(watermarks))
            }
            _ => Err(malformed()),
        }
    }
}

fn put(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes());
    out.extend_from_slice(bytes);
}

fn array<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N]> {
    let (head, tail) = rest.split_first_chunk().ok_or_else(malformed)?;
    *rest = tail;
    Ok(*head)
}

fn slice<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8]> {
    let len = u32::from_le_bytes(array(rest)?) as usize;
    let (head, tail) = rest.split_at_checked(len).ok_or_else(malformed)?;
    *rest = tail;
    Ok(head)
}

fn malformed() -> Error {
    Error::data("a message of the repartition topic is malformed; nothing but this aggregate may write there")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_read_back_and_truncated_ones_are_refused() {
        let partial = Message::Partial(Partial { start: -3, records: 9, group: vec![0], state: vec![1, 2, 3] });
        let watermark = Watermark { source: "t-0".to_owned(), time: i64::MIN, idle: true };
        for message in [partial, Message::Watermarks(vec![watermark])] {
            let bytes = message.encode();
            assert_eq!(Message::decode(&bytes).expect("whole"), message);
            (0..bytes.len()).for_each(|cut| assert!(Message::decode(&bytes[..cut]).is_err()));
        }
    }
}
