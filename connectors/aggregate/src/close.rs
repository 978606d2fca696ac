//! The end of windows: closing what the watermark has passed, and results.

use millrace_api::batch::{RecordBatch, Row, flags};
use millrace_api::{Result, Writer};

use crate::config::AggregateConfig;
use crate::key;
use crate::merge::{CLOSED, Merge};

/// How many states one look into the table returns at most.
const SCAN: usize = 1_000;

/// How many results the guest makes in one call.
const EMIT: usize = 2_000;

impl Merge {
    /// Closes windows that the watermark has passed, until `most` are closed since the last commit, so that memory does not depend
    /// on how many groups there are. Returns whether there are more. May be called again before a commit, and after it.
    pub(crate) fn close_passed(&mut self, config: &AggregateConfig, most: usize) -> Result<bool> {
        let last = config.last_closed(self.watermark);
        if last <= self.closed_until {
            return Ok(false);
        }
        let (mut from, to) = key::windows_until(last);
        let changed: Vec<Vec<u8>> = self.dirty.range(from.clone()..to.clone()).map(|(key, _)| key.clone()).collect();
        for key in changed {
            if self.closed.len() >= most {
                return Ok(true);
            }
            if let Some(Some(state)) = self.dirty.insert(key.clone(), None) {
                self.closed.insert(key, state);
            }
        }
        loop {
            let found = self.table.scan(&from, &to, SCAN)?;
            let Some((last, _)) = found.last() else { break };
            from = [last.as_slice(), &[0]].concat();
            // What is in `dirty` was closed just now.
            for (key, state) in found.into_iter().filter(|(key, _)| !self.dirty.contains_key(key)).collect::<Vec<_>>() {
                if self.closed.len() >= most {
                    return Ok(true);
                }
                self.dirty.insert(key.clone(), None);
                self.closed.insert(key, state);
            }
        }
        self.closed_until = last;
        self.set(CLOSED, last);
        Ok(false)
    }

    /// Removes windows that are closed already from the table. A worker that was away for longer than the changelog keeps
    /// tombstones still has them; they must not be emitted a second time.
    pub(crate) fn forget_closed(&mut self) -> Result<()> {
        let (from, to) = key::windows_until(self.closed_until);
        loop {
            let found = self.table.scan(&from, &to, SCAN)?;
            if found.is_empty() {
                return Ok(());
            }
            let gone: Vec<_> = found.into_iter().map(|(key, _)| (key, None)).collect();
            self.table.write(&gone)?;
        }
    }

    /// States to emit, as the guest takes them, in batches.
    pub(crate) fn results(&self, config: &AggregateConfig) -> Result<Vec<RecordBatch>> {
        let mut batches = Vec::new();
        if config.emit_mode == "update" {
            for key in self.changed.iter().filter(|key| !self.closed.contains_key(*key)) {
                if let Some(state) = self.get(key)? {
                    push(&mut batches, key, &state, 0, config)?;
                }
            }
        }
        for (key, state) in &self.closed {
            push(&mut batches, key, state, flags::FINAL, config)?;
        }
        Ok(batches)
    }
}

fn push(batches: &mut Vec<RecordBatch>, key: &[u8], state: &[u8], flags: u32, config: &AggregateConfig) -> Result<()> {
    let Some((start, group)) = key::parse_window(key) else { return Ok(()) };
    if batches.last().is_none_or(|batch| batch.len() >= EMIT) {
        batches.push(RecordBatch::new());
    }
    let Some(batch) = batches.last_mut() else { return Ok(()) };
    let topic = batch.intern_topic(&config.output_topic);
    let (group, ()) = batch.append(|out| {
        out.extend_from_slice(group);
        Ok(())
    })?;
    let (value, ()) = batch.append(|out| {
        Writer::new(out).bytes(state);
        Ok(())
    })?;
    let origin = u32::try_from(batch.len()).unwrap_or(u32::MAX);
    batch.push(Row {
        offset: start.saturating_add(config.window_size_ms),
        timestamp: start,
        topic,
        key: group,
        value,
        flags,
        origin,
        ..Row::EMPTY
    });
    Ok(())
}
