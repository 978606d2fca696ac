//! `millrace topics`: look at topics, or write to them.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use millrace_api::batch::raw::{RawBatch, RawRecord, RawRecords};
use millrace_api::{Error, ErrorKind, Result};
use millrace_kafka::{ClientProps, KafkaLog};
use millrace_local::{LocalLog, LocalOptions};
use millrace_rest::topics::{LogTopics, MAX_RECORDS, MAX_WAIT, RecordBody, TopicAccess};
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, BufReader};

use crate::args::{Topics, TopicsCommand};
use crate::output;
use crate::worker_file;
use crate::worker_topics::WorkerTopics;

/// Records of each partition that `tail` starts with.
const TAIL: i64 = 10;

/// Lines that `produce` appends at once.
const PRODUCE_BATCH: usize = 500;

/// Bytes that `produce` appends at once, if a single record does not have more.
const PRODUCE_BYTES: usize = 256 << 10;

/// How long to wait for a directory whose worker is starting or stopping.
const PATIENCE: Duration = Duration::from_secs(5);

pub(crate) async fn run(args: Topics) -> Result<()> {
    let topics = open(&args).await?;
    match &args.command {
        TopicsCommand::List => list(&*topics, args.json).await,
        TopicsCommand::Tail { topic, from_beginning, follow, limit } => {
            let limit = limit.unwrap_or(u64::MAX);
            tail(&*topics, topic, *from_beginning, *follow, limit, args.json).await
        }
        TopicsCommand::Produce { topic, keyed } => produce(&*topics, topic, *keyed).await,
    }
}

/// Kafka, the embedded log, or the worker that holds it.
async fn open(args: &Topics) -> Result<Box<dyn TopicAccess>> {
    if let Some(bootstrap) = &args.bootstrap_servers {
        return Ok(Box::new(LogTopics::new(Arc::new(KafkaLog::new(bootstrap, ClientProps::default())?))));
    }
    if !args.data.exists() {
        return Err(Error::config(format!(
            "there is no embedded log in {}; name its directory with --data",
            args.data.display()
        )));
    }
    let until = Instant::now() + PATIENCE;
    loop {
        let failed = match open_embedded(&args.data).await {
            Ok(topics) => return Ok(topics),
            Err(error) => error,
        };
        let may_pass = matches!(failed.kind(), ErrorKind::Conflict | ErrorKind::Retriable);
        if !may_pass || Instant::now() > until {
            return Err(failed);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn open_embedded(data: &Path) -> Result<Box<dyn TopicAccess>> {
    let held = match LocalLog::open(data, LocalOptions::default()) {
        Ok(log) => return Ok(Box::new(LogTopics::new(Arc::new(log)))),
        Err(error) if error.kind() == ErrorKind::Conflict => error,
        Err(error) => return Err(error),
    };
    let holder = held.context().iter().find(|(key, _)| *key == "pid").map(|(_, pid)| pid.as_str());
    match holder.and_then(|pid| worker_file::find(data, pid)) {
        Some(worker) => Ok(Box::new(WorkerTopics::connect(worker).await?)),
        None => Err(held),
    }
}

async fn list(topics: &dyn TopicAccess, json: bool) -> Result<()> {
    for topic in topics.topics().await? {
        let (name, partitions, records) = (&topic.name, topic.partitions, topic.records);
        if json {
            let line =
                json!({ "topic": name, "partitions": partitions, "records": records, "internal": topic.internal });
            output::data(&line.to_string());
        } else {
            output::data(&format!("{name:<50} {partitions:>4} partitions {records:>12} records"));
        }
    }
    Ok(())
}

async fn tail(
    topics: &dyn TopicAccess,
    topic: &str,
    from_beginning: bool,
    follow: bool,
    limit: u64,
    json: bool,
) -> Result<()> {
    let offsets = topics.offsets(topic).await?;
    let start = |begin: i64, end: i64| if from_beginning { begin } else { begin.max(end - TAIL) };
    let from: Vec<_> =
        (0i32..).zip(&offsets).map(|(partition, (begin, end))| (partition, start(*begin, *end))).collect();
    // What comes while it reads is not waited for, however fast it comes.
    let is_past = |(partition, offset): &(i32, i64)| {
        let range = usize::try_from(*partition).ok().and_then(|partition| offsets.get(partition));
        range.is_none_or(|(_, end)| offset >= end)
    };
    let mut reader = topics.read(topic, &from).await?;
    let wait = if follow { MAX_WAIT } else { Duration::ZERO };
    let mut left = limit;
    while left > 0 {
        let most = usize::try_from(left).unwrap_or(MAX_RECORDS).min(MAX_RECORDS);
        let page = reader.page(most, wait).await?;
        for record in (0..page.records.len()).filter_map(|index| page.records.get(index)) {
            output::data(&line(record, json));
        }
        left = left.saturating_sub(page.records.len() as u64);
        if !follow && (page.end || page.next.iter().all(is_past)) {
            break;
        }
    }
    Ok(())
}

fn line(record: RawRecord<'_>, json: bool) -> String {
    if json {
        // Strings, numbers, lists and maps with string keys: none can fail.
        return serde_json::to_string(&RecordBody(record)).unwrap_or_default();
    }
    // Bytes of records must not drive the terminal.
    let shown = |bytes: Option<&[u8]>| {
        let text = bytes.map(String::from_utf8_lossy);
        text.map_or_else(|| "null".to_owned(), |text| text.replace(|c: char| c.is_control() && c != '\t', "\u{fffd}"))
    };
    let RawRecord { topic, partition, offset, key, value, .. } = record;
    format!("{topic}-{partition}@{offset}\t{}\t{}", shown(key), shown(value))
}

async fn produce(topics: &dyn TopicAccess, topic: &str, keyed: bool) -> Result<()> {
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    let (mut batch, mut total) = (RawBatch::new(), 0);
    loop {
        let next =
            lines.next_line().await.map_err(|error| Error::config("standard input is no UTF-8 text").because(error))?;
        let more = next.as_ref().map_or(0, String::len);
        if !batch.is_empty() && (next.is_none() || batch.bytes() + more > PRODUCE_BYTES || batch.len() >= PRODUCE_BATCH)
        {
            for appended in topics.append(topic, &batch).await? {
                appended?;
            }
            total += batch.len();
            batch.clear();
        }
        let Some(line) = next else { break };
        let (key, value) = match line.split_once('\t').filter(|_| keyed) {
            Some((key, value)) => (Some(key.as_bytes()), value),
            None => (None, line.as_str()),
        };
        batch.push(&RawRecord::new(topic, key, Some(value.as_bytes())))?;
    }
    output::note(false, &format!("{total} records appended to {topic}"));
    Ok(())
}
