//! Metrics of tasks and of the process, rendered in Prometheus' text format.
//!
//! Every record is counted where it leaves (invariant 3): `in = delivered + dropped + filtered + dead-lettered`, per task.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, text::encode};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::errors::Stage;
use crate::progress::{Progress, Stall, TaskProgress};

/// Labels of a task's metrics.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
pub struct TaskLabels {
    connector: String,
    task: i32,
}

/// Labels of a task's failures in one stage.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct StageLabels {
    connector: String,
    task: i32,
    stage: &'static str,
}

/// Labels of a partition's lag.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct LagLabels {
    connector: String,
    task: i32,
    topic: String,
    partition: i32,
}

#[derive(Clone)]
struct Seconds;

impl MetricConstructor<Histogram> for Seconds {
    fn new_metric(&self) -> Histogram {
        Histogram::new([0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0])
    }
}

type Counters = Family<TaskLabels, Counter>;
type Seconds64 = Gauge<f64, AtomicU64>;
type Ages = Family<TaskLabels, Seconds64>;
type Histograms = Family<TaskLabels, Histogram, Seconds>;

/// All metrics of a worker.
pub struct Metrics {
    registry: Mutex<Registry>,
    records_in: Counters,
    records_out: Counters,
    records_dropped: Counters,
    records_filtered: Counters,
    records_failed: Counters,
    records_dead_lettered: Counters,
    failures: Family<StageLabels, Counter>,
    retries: Counters,
    batch_seconds: Histograms,
    transform_seconds: Histograms,
    end_to_end_seconds: Histograms,
    lag: Family<LagLabels, Gauge>,
    resident_bytes: Seconds64,
    poll_age: Ages,
    delivery_age: Ages,
    commit_age: Ages,
    stalled: Family<TaskLabels, Gauge>,
    /// The tasks that run, by who they are.
    progress: Mutex<BTreeMap<TaskLabels, Weak<Progress>>>,
    stalled_after: Duration,
}

/// The metrics of one task; cloning shares them.
#[derive(Clone)]
pub struct TaskMetrics {
    /// Records polled from the log or the source.
    pub records_in: Counter,
    /// Records acknowledged by the other side.
    pub records_out: Counter,
    /// Records that a transformation dropped on purpose.
    pub records_dropped: Counter,
    /// Records that the sink left out on purpose: duplicates, older versions.
    pub records_filtered: Counter,
    /// Records at fault.
    pub records_failed: Counter,
    /// Records written to the dead letter queue.
    pub records_dead_lettered: Counter,
    /// Batches tried again.
    pub retries: Counter,
    /// Time of one delivery.
    pub batch_seconds: Histogram,
    /// Time to convert and transform one batch.
    pub transform_seconds: Histogram,
    /// Whether it moves.
    pub progress: Arc<Progress>,
    /// From a record's timestamp to its acknowledgement by the other side, per batch: the oldest record.
    pub end_to_end_seconds: Histogram,
    failures: Family<StageLabels, Counter>,
    labels: TaskLabels,
    stalled_after: Duration,
    lag: Family<LagLabels, Gauge>,
    known_lag: Arc<Mutex<Vec<LagLabels>>>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new(Duration::from_mins(1))
    }
}

impl Metrics {
    /// A worker's, whose tasks are stalled when they have waited for something for `stalled_after`.
    #[must_use]
    pub fn new(stalled_after: Duration) -> Self {
        let histograms = || Histograms::new_with_constructor(Seconds);
        let metrics = Self {
            registry: Mutex::new(Registry::default()),
            records_in: Counters::default(),
            records_out: Counters::default(),
            records_dropped: Counters::default(),
            records_filtered: Counters::default(),
            records_failed: Counters::default(),
            records_dead_lettered: Counters::default(),
            failures: Family::default(),
            retries: Counters::default(),
            batch_seconds: histograms(),
            transform_seconds: histograms(),
            end_to_end_seconds: histograms(),
            lag: Family::default(),
            resident_bytes: Gauge::default(),
            poll_age: Ages::default(),
            delivery_age: Ages::default(),
            commit_age: Ages::default(),
            stalled: Family::default(),
            progress: Mutex::default(),
            stalled_after,
        };
        metrics.register();
        metrics
    }

    fn register(&self) {
        let mut registry = lock(&self.registry);
        let mut counter = |name: &str, help: &str, metric: &Counters| registry.register(name, help, metric.clone());
        counter("millrace_task_records_in", "Records polled from the log or the source", &self.records_in);
        counter("millrace_task_records_out", "Records acknowledged by the other side", &self.records_out);
        counter("millrace_task_records_dropped", "Records dropped by a transformation", &self.records_dropped);
        counter("millrace_task_records_filtered", "Records left out by the sink on purpose", &self.records_filtered);
        counter("millrace_task_records_failed", "Records at fault", &self.records_failed);
        counter(
            "millrace_task_records_dead_lettered",
            "Records written to the dead letter queue",
            &self.records_dead_lettered,
        );
        counter("millrace_task_retries", "Batches tried again", &self.retries);
        registry.register(
            "millrace_task_failures",
            "Failures of records, by the stage in which they failed; a record that was split may fail more than once",
            self.failures.clone(),
        );
        let mut histogram = |name: &str, help: &str, metric: &Histograms| registry.register(name, help, metric.clone());
        histogram("millrace_task_batch_seconds", "Time to deliver one batch", &self.batch_seconds);
        histogram(
            "millrace_task_transform_seconds",
            "Time to convert and transform one batch",
            &self.transform_seconds,
        );
        histogram(
            "millrace_task_end_to_end_seconds",
            "Record timestamp to acknowledgement, oldest of each batch",
            &self.end_to_end_seconds,
        );
        let mut age = |name: &str, help: &str, metric: &Ages| registry.register(name, help, metric.clone());
        age("millrace_task_poll_age_seconds", "Since records last came from the log or the source", &self.poll_age);
        age("millrace_task_delivery_age_seconds", "Since the other side last took a batch", &self.delivery_age);
        age("millrace_task_commit_age_seconds", "Since offsets were last committed", &self.commit_age);
        registry.register(
            "millrace_task_stalled",
            "1 when a task has waited too long for something",
            self.stalled.clone(),
        );
        registry.register("millrace_task_lag_records", "Records behind the end of a partition", self.lag.clone());
        registry.register("process_resident_memory_bytes", "Resident memory", self.resident_bytes.clone());
    }

