//! Open transactions. Who has a transactional id is on disk; what is open is on disk too, as markers beside the blocks, so that a
//! start after a crash can remove it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use millrace_api::log::Offsets;
use millrace_api::{Error, ErrorKind, Result};

use super::command::Owner;
use super::turn::Turn;
use crate::error::producer_fenced;
use crate::group::MemberId;
use crate::keys::{self, BlockKey};
use crate::store::Store;
use crate::topic::Partition;

/// The transactional ids in use since the log was opened.
#[derive(Default)]
pub(super) struct Transactions {
    holders: HashMap<Arc<str>, Holder>,
    last: u64,
}

struct Holder {
    epoch: i64,
    timeout: Duration,
    open: Option<Open>,
}

/// An open transaction.
pub(super) struct Open {
    /// Number; unique among those that were open since the log was.
    pub(super) number: u64,
    /// Its blocks.
    pub(super) blocks: Vec<(Arc<Partition>, BlockKey)>,
    /// Positions that are committed with it, in the order in which they came.
    pub(super) positions: Vec<(Arc<MemberId>, Offsets)>,
    since: Instant,
}

impl Open {
    /// A block was written.
    pub(super) fn note(&mut self, partition: &Arc<Partition>, key: BlockKey) {
        self.blocks.push((Arc::clone(partition), key));
    }

    /// The partitions it wrote to.
    pub(super) fn partitions(&self) -> Vec<Arc<Partition>> {
        let mut partitions: Vec<_> = self.blocks.iter().map(|(partition, _)| Arc::clone(partition)).collect();
        partitions.sort_by_key(|partition| (partition.topic_id, partition.index));
        partitions.dedup_by_key(|partition| (partition.topic_id, partition.index));
        partitions
    }
}

impl Transactions {
    /// Gives an id to a new producer.
    pub(super) fn open_producer(
        &mut self,
        id: &str,
        timeout: Duration,
        store: &Store,
        turn: &mut Turn<'_>,
    ) -> Result<Owner> {
        let (known, before) = match self.holders.get_mut(id) {
            Some(holder) => (Some(holder.epoch), holder.open.take()),
            None => (None, None),
        };
        let epoch = match known {
            Some(epoch) => epoch + 1,
            None => store.meta(&keys::epoch(id))?.and_then(|value| keys::number(&value)).unwrap_or(-1) + 1,
        };
        if let Some(open) = before {
            turn.discard(&open);
        }
        turn.changes.put_number(keys::epoch(id), epoch);
        turn.sync = true;
        let id: Arc<str> = Arc::from(id);
        self.holders.insert(Arc::clone(&id), Holder { epoch, timeout, open: None });
        Ok(Owner { id, epoch })
    }

    fn holder(&mut self, owner: &Owner) -> Result<&mut Holder> {
        let holder = self.holders.get_mut(&owner.id).filter(|holder| holder.epoch == owner.epoch);
        holder.ok_or_else(|| producer_fenced(&owner.id))
    }

    /// The transaction a producer has open.
    pub(super) fn opened(&mut self, owner: &Owner) -> Result<&mut Open> {
        self.holder(owner)?.open.as_mut().ok_or_else(|| none_open(owner))
    }

    pub(super) fn begin(&mut self, owner: &Owner) -> Result<()> {
        let number = self.last + 1;
        let holder = self.holder(owner)?;
        if holder.open.is_some() {
            let message = "A transaction is open already; commit or abort it first";
            return Err(Error::new(ErrorKind::Conflict, message).with("transactional.id", &owner.id));
        }
        holder.open = Some(Open { number, blocks: Vec::new(), positions: Vec::new(), since: Instant::now() });
        self.last = number;
        Ok(())
    }

    pub(super) fn send_offsets(&mut self, owner: &Owner, member: Arc<MemberId>, offsets: Offsets) -> Result<()> {
        self.opened(owner)?.positions.push((member, offsets));
        Ok(())
    }

    pub(super) fn commit(&mut self, owner: &Owner, turn: &mut Turn<'_>) -> Result<()> {
        // Fenced here means: abort it. So it stays open.
        turn.check_positions(self.opened(owner)?)?;
        if let Some(open) = self.holder(owner)?.open.take() {
            turn.confirm(&open);
        }
        Ok(())
    }

    pub(super) fn abort(&mut self, owner: &Owner, turn: &mut Turn<'_>) -> Result<()> {
        self.opened(owner)?;
        if let Some(open) = self.holder(owner)?.open.take() {
            turn.discard(&open);
        }
        Ok(())
    }

    /// Aborts what is open for too long and fences its producers, as Kafka's coordinator does: a task that hangs must not hold back
    /// everybody who reads what it wrote to.
    pub(super) fn expire(&mut self, turn: &mut Turn<'_>) {
        for (id, holder) in &mut self.holders {
            let late = |open: &mut Open| open.since.elapsed() > holder.timeout;
            if let Some(open) = holder.open.take_if(late) {
                tracing::warn!(transactional_id = %id, "a transaction was open for longer than transaction.timeout.ms and is aborted");
                holder.epoch += 1;
                turn.changes.put_number(keys::epoch(id), holder.epoch);
                turn.discard(&open);
            }
        }
    }
}

fn none_open(owner: &Owner) -> Error {
    Error::new(ErrorKind::Conflict, "No transaction is open; begin one first").with("transactional.id", &owner.id)
}
