//! A log that fails where it is told to. It also checks that the producer of a source is used as the seam allows: after a failed
//! send nothing but an abort, after an unclear commit nothing but another.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use millrace_api::batch::raw::{RawBatch, RawRecords};
use millrace_api::config::Props;
use millrace_api::log::{
    Appended, Consumer, ConsumerOptions, GroupMetadata, Log, Offsets, Producer, ProducerOptions, TopicInfo,
    TopicPartition, TopicSpec,
};
use millrace_api::{Error, ErrorKind, Result};

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// No transaction can be begun for now.
    Begin,
    /// The fourth record of a batch is not appended, the others are.
    OneRecord,
    /// A batch is appended, but nobody says so.
    WholeSend,
    /// The offsets of a batch are not appended.
    Offsets,
    /// Numbers that end in 3 can never be accepted.
    Refused,
    /// The commit is refused, and the transaction must be aborted.
    CommitRefused,
    /// The commit has no answer, and did not happen yet.
    CommitLost,
    /// The commit happened, but its answer is lost; asked again, the log says so.
    CommitUnclear,
    /// The commit happened, but all that is heard is that everything is broken.
    CommitBroken,
    /// The commit happened, its answer is lost, and then everything is broken.
    CommitUnclearThenBroken,
    /// A batch is not appended, and its transaction cannot be aborted.
    AbortFails,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Idle,
    Open,
    Spoilt,
    Unclear,
    Lost,
}

/// Which fault comes next, and what was done wrong.
pub struct Faults {
    /// The fault, how many times it is left out and then how many times it happens.
    armed: Mutex<Option<(Fault, u32, u32)>>,
    phase: Mutex<Phase>,
    pub hits: Mutex<u32>,
    pub violations: Mutex<Vec<String>>,
}

impl Faults {
    /// After `skip` calls that go well, `times` that do not.
    pub fn armed(fault: Fault, skip: u32, times: u32) -> Arc<Self> {
        Arc::new(Self {
            armed: Mutex::new(Some((fault, skip, times))),
            phase: Mutex::new(Phase::Idle),
            hits: Mutex::default(),
            violations: Mutex::default(),
        })
    }

    pub fn disarm(&self) {
        *self.armed.lock().unwrap() = None;
    }

    pub fn hits(&self) -> u32 {
        *self.hits.lock().unwrap()
    }

    fn hit(&self, fault: Fault) -> bool {
        let mut armed = self.armed.lock().unwrap();
        let Some((_, skip, times)) = armed.as_mut().filter(|(armed, ..)| *armed == fault) else { return false };
        if *skip > 0 {
            *skip -= 1;
            return false;
        }
        if *times == 0 {
            return false;
        }
        *times -= 1;
        *self.hits.lock().unwrap() += 1;
        true
    }

    fn step(&self, call: &str, allowed: &[Phase], next: Phase) {
        let mut phase = self.phase.lock().unwrap();
        if !allowed.contains(&phase) {
            self.violations.lock().unwrap().push(format!("{call} while {phase:?}"));
        }
        *phase = next;
    }
}

fn out_of_reach() -> Error {
    Error::retriable("the log is out of reach")
}

fn no_answer() -> Error {
    Error::new(ErrorKind::Timeout, "the log did not answer in time")
}

fn broken() -> Error {
    Error::external("the log is broken")
}

/// The log.
pub struct FaultyLog {
    pub inner: Arc<dyn Log>,
    pub faults: Arc<Faults>,
}

struct FaultyProducer {
    inner: Box<dyn Producer>,
    faults: Arc<Faults>,
    transactional: bool,
}

impl FaultyProducer {
    fn step(&self, call: &str, allowed: &[Phase], next: Phase) {
        if self.transactional {
            self.faults.step(call, allowed, next);
        }
    }

    /// Sends all but the records that `fault_of` has an error for.
    async fn send_but(
        &self,
        records: &dyn RawRecords,
        fault_of: impl Fn(usize, &str) -> Option<Error>,
    ) -> Result<Vec<Result<Appended>>> {
        let mut rest = RawBatch::new();
        let mut refused = Vec::new();
        for index in 0..records.len() {
            let record = records.get(index).unwrap();
            let error = fault_of(index, std::str::from_utf8(record.value.unwrap()).unwrap());
            if error.is_none() {
                rest.push(&record)?;
            }
            refused.push(error);
        }
        let mut sent = self.inner.send(&rest).await?.into_iter();
        let results: Vec<_> =
            refused.into_iter().map(|error| error.map_or_else(|| sent.next().unwrap(), Err)).collect();
        if results.iter().any(Result::is_err) {
            self.step("send", &[Phase::Open], Phase::Spoilt);
        }
        Ok(results)
    }
}

