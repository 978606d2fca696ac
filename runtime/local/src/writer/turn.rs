//! One turn of the writer: commands in, one atomic write, answers out.

use std::collections::BTreeMap;
use std::sync::Arc;

use millrace_api::log::{Offsets, TopicPartition};
use millrace_api::{Error, ErrorKind, Result};

use super::command::{Append, Command, Done, Part};
use super::copy;
use super::transactions::{Open, Transactions};
use crate::block::{Body, Builder, TARGET_BYTES};
use crate::group::{Coordinator, MemberId};
use crate::keys::{self, Mark};
use crate::store::{Changes, Store};
use crate::topic::{Partition, Topic};

/// Called with the outcome of the turn's write.
type Answer = Box<dyn FnOnce(&Result<()>)>;

/// A turn. Commands change memory and `changes`; nothing is readable before [`Turn::finish`] has written them.
pub(crate) struct Turn<'a> {
    store: &'a Store,
    coordinator: &'a Coordinator,
    pub(super) changes: Changes,
    /// Whether somebody must be told that something is durable.
    pub(super) sync: bool,
    /// Small appends of several callers to one partition, and the offset of the first.
    gathering: BTreeMap<(u32, i32), (Arc<Partition>, i64, Builder)>,
    touched: BTreeMap<(u32, i32), Arc<Partition>>,
    ended: Vec<(u64, Vec<Arc<Partition>>)>,
    answers: Vec<Answer>,
}

impl<'a> Turn<'a> {
    pub(super) fn new(store: &'a Store, coordinator: &'a Coordinator) -> Self {
        Self {
            store,
            coordinator,
            changes: Changes::default(),
            sync: false,
            gathering: BTreeMap::new(),
            touched: BTreeMap::new(),
            ended: Vec::new(),
            answers: Vec::new(),
        }
    }

    /// Bytes to be written so far.
    pub(super) fn bytes(&self) -> usize {
        self.changes.bytes + self.gathering.values().map(|(_, _, builder)| builder.len()).sum::<usize>()
    }

    pub(super) fn apply(&mut self, command: Command, transactions: &mut Transactions) {
        match command {
            Command::CreateTopic { topic, next, done } => {
                self.create_topic(&topic, next);
                self.answer(done, Ok(()));
            }
            Command::DeleteTopic { topic, done } => {
                let outcome = self.delete_topic(&topic);
                self.answer(done, outcome);
            }
            Command::Append(append) => self.append(append, transactions),
            Command::OpenProducer { id, timeout, done } => {
                let outcome = transactions.open_producer(&id, timeout, self.store, self);
                self.answer(done, outcome);
            }
            Command::Begin { owner, done } => {
                let outcome = transactions.begin(&owner);
                self.answer(done, outcome);
            }
            Command::SendOffsets { owner, member, offsets, done } => {
                let outcome = self
                    .coordinator
                    .check(&member, offsets.keys())
                    .and_then(|()| transactions.send_offsets(&owner, member, offsets));
                self.answer(done, outcome);
            }
            Command::Commit { owner, done } => {
                let outcome = transactions.commit(&owner, self);
                self.answer(done, outcome);
            }
            Command::Abort { owner, done } => {
                let outcome = transactions.abort(&owner, self);
                self.answer(done, outcome);
            }
            Command::Expire => transactions.expire(self),
            Command::CommitPositions { member, offsets, done } => {
                let outcome = self.positions(&member, &offsets);
                self.answer(done, outcome);
            }
            Command::SetPositions { group, offsets, done } => {
                let outcome = self.set_positions(&group, &offsets);
                self.answer(done, outcome);
            }
            Command::Settle { done } => self.answer(done, Ok(())),
        }
    }

    /// Writes, publishes, wakes, answers.
    pub(super) fn finish(mut self) {
        for (_, (partition, base, builder)) in std::mem::take(&mut self.gathering) {
            self.put(&partition, base, builder.finish());
        }
        let outcome = if self.changes.is_empty() {
            Ok(())
        } else {
            self.store.write(std::mem::take(&mut self.changes), self.sync)
        };
        match &outcome {
            Ok(()) => self.publish(),
            Err(error) => tracing::error!(%error, "the log could not be written"),
        }
        for answer in self.answers {
            answer(&outcome);
        }
    }

    fn publish(&mut self) {
        for partition in self.touched.values() {
            partition.publish(partition.next());
        }
        for (number, partitions) in &self.ended {
            for partition in partitions {
                partition.ended(*number);
                partition.wake();
            }
        }
        self.touched.values().for_each(|partition| partition.wake());
    }

