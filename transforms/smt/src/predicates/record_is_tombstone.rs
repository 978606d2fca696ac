//! `RecordIsTombstone`: true for records whose value is null, whatever their schema.

use millrace_sdk::prelude::*;

/// `org.apache.kafka.connect.transforms.predicates.RecordIsTombstone`.
pub struct RecordIsTombstone;

impl Predicate for RecordIsTombstone {
    const CLASS: &'static str = "org.apache.kafka.connect.transforms.predicates.RecordIsTombstone";
    type Config = NoConfig;

    fn configure(_config: NoConfig) -> Result<Self> {
        Ok(Self)
    }

    /// A value that is not asked for reads as null.
    fn needs(&self) -> Needs {
        Needs { value: true, ..Needs::NOTHING }
    }

    fn test(&mut self, record: &Record<'_>) -> Result<bool> {
        Ok(record.value().is_null())
    }
}
