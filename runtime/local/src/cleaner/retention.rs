//! Retention: whole blocks from the head of a partition, by age and by size.

use millrace_api::Result;

use super::{STEP, Work};
use crate::block::Head;
use crate::check::now;
use crate::keys::{self, Mark};
use crate::store::Changes;
use crate::topic::{Partition, TopicConfig};

impl Work {
    /// Removes what a partition need not keep; returns how many bytes.
    pub(super) fn retain(&self, config: &TopicConfig, partition: &Partition) -> Result<u64> {
        let mut start = partition.start();
        if let Some(limit) = config.retention_bytes {
            start = start.max(self.start_by_size(partition, limit)?);
        }
        if let Some(age) = config.retention_ms {
            start = start.max(self.start_by_age(partition, start, age)?);
        }
        self.remove_before(partition, start)
    }

    /// First offset that stays so that the partition is no larger than `limit`, or just above.
    fn start_by_size(&self, partition: &Partition, limit: u64) -> Result<i64> {
        let sizes = self.shared.store.sizes(partition)?;
        let total: u64 = sizes.iter().map(|(_, size)| size).sum();
        let mut surplus = total.saturating_sub(limit);
        let end = partition.end(true);
        let mut start = partition.start();
        for (last, size) in sizes {
            if size > surplus || last >= end {
                break;
            }
            surplus -= size;
            start = last + 1;
        }
        Ok(start)
    }

    /// First offset whose block has a record younger than `age` milliseconds.
    fn start_by_age(&self, partition: &Partition, from: i64, age: i64) -> Result<i64> {
        let oldest = now().saturating_sub(age);
        let mut start = from;
        for block in self.shared.store.blocks(partition, from, partition.end(true)) {
            let (last, value) = block?;
            if Head::read(&value)?.newest >= oldest {
                break;
            }
            start = last + 1;
        }
        Ok(start)
    }

    fn remove_before(&self, partition: &Partition, start: i64) -> Result<u64> {
        let (id, index) = (partition.topic_id, partition.key_index());
        let mut removed = 0;
        while partition.start() < start && !self.stopped() && !partition.is_deleted() {
            let mut changes = Changes::default();
            let mut reached = start;
            for (count, block) in self.shared.store.blocks(partition, 0, start).enumerate() {
                let (last, value) = block?;
                if count == STEP {
                    break;
                }
                removed += value.len() as u64;
                changes.blocks.insert(keys::block(id, index, last), None);
                reached = if count + 1 == STEP { last + 1 } else { start };
            }
            changes.put_number(keys::mark(Mark::Start, id, index), reached);
            self.shared.store.write(changes, false)?;
            partition.set_start(reached);
        }
        Ok(removed)
    }
}