#[async_trait]
impl Producer for FaultyProducer {
    async fn send(&self, records: &dyn RawRecords) -> Result<Vec<Result<Appended>>> {
        self.step("send", &[Phase::Open], Phase::Open);
        let faults = &self.faults;
        if records.get(0).is_some_and(|record| record.topic == "connect-offsets") {
            let fails = faults.hit(Fault::Offsets);
            return self.send_but(records, |_, _| fails.then(out_of_reach)).await;
        }
        if faults.hit(Fault::Refused) {
            let refuse = |_: usize, value: &str| value.ends_with("3}").then(|| Error::data("the record is too large"));
            return self.send_but(records, refuse).await;
        }
        if faults.hit(Fault::OneRecord) {
            return self.send_but(records, |index, _| (index == 3).then(out_of_reach)).await;
        }
        if faults.hit(Fault::WholeSend) {
            self.inner.send(records).await?;
            self.step("send", &[Phase::Open], Phase::Spoilt);
            return Err(no_answer());
        }
        if faults.armed.lock().unwrap().is_some_and(|(fault, skip, _)| fault == Fault::AbortFails && skip == 0) {
            self.step("send", &[Phase::Open], Phase::Spoilt);
            return Err(out_of_reach());
        }
        self.inner.send(records).await
    }

    async fn begin(&self) -> Result<()> {
        if self.faults.hit(Fault::Begin) {
            return Err(out_of_reach());
        }
        self.step("begin", &[Phase::Idle], Phase::Open);
        self.inner.begin().await
    }

    async fn send_offsets(&self, group: &GroupMetadata, offsets: &Offsets) -> Result<()> {
        self.inner.send_offsets(group, offsets).await
    }

    async fn commit(&self) -> Result<()> {
        let faults = &self.faults;
        let unclear = *faults.phase.lock().unwrap() == Phase::Unclear;
        self.step("commit", &[Phase::Open, Phase::Unclear], Phase::Idle);
        if unclear && faults.hit(Fault::CommitUnclear) {
            return Ok(());
        }
        if unclear && faults.hit(Fault::CommitUnclearThenBroken) {
            self.step("commit", &[Phase::Idle], Phase::Lost);
            return Err(broken());
        }
        if faults.hit(Fault::CommitRefused) {
            self.step("commit", &[Phase::Idle], Phase::Spoilt);
            return Err(broken());
        }
        if faults.hit(Fault::CommitLost) {
            self.step("commit", &[Phase::Idle], Phase::Unclear);
            return Err(no_answer());
        }
        self.inner.commit().await?;
        if faults.hit(Fault::CommitUnclear) || faults.hit(Fault::CommitUnclearThenBroken) {
            self.step("commit", &[Phase::Idle], Phase::Unclear);
            return Err(no_answer());
        }
        if faults.hit(Fault::CommitBroken) {
            self.step("commit", &[Phase::Idle], Phase::Spoilt);
            return Err(broken());
        }
        // What goes well here counts towards the calls that are to go well.
        faults.armed.lock().unwrap().iter_mut().filter(|armed| armed.0 == Fault::AbortFails).for_each(|armed| {
            armed.1 = armed.1.saturating_sub(1);
        });
        Ok(())
    }

    async fn abort(&self) -> Result<()> {
        if self.faults.hit(Fault::AbortFails) {
            self.step("abort", &[Phase::Spoilt], Phase::Lost);
            return Err(broken());
        }
        self.step("abort", &[Phase::Open, Phase::Spoilt], Phase::Idle);
        self.inner.abort().await
    }
}

#[async_trait]
impl Log for FaultyLog {
    async fn cluster_id(&self) -> Result<String> {
        self.inner.cluster_id().await
    }

    async fn create_topic(&self, spec: &TopicSpec) -> Result<bool> {
        self.inner.create_topic(spec).await
    }

    async fn delete_topic(&self, name: &str) -> Result<()> {
        self.inner.delete_topic(name).await
    }

    async fn topics(&self) -> Result<Vec<TopicInfo>> {
        self.inner.topics().await
    }

    async fn offsets(&self, topic: &str, read_committed: bool) -> Result<Vec<(i64, i64)>> {
        self.inner.offsets(topic, read_committed).await
    }

    /// Only producers of source tasks are faulty.
    async fn producer(&self, options: ProducerOptions) -> Result<Box<dyn Producer>> {
        let (ours, transactional) =
            (options.client_id.starts_with("connector-producer-"), options.transactional_id.is_some());
        let inner = self.inner.producer(options).await?;
        if !ours {
            return Ok(inner);
        }
        *self.faults.phase.lock().unwrap() = Phase::Idle;
        Ok(Box::new(FaultyProducer { inner, faults: Arc::clone(&self.faults), transactional }))
    }

    async fn consumer(&self, options: ConsumerOptions) -> Result<Box<dyn Consumer>> {
        self.inner.consumer(options).await
    }

    async fn group_offsets(&self, group: &str) -> Result<Offsets> {
        self.inner.group_offsets(group).await
    }

    async fn set_group_offsets(&self, group: &str, offsets: &[(TopicPartition, Option<i64>)]) -> Result<()> {
        self.inner.set_group_offsets(group, offsets).await
    }

    fn check_overrides(&self, overrides: &Props) -> Result<()> {
        self.inner.check_overrides(overrides)
    }
}
