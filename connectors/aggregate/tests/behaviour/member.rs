//! A task and its consumer, driven as the worker drives them.

use std::time::{Duration, Instant};

use millrace_api::batch::raw::RawRecords;
use millrace_api::batch::{Row, headers};
use millrace_api::config::Props;
use millrace_api::connector::{ConnectorPlugin as _, Report, Services, SinkContext, SinkTask, Task};
use millrace_api::converter::{Converter, ConverterUse};
use millrace_api::log::{Consumer, ConsumerOptions, Event, Offsets, Subscription, TopicPartition};
use millrace_api::{ErrorKind, RecordBatch, Result, Writer};
use millrace_connector_aggregate::AggregatePlugin;

use crate::world::World;

/// How long a team may take to come to rest. Far more than it needs: what does not end must fail, not hang.
const PATIENCE: Duration = Duration::from_secs(40);

const REPARTITION: &str = "hourly-repartition";

/// A running task.
pub(crate) struct Member {
    pub(crate) number: i32,
    pub(crate) task: Box<dyn SinkTask>,
    pub(crate) consumer: Box<dyn Consumer>,
    converter: Box<dyn Converter>,
    pub(crate) positions: Offsets,
    pub(crate) assigned: Vec<TopicPartition>,
    /// Values of records that were refused.
    pub(crate) refused: Vec<String>,
    /// Records that were left out on purpose.
    pub(crate) filtered: usize,
}

impl Member {
    pub(crate) async fn start(world: &World, number: i32) -> Self {
        Self::start_with(world, number, 7).await
    }

    /// `max_records`: most records in a batch.
    pub(crate) async fn start_with(world: &World, number: i32, max_records: usize) -> Self {
        Self::start_as(world, world.services.clone(), number, max_records, &Props::new()).await
    }

    /// One in another worker, with a disk of its own.
    pub(crate) async fn start_elsewhere(world: &World, number: i32) -> Self {
        Self::start_as(world, world.other_worker(), number, 7, &Props::new()).await
    }

    /// One that loses its partitions when it is away for `max_poll` milliseconds.
    pub(crate) async fn start_away(world: &World, number: i32, max_poll: &str) -> Self {
        let overrides = [("max.poll.interval.ms".to_owned(), max_poll.to_owned())].into_iter().collect();
        Self::start_as(world, world.services.clone(), number, 7, &overrides).await
    }

    async fn start_as(world: &World, services: Services, number: i32, max_records: usize, overrides: &Props) -> Self {
        let mut props = world.props.clone();
        let topics = format!("{},{REPARTITION}", props["topics"]);
        let subscription = Subscription::Topics(topics.split(',').map(str::to_owned).collect());
        props.insert("topics".to_owned(), topics);
        let mut options = ConsumerOptions::new("member", "connect-hourly", subscription);
        options.max_records = max_records;
        options.overrides.clone_from(overrides);
        let context =
            SinkContext { connector: "hourly".into(), task: number, group: "connect-hourly".to_owned(), services };
        let Task::Sink(mut task) = AggregatePlugin.task() else { panic!("a sink") };
        task.start(context, &props).await.expect("started");
        let plain: Props = [("schemas.enable".to_owned(), "false".to_owned())].into_iter().collect();
        let json = millrace_converters::by_class("JsonConverter").expect("the JSON converter");
        Self {
            number,
            task,
            consumer: world.services.log.consumer(options).await.expect("a consumer"),
            converter: json.converter(&plain, ConverterUse::Value).expect("a converter"),
            positions: Offsets::new(),
            assigned: Vec::new(),
            refused: Vec::new(),
            filtered: 0,
        }
    }

    /// Handles the next event, or returns `false` when none comes for a moment.
    pub(crate) async fn step(&mut self) -> Result<bool> {
        let Ok(event) = tokio::time::timeout(Duration::from_millis(20), self.consumer.next()).await else {
            return Ok(false);
        };
        match event? {
            Event::Records(records) => self.put(&*records).await?,
            Event::Assigned(partitions) => {
                self.task.open(&partitions).await?;
                self.assigned.extend(partitions);
            }
            Event::Revoked { partitions, lost } => {
                match self.commit().await {
                    Err(error) if lost || error.kind() == ErrorKind::Fenced => {}
                    result => result?,
                }
                self.task.close(&partitions).await;
                self.positions.retain(|partition, _| !partitions.contains(partition));
                self.assigned.retain(|partition| !partitions.contains(partition));
            }
            Event::EndOfPartition { .. } => {}
        }
        Ok(true)
    }

    pub(crate) async fn commit(&mut self) -> Result<()> {
        let group = self.consumer.group_metadata();
        self.task.pre_commit(&self.positions, &group).await.map(drop)
    }

    /// Records that are not read yet.
    pub(crate) fn lag(&self) -> i64 {
        self.consumer.lag().iter().map(|(_, lag)| lag).sum()
    }

