//! The thread that removes what is not wanted any more: blocks of deleted topics, old records (`retention.ms`, `retention.bytes`),
//! records that newer ones with the same key replaced (`cleanup.policy=compact`), transactions that were open for too long.
//!
//! Every step is an atomic write that leaves the log complete, so it may stop, or the process may die, between any two.

mod compact;
mod retention;
mod rewrite;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use millrace_api::Result;
use tokio::sync::oneshot;

use crate::block::TARGET_BYTES;
use crate::check::lock;
use crate::error::{closed, corrupt, disk};
use crate::keys;
use crate::log::Shared;
use crate::store::Changes;
use crate::writer::Command;

/// Blocks removed in one write.
const STEP: usize = 1_000;

/// Space is given back to the disk when this much was removed at once; fjall does it by itself later otherwise.
const WORTH_RECLAIMING: u64 = 32 << 20;

/// How often transactions are looked at.
const TICK: Duration = Duration::from_secs(10);

enum Task {
    Run(oneshot::Sender<Result<()>>),
    Sweep,
}

/// The way to the cleaner's thread.
pub(crate) struct Cleaner {
    tasks: Mutex<Option<Sender<Task>>>,
    stop: Arc<AtomicBool>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Cleaner {
    /// Starts the thread.
    pub(crate) fn start(shared: &Arc<Shared>) -> Result<Self> {
        let (sender, receiver) = channel();
        let stop = Arc::new(AtomicBool::new(false));
        let work = Work { shared: Arc::clone(shared), stop: Arc::clone(&stop) };
        let thread = std::thread::Builder::new()
            .name("millrace-cleaner".to_owned())
            .spawn(move || work.run(&receiver))
            .map_err(|error| disk("starting the cleaner", error.into()))?;
        Ok(Self { tasks: Mutex::new(Some(sender)), stop, thread: Mutex::new(Some(thread)) })
    }

    /// Cleans everything now.
    pub(crate) async fn run_now(&self) -> Result<()> {
        let (done, answer) = oneshot::channel();
        self.give(Task::Run(done));
        answer.await.unwrap_or_else(|_| Err(closed()))
    }

    /// A topic was deleted.
    pub(crate) fn nudge(&self) {
        self.give(Task::Sweep);
    }

    fn give(&self, task: Task) {
        if let Some(sender) = &*lock(&self.tasks) {
            // A cleaner that is gone drops the task, and whoever waits for it reads that as "closed".
            let _ = sender.send(task);
        }
    }

    /// Stops between two steps and waits for that.
    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Release);
        drop(lock(&self.tasks).take());
        let thread = lock(&self.thread).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the log's cleaner ended with a panic");
        }
    }
}

/// What the thread works with.
struct Work {
    shared: Arc<Shared>,
    stop: Arc<AtomicBool>,
}

impl Work {
    fn run(&self, tasks: &Receiver<Task>) {
        report("freeing what deleted topics held", self.sweep());
        let interval = self.shared.options.cleanup_interval;
        let mut next = Instant::now() + interval;
        loop {
            match tasks.recv_timeout(TICK.min(next.saturating_duration_since(Instant::now()))) {
                Ok(Task::Run(done)) => drop(done.send(self.clean(true))),
                Ok(Task::Sweep) => report("freeing what a deleted topic held", self.sweep()),
                Err(RecvTimeoutError::Timeout) => self.shared.writer.submit(Command::Expire),
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if Instant::now() >= next {
                report("retention and compaction", self.clean(false));
                next = Instant::now() + interval;
            }
        }
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// One round over everything. A partition that fails does not keep the others from their turn; the first error is returned.
    fn clean(&self, force: bool) -> Result<()> {
        let mut outcome = self.sweep();
        let mut removed = 0;
        for topic in self.shared.registry.all() {
            for partition in &topic.partitions {
                if self.stopped() {
                    return outcome;
                }
                let mut cleaned = Ok(0);
                if topic.config.delete {
                    cleaned = self.retain(&topic.config, partition);
                }
                if topic.config.compact {
                    cleaned = cleaned.and_then(|removed| Ok(removed + self.compact(&topic.config, partition, force)?));
                }
                match cleaned {
                    Ok(bytes) => removed += bytes,
                    Err(error) => outcome = outcome.and(Err(error.with("partition", partition.name()))),
                }
            }
        }
        if removed >= WORTH_RECLAIMING {
            outcome = outcome.and(self.shared.store.reclaim());
        }
        outcome
    }

    /// Removes the blocks of deleted topics, a step at a time.
    fn sweep(&self) -> Result<()> {
        let store = &self.shared.store;
        let mut removed = 0;
        for (key, _) in store.scan_meta(keys::GONE)? {
            let number = key.get(keys::GONE.len()..).and_then(|number| number.try_into().ok()).map(u32::from_be_bytes);
            let topic = number.ok_or_else(|| corrupt("freeing what deleted topics held"))?;
            loop {
                if self.stopped() {
                    return Ok(());
                }
                let blocks = store.keys_of_topic(topic, STEP)?;
                let mut changes = Changes::default();
                let last = blocks.len() < STEP;
                removed += blocks.len() as u64;
                changes.blocks.extend(blocks.into_iter().map(|block| (block, None)));
                if last {
                    for mark in store.marks_of_topic(topic)? {
                        changes.meta.insert(mark, None);
                    }
                    changes.meta.insert(key.to_vec(), None);
                }
                store.write(changes, false)?;
                if last {
                    break;
                }
            }
        }
        // What the blocks took is not known without reading them; it is taken to be half of what one takes at most.
        if removed * (TARGET_BYTES as u64 / 2) >= WORTH_RECLAIMING { store.reclaim() } else { Ok(()) }
    }
}

fn report(what: &'static str, outcome: Result<()>) {
    if let Err(error) = outcome {
        tracing::warn!(%error, "{what} failed and is tried again later");
    }
}
