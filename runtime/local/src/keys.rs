//! Keys of the store. Numbers are big-endian, so that order of bytes is order of numbers. Frozen (invariant 7).

use millrace_api::log::TopicPartition;

/// Key of a block of records: topic number, partition, last offset the block covers.
pub(crate) type BlockKey = [u8; 16];

/// The key of the block of a partition that ends at `last`.
pub(crate) fn block(topic: u32, partition: u32, last: i64) -> BlockKey {
    let mut key = [0; 16];
    key[..4].copy_from_slice(&topic.to_be_bytes());
    key[4..8].copy_from_slice(&partition.to_be_bytes());
    key[8..].copy_from_slice(&last.max(0).to_be_bytes());
    key
}

/// The last offset in a block's key.
pub(crate) fn last_offset(key: &[u8]) -> Option<i64> {
    number(key.get(8..16)?)
}

/// Topic number and partition in a block's key.
pub(crate) fn place(key: &[u8]) -> Option<(u32, u32)> {
    let topic = u32::from_be_bytes(key.get(..4)?.try_into().ok()?);
    Some((topic, u32::from_be_bytes(key.get(4..8)?.try_into().ok()?)))
}

/// An offset as a value.
pub(crate) fn number(bytes: &[u8]) -> Option<i64> {
    bytes.try_into().map(i64::from_be_bytes).ok()
}

/// Version of the layout.
pub(crate) const FORMAT: &[u8] = b"format";
/// Identity of the log.
pub(crate) const CLUSTER: &[u8] = b"cluster";
/// Next topic number.
pub(crate) const NEXT_TOPIC: &[u8] = b"next-topic";
/// Prefix of topics by name.
pub(crate) const TOPICS: &[u8] = b"topic/";
/// Prefix of numbers of deleted topics whose blocks are still there.
pub(crate) const GONE: &[u8] = b"gone/";
/// Prefix of the markers of blocks in open transactions.
pub(crate) const OPEN: &[u8] = b"open/";

/// A topic's definition.
pub(crate) fn topic(name: &str) -> Vec<u8> {
    [TOPICS, name.as_bytes()].concat()
}

/// A deleted topic.
pub(crate) fn gone(topic: u32) -> Vec<u8> {
    [GONE, &topic.to_be_bytes()].concat()
}

/// Marker of a block in an open transaction.
pub(crate) fn open(transaction: u64, block: &BlockKey) -> Vec<u8> {
    [OPEN, &transaction.to_be_bytes(), block].concat()
}

/// The block a marker names.
pub(crate) fn opened(key: &[u8]) -> Option<BlockKey> {
    key.get(OPEN.len() + 8..)?.try_into().ok()
}

/// What is kept about a partition beside its blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    /// Its first offset, once retention moved it.
    Start,
    /// An offset its end must not fall below, once its last blocks were removed.
    Floor,
    /// Up to where compaction has been.
    Clean,
    /// When the first tombstone may go, in milliseconds since the epoch.
    Horizon,
}

impl Mark {
    /// All of them.
    pub(crate) const ALL: [Self; 4] = [Self::Start, Self::Floor, Self::Clean, Self::Horizon];

    fn prefix(self) -> &'static [u8] {
        match self {
            Self::Start => b"start/",
            Self::Floor => b"floor/",
            Self::Clean => b"clean/",
            Self::Horizon => b"horizon/",
        }
    }
}

/// Key of a mark.
pub(crate) fn mark(mark: Mark, topic: u32, partition: u32) -> Vec<u8> {
    [mark.prefix(), &topic.to_be_bytes(), &partition.to_be_bytes()].concat()
}

/// Prefix of a mark's keys for all partitions of a topic.
pub(crate) fn marks(mark: Mark, topic: u32) -> Vec<u8> {
    [mark.prefix(), &topic.to_be_bytes()].concat()
}

/// Epoch of a transactional id.
pub(crate) fn epoch(transactional_id: &str) -> Vec<u8> {
    [b"epoch/", transactional_id.as_bytes()].concat()
}

/// Prefix of all positions.
const POSITIONS: &[u8] = b"position/";

/// Prefix of a group's positions.
pub(crate) fn positions(group: &str) -> Vec<u8> {
    let mut key = POSITIONS.to_vec();
    text(&mut key, group);
    key
}

/// Prefix of every group's positions.
pub(crate) fn all_positions() -> &'static [u8] {
    POSITIONS
}

/// A group's position in a partition.
pub(crate) fn position(group: &str, partition: &TopicPartition) -> Vec<u8> {
    let mut key = positions(group);
    text(&mut key, &partition.topic);
    key.extend_from_slice(&partition.partition.to_be_bytes());
    key
}

/// The partition in a position's key.
pub(crate) fn position_of(key: &[u8]) -> Option<TopicPartition> {
    let (_group, rest) = split_text(key.strip_prefix(POSITIONS)?)?;
    let (topic, rest) = split_text(rest)?;
    Some(TopicPartition::new(topic, i32::from_be_bytes(rest.try_into().ok()?)))
}

// Names are shorter than 64 KiB: topics by Kafka's rules, groups and transactional ids because they are checked.
fn text(key: &mut Vec<u8>, text: &str) {
    key.extend_from_slice(&u16::try_from(text.len()).unwrap_or(u16::MAX).to_be_bytes());
    key.extend_from_slice(text.as_bytes());
}

fn split_text(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let (len, rest) = bytes.split_first_chunk::<2>()?;
    let (text, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*len)))?;
    Some((std::str::from_utf8(text).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_sort_by_topic_partition_offset() {
        let keys = [block(1, 0, 5), block(1, 0, 300), block(1, 1, 0), block(2, 0, 0), block(256, 0, 0)];
        assert!(keys.is_sorted());
        assert_eq!((place(&keys[1]), last_offset(&keys[1])), (Some((1, 0)), Some(300)));
    }

    #[test]
    fn positions_of_one_group_are_not_in_the_range_of_another() {
        let key = position("group-1", &TopicPartition::new("t.a", 7));
        assert_eq!(position_of(&key), Some(TopicPartition::new("t.a", 7)));
        assert!(key.starts_with(&positions("group-1")));
        assert!(!key.starts_with(&positions("group-")));
        assert!(key.starts_with(all_positions()));
    }

    #[test]
    fn markers_name_their_block() {
        let block = block(3, 1, 99);
        assert_eq!(opened(&open(12, &block)), Some(block));
    }
}