    /// As the worker stops a task.
    pub(crate) async fn stop(mut self) {
        self.commit().await.expect("committed");
        self.task.stop().await;
        self.consumer.close().await;
    }

    async fn put(&mut self, records: &dyn RawRecords) -> Result<()> {
        let batch = self.convert(records);
        self.deliver(&batch).await?;
        for record in (0..records.len()).map(|index| records.get(index).expect("a record")) {
            self.positions.insert(TopicPartition::new(record.topic, record.partition), record.offset + 1);
        }
        Ok(())
    }

    /// Bisects a batch that is refused, as the worker does.
    async fn deliver(&mut self, batch: &RecordBatch) -> Result<()> {
        let mut report = Report::default();
        match self.task.put(batch, &mut report).await {
            Ok(()) => {
                self.filtered += report.filtered();
                for (index, _) in report.into_rejected() {
                    self.refused.push(batch.get(index).expect("a record").value().to_string());
                }
            }
            Err(error) if error.kind() != ErrorKind::Data => return Err(error),
            Err(_) if batch.len() == 1 => self.refused.push(batch.get(0).expect("a record").value().to_string()),
            Err(_) => {
                let middle = batch.len() / 2;
                for range in [0..middle, middle..batch.len()] {
                    let mut half = batch.clone();
                    *half.rows_mut() = batch.rows()[range].to_vec();
                    Box::pin(self.deliver(&half)).await?;
                }
            }
        }
        Ok(())
    }

    /// JSON values; of the repartition topic the bytes, after all others.
    fn convert(&mut self, records: &dyn RawRecords) -> RecordBatch {
        let mut batch = RecordBatch::new();
        let all = || (0..records.len()).map(|index| records.get(index).expect("a record"));
        let (internal, inputs): (Vec<_>, Vec<_>) = all().partition(|record| record.topic == REPARTITION);
        for record in inputs.into_iter().chain(internal) {
            let topic = batch.intern_topic(record.topic);
            let (value, ()) = batch
                .append(|out| {
                    if record.topic == REPARTITION {
                        Writer::new(out).bytes(record.value.expect("a message"));
                        return Ok(());
                    }
                    self.converter.to_connect(record.topic, record.value, out).map(drop)
                })
                .expect("converted");
            let (headers, ()) = batch
                .append(|out| {
                    for (name, value) in &record.headers {
                        let text = std::str::from_utf8(value.expect("a value")).expect("text");
                        headers::push(out, name, 0, |writer| writer.str(text));
                    }
                    Ok(())
                })
                .expect("appended");
            let (offset, timestamp, partition) = (record.offset, record.timestamp, record.partition);
            batch.push(Row { offset, timestamp, topic, partition, value, headers, ..Row::EMPTY });
        }
        batch
    }
}

/// Members that share the partitions.
pub(crate) struct Team {
    pub(crate) members: Vec<Member>,
}

impl Team {
    pub(crate) async fn start(world: &World, members: i32) -> Self {
        let mut team = Self { members: Vec::new() };
        for number in 0..members {
            team.members.push(Member::start(world, number).await);
        }
        team
    }

    /// Replaces a member that failed by a new one, as an operator's restart does. Nothing it had in memory is left.
    pub(crate) async fn restart(&mut self, world: &World, at: usize) {
        let failed = self.members.remove(at);
        let number = failed.number;
        drop(failed);
        self.members.insert(at, Member::start(world, number).await);
    }

    /// Reads and commits until there is nothing more to do. A member that fails is replaced; returns how many did.
    pub(crate) async fn settle(&mut self, world: &World) -> usize {
        let mut failed = 0;
        let since = Instant::now();
        loop {
            assert!(since.elapsed() < PATIENCE, "commits go on and on, {failed} tasks failed");
            let mut done = self.read(world, &mut failed).await;
            for at in 0..self.members.len() {
                match self.members[at].commit().await {
                    Err(error) if error.is_retriable() => done = false,
                    Err(_) => {
                        self.restart(world, at).await;
                        (failed, done) = (failed + 1, false);
                    }
                    Ok(()) => {}
                }
            }
            if done && self.members.iter().all(|member| member.lag() == 0) {
                return failed;
            }
        }
    }

    /// Reads everything there is. Returns whether nobody failed.
    async fn read(&mut self, world: &World, failed: &mut usize) -> bool {
        let topics = world.props["topics"].split(',').count();
        let all = topics * usize::try_from(world.partitions).expect("few") + 2;
        let mut well = true;
        let since = Instant::now();
        while self.members.iter().map(|member| member.assigned.len()).sum::<usize>() < all
            || self.members.iter().any(|member| member.lag() > 0)
        {
            assert!(since.elapsed() < PATIENCE, "reading goes on and on, {failed} tasks failed");
            for at in 0..self.members.len() {
                if self.members[at].step().await.is_err() {
                    self.restart(world, at).await;
                    (*failed, well) = (*failed + 1, false);
                }
            }
        }
        well
    }

    pub(crate) async fn stop(self) {
        for member in self.members {
            member.stop().await;
        }
    }
}
