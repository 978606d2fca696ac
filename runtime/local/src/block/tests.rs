use std::sync::Arc;

use millrace_api::batch::raw::RawRecord;
use proptest::prelude::*;

use super::{Block, Builder};

type Owned = (Option<Vec<u8>>, Option<Vec<u8>>, Vec<(String, Option<Vec<u8>>)>, i64);

fn records() -> impl Strategy<Value = Vec<Owned>> {
    let part = || proptest::option::of(proptest::collection::vec(any::<u8>(), 0..60));
    let header = (".{0,5}", proptest::option::of(proptest::collection::vec(any::<u8>(), 0..9)));
    let record = (part(), part(), proptest::collection::vec(header, 0..3), 0..i64::MAX);
    proptest::collection::vec(record, 1..60)
}

fn borrowed((key, value, headers, timestamp): &Owned) -> RawRecord<'_> {
    let headers = headers.iter().map(|(name, value)| (name.as_str(), value.as_deref())).collect();
    RawRecord { headers, timestamp: *timestamp, ..RawRecord::new("t", key.as_deref(), value.as_deref()) }
}

fn built(records: &[Owned]) -> Builder {
    let mut builder = Builder::default();
    for record in records {
        assert!(builder.push(&borrowed(record), record.3, false));
    }
    builder
}

fn open(value: Vec<u8>) -> millrace_api::Result<Block> {
    Block::open(&Arc::from("t"), 3, value.into())
}

proptest! {
    #[test]
    fn what_goes_in_comes_out(mut first in records(), second in records(), base in 0..1_i64 << 40) {
        let mut builder = built(&first);
        builder.append(&built(&second));
        first.extend(second);
        let block = open(builder.finish().at(base)).unwrap();
        prop_assert_eq!(block.head.count, first.len());
        prop_assert_eq!(block.head.last, base + i64::try_from(first.len()).unwrap() - 1);
        prop_assert_eq!(block.head.newest, first.iter().map(|record| record.3).max().unwrap());
        for (index, record) in first.iter().enumerate() {
            let (got, expected) = (block.get(index).unwrap(), borrowed(record));
            prop_assert_eq!((got.key, got.value, got.headers), (expected.key, expected.value, expected.headers));
            let offset = base + i64::try_from(index).unwrap();
            prop_assert_eq!((got.topic, got.partition, got.offset, got.timestamp), ("t", 3, offset, record.3));
            prop_assert_eq!(block.index_of(offset), index);
        }
        prop_assert!(block.get(first.len()).is_none());
    }

    /// Bytes that were changed on disk are refused or read as something else; they never panic and never leave the block.
    #[test]
    fn damage_is_survived(records in records(), changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let mut value = built(&records).finish().at(7);
        for (index, byte) in changes {
            let at = index.index(value.len());
            value[at] = byte;
        }
        if let Ok(block) = open(value) {
            for index in 0..=block.head.count {
                let _ = block.get(index);
            }
        }
    }

    #[test]
    fn cut_blocks_are_refused(records in records(), cut in 1_usize..40) {
        let mut value = built(&records).finish().at(7);
        value.truncate(value.len().saturating_sub(cut));
        prop_assert!(open(value).is_err());
    }
}

#[test]
fn gaps_are_kept() {
    let mut builder = Builder::default();
    let record = RawRecord::new("t", None, Some(b"v"));
    for delta in [2, 5, 9] {
        assert!(builder.push_at(delta, &record, 1, false));
    }
    builder.cover(20);
    let block = open(builder.finish().at(100)).unwrap();
    assert_eq!((block.head.base, block.head.last), (100, 119));
    let offsets: Vec<_> = (0..3).map(|index| block.offset(index).unwrap()).collect();
    assert_eq!(offsets, [102, 105, 109]);
    assert_eq!([0, 102, 103, 105, 110].map(|offset| block.index_of(offset)), [0, 0, 1, 1, 3]);
}