    /// The metrics of a task, at zero when it is new.
    #[must_use]
    pub fn task(&self, connector: &str, task: i32) -> TaskMetrics {
        let labels = TaskLabels { connector: connector.to_owned(), task };
        let progress = Arc::new(Progress::default());
        lock(&self.progress).insert(labels.clone(), Arc::downgrade(&progress));
        let records_in = self.records_in.get_or_create_owned(&labels);
        // From here on it is measured.
        progress.load(records_in.get());
        TaskMetrics {
            progress,
            records_in,
            records_out: self.records_out.get_or_create_owned(&labels),
            records_dropped: self.records_dropped.get_or_create_owned(&labels),
            records_filtered: self.records_filtered.get_or_create_owned(&labels),
            records_failed: self.records_failed.get_or_create_owned(&labels),
            records_dead_lettered: self.records_dead_lettered.get_or_create_owned(&labels),
            retries: self.retries.get_or_create_owned(&labels),
            batch_seconds: self.batch_seconds.get_or_create_owned(&labels),
            transform_seconds: self.transform_seconds.get_or_create_owned(&labels),
            end_to_end_seconds: self.end_to_end_seconds.get_or_create_owned(&labels),
            failures: self.failures.clone(),
            labels,
            stalled_after: self.stalled_after,
            lag: self.lag.clone(),
            known_lag: Arc::default(),
        }
    }

    /// How the tasks that run now move.
    #[must_use]
    pub fn progress(&self) -> Vec<TaskProgress> {
        let mut known = lock(&self.progress);
        known.retain(|labels, progress| {
            let gone = progress.strong_count() == 0;
            if gone {
                for family in [&self.poll_age, &self.delivery_age, &self.commit_age] {
                    family.remove(labels);
                }
                self.stalled.remove(labels);
            }
            !gone
        });
        let tasks = known.iter().filter_map(|(labels, progress)| Some((labels, progress.upgrade()?)));
        tasks
            .map(|(labels, progress)| TaskProgress {
                connector: labels.connector.clone(),
                task: labels.task,
                ages: progress.ages(),
                stalled: progress.stalled(self.stalled_after),
                load: progress.load(self.records_in.get_or_create_owned(labels).get()),
            })
            .collect()
    }

    fn set_progress(&self) {
        for task in self.progress() {
            let labels = TaskLabels { connector: task.connector, task: task.task };
            let ages = task.ages;
            let given =
                [(&self.poll_age, ages.poll), (&self.delivery_age, ages.delivery), (&self.commit_age, ages.commit)];
            for (family, age) in given {
                if let Some(age) = age {
                    family.get_or_create(&labels).set(age.as_secs_f64());
                }
            }
            self.stalled.get_or_create(&labels).set(i64::from(task.stalled.is_some()));
        }
    }

    /// Text for `/metrics`.
    #[must_use]
    pub fn render(&self) -> String {
        if let Some(bytes) = resident_bytes() {
            self.resident_bytes.set(bytes as f64);
        }
        self.set_progress();
        let mut text = String::new();
        // Writing to a String cannot fail; an empty answer would be seen by the scraper.
        let _ = encode(&mut text, &lock(&self.registry));
        text
    }
}

impl TaskMetrics {
    /// What the task has waited for too long, once each time it begins to. Tasks ask now and then, and their load is measured then, so that
    /// it is known for minutes and not for a whole life when a leader wants it.
    #[must_use]
    pub fn begins_to_stall(&self) -> Option<Stall> {
        self.progress.load(self.records_in.get());
        self.progress.begins_to_stall(self.stalled_after)
    }

    /// Counts a failure of a record.
    pub fn failed_in(&self, stage: Stage) {
        let TaskLabels { connector, task } = self.labels.clone();
        self.failures.get_or_create_owned(&StageLabels { connector, task, stage: stage.name() }).inc();
    }

    /// Sets the lag of the assigned partitions and forgets those of others.
    pub fn set_lag(&self, lag: &[(millrace_api::log::TopicPartition, i64)]) {
        let label = |tp: &millrace_api::log::TopicPartition| LagLabels {
            connector: self.labels.connector.clone(),
            task: self.labels.task,
            topic: tp.topic.to_string(),
            partition: tp.partition,
        };
        let now: Vec<_> = lag.iter().map(|(tp, _)| label(tp)).collect();
        for (labels, (_, records)) in now.iter().zip(lag) {
            self.lag.get_or_create(labels).set(*records);
        }
        let mut known = lock(&self.known_lag);
        known.iter().filter(|labels| !now.contains(labels)).for_each(|gone| {
            self.lag.remove(gone);
        });
        *known = now;
    }

    /// Observes a duration in a histogram.
    pub fn observe(histogram: &Histogram, elapsed: Duration) {
        histogram.observe(elapsed.as_secs_f64());
    }
}

/// Resident memory of this process, from `/proc`; `None` where there is none.
#[must_use]
pub fn resident_bytes() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * 4096)
}

/// A poisoned lock only means that another thread panicked while counting; the numbers are still numbers.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