    /// Answers after the write: with its error if it fails, else with `outcome`.
    fn answer<T: 'static>(&mut self, done: Done<T>, outcome: Result<T>) {
        self.answers.push(Box::new(move |written| {
            let answer = match (outcome, written) {
                (Ok(_), Err(error)) => Err(copy(error)),
                (outcome, _) => outcome,
            };
            // Whoever asked may be gone.
            drop(done.send(answer));
        }));
    }

    fn append(&mut self, append: Append, transactions: &mut Transactions) {
        let Append { owner, parts, done } = append;
        let mut open = match owner.map(|owner| transactions.opened(&owner)).transpose() {
            Ok(open) => open,
            Err(error) => return self.answer(done, Err(error)),
        };
        let mut bases = Vec::with_capacity(parts.len());
        for (partition, part) in parts {
            if partition.is_deleted() {
                bases.push(None);
                continue;
            }
            let base = match (part, open.as_deref_mut()) {
                (Part::Open(builder), None) => self.gather(&partition, builder),
                (Part::Closed(body), None) => self.append_block(&partition, body).0,
                (Part::Open(builder), Some(open)) => self.append_opened(&partition, builder.finish(), open),
                (Part::Closed(body), Some(open)) => self.append_opened(&partition, body, open),
            };
            bases.push(Some(base));
            self.touched.insert((partition.topic_id, partition.index), partition);
        }
        // In a transaction it is the commit that makes things durable.
        self.sync |= open.is_none();
        self.answer(done, Ok(bases));
    }

    fn gather(&mut self, partition: &Arc<Partition>, builder: Builder) -> i64 {
        let base = partition.take(builder.span());
        let place = (partition.topic_id, partition.index);
        match self.gathering.get_mut(&place) {
            Some((_, _, gathered)) => gathered.append(&builder),
            None => drop(self.gathering.insert(place, (Arc::clone(partition), base, builder))),
        }
        if self.gathering.get(&place).is_some_and(|(_, _, gathered)| gathered.len() >= TARGET_BYTES) {
            self.close(partition);
        }
        base
    }

    /// Closes what is being gathered for a partition, because something else follows.
    fn close(&mut self, partition: &Partition) {
        if let Some((partition, base, builder)) = self.gathering.remove(&(partition.topic_id, partition.index)) {
            self.put(&partition, base, builder.finish());
        }
    }

    fn append_block(&mut self, partition: &Arc<Partition>, body: Body) -> (i64, keys::BlockKey) {
        self.close(partition);
        let base = partition.take(body.span);
        (base, self.put(partition, base, body))
    }

    fn append_opened(&mut self, partition: &Arc<Partition>, body: Body, open: &mut Open) -> i64 {
        let (base, key) = self.append_block(partition, body);
        partition.opened(open.number, base);
        self.changes.meta.insert(keys::open(open.number, &key), Some(Vec::new().into()));
        open.note(partition, key);
        base
    }

    fn put(&mut self, partition: &Partition, base: i64, body: Body) -> keys::BlockKey {
        let last = base + i64::from(body.span) - 1;
        let key = keys::block(partition.topic_id, partition.key_index(), last);
        self.changes.put_block(key, body.at(base));
        key
    }

    /// Removes the blocks of a transaction, and makes sure that their offsets are not given away again after a restart: somebody may
    /// have committed a position behind them.
    pub(super) fn discard(&mut self, open: &Open) {
        for (partition, key) in &open.blocks {
            self.changes.blocks.insert(*key, None);
            self.changes.meta.insert(keys::open(open.number, key), None);
            let floor = keys::mark(Mark::Floor, partition.topic_id, partition.key_index());
            self.changes.put_number(floor, partition.next());
        }
        self.ended.push((open.number, open.partitions()));
    }

    /// Makes the blocks and positions of a transaction everybody's.
    pub(super) fn confirm(&mut self, open: &Open) {
        for (_, key) in &open.blocks {
            self.changes.meta.insert(keys::open(open.number, key), None);
        }
        for (member, offsets) in &open.positions {
            for (partition, offset) in offsets {
                self.changes.put_number(keys::position(&member.group, partition), *offset);
            }
        }
        self.sync = true;
        self.ended.push((open.number, open.partitions()));
    }

    /// Whether the members of a transaction's positions are still in charge of them.
    pub(super) fn check_positions(&self, open: &Open) -> Result<()> {
        open.positions.iter().try_for_each(|(member, offsets)| self.coordinator.check(member, offsets.keys()))
    }

    fn positions(&mut self, member: &MemberId, offsets: &Offsets) -> Result<()> {
        self.coordinator.check(member, offsets.keys())?;
        for (partition, offset) in offsets {
            self.changes.put_number(keys::position(&member.group, partition), *offset);
        }
        self.sync = true;
        Ok(())
    }

    fn set_positions(&mut self, group: &str, offsets: &[(TopicPartition, Option<i64>)]) -> Result<()> {
        if self.coordinator.is_live(group) {
            let message = "The positions of a group can only be changed while it has no members";
            return Err(Error::new(ErrorKind::Conflict, message).with("group", group));
        }
        for (partition, offset) in offsets {
            let value = offset.map(|offset| offset.to_be_bytes().into());
            self.changes.meta.insert(keys::position(group, partition), value);
        }
        self.sync = true;
        Ok(())
    }

    fn create_topic(&mut self, topic: &Topic, next: u32) {
        self.changes.meta.insert(keys::topic(&topic.name), Some(crate::topic::encode(topic).into()));
        self.changes.meta.insert(keys::NEXT_TOPIC.to_vec(), Some(next.to_be_bytes().into()));
        self.sync = true;
    }

    fn delete_topic(&mut self, topic: &Topic) -> Result<()> {
        let stored = self.store.scan_meta(keys::all_positions())?.into_iter().map(|(key, _)| key.to_vec());
        let pending = self.changes.meta.keys().filter(|key| key.starts_with(keys::all_positions())).cloned();
        let about = |key: &Vec<u8>| keys::position_of(key).is_some_and(|partition| *partition.topic == *topic.name);
        let positions: Vec<_> = stored.chain(pending).filter(about).collect();
        for key in positions {
            self.changes.meta.insert(key, None);
        }
        self.changes.meta.insert(keys::topic(&topic.name), None);
        self.changes.meta.insert(keys::gone(topic.id), Some(Vec::new().into()));
        self.sync = true;
        Ok(())
    }
}
