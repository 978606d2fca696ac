//! `millrace topics`: look at topics, or write to them.

use std::path::Path;
use std::sync::Arc;

use millrace_api::batch::raw::{RawBatch, RawRecord, RawRecords};
use millrace_api::log::{ConsumerOptions, Event, Log, ProducerOptions, Subscription, TopicPartition};
use millrace_api::{Error, Result};
use millrace_kafka::{ClientProps, KafkaLog};
use millrace_local::{LocalLog, LocalOptions};
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, BufReader};

use crate::args::{Topics, TopicsCommand};
use crate::output;

/// Records of each partition that `tail` starts with.
const TAIL: i64 = 10;

/// Lines that `produce` appends at once.
const PRODUCE_BATCH: usize = 500;

pub(crate) async fn run(args: Topics) -> Result<()> {
    let log = open(&args)?;
    match &args.command {
        TopicsCommand::List => list(&*log, args.json).await,
        TopicsCommand::Tail { topic, from_beginning, follow, limit } => {
            tail(&*log, topic, *from_beginning, *follow, limit.unwrap_or(u64::MAX), args.json).await
        }
        TopicsCommand::Produce { topic, keyed } => produce(&*log, topic, *keyed).await,
    }
}

fn open(args: &Topics) -> Result<Arc<dyn Log>> {
    if let Some(bootstrap) = &args.bootstrap_servers {
        return Ok(Arc::new(KafkaLog::new(bootstrap, ClientProps::default())?));
    }
    if !Path::new(&args.data).exists() {
        return Err(Error::config(format!(
            "there is no embedded log in {}; name its directory with --data",
            args.data.display()
        )));
    }
    Ok(Arc::new(LocalLog::open(&args.data, LocalOptions::default())?))
}

async fn list(log: &dyn Log, json: bool) -> Result<()> {
    for topic in log.topics().await? {
        let offsets = log.offsets(&topic.name, true).await?;
        let records: i64 = offsets.iter().map(|(begin, end)| end - begin).sum();
        if json {
            let line = json!({ "topic": topic.name, "partitions": topic.partitions, "records": records, "internal": topic.internal });
            output::data(&line.to_string());
        } else {
            output::data(&format!("{:<50} {:>4} partitions {records:>12} records", topic.name, topic.partitions));
        }
    }
    Ok(())
}

async fn tail(log: &dyn Log, topic: &str, from_beginning: bool, follow: bool, limit: u64, json: bool) -> Result<()> {
    let offsets = log.offsets(topic, true).await?;
    let start = |begin: i64, end: i64| if from_beginning { begin } else { begin.max(end - TAIL) };
    let from: Vec<_> = (0i32..)
        .zip(&offsets)
        .map(|(partition, (begin, end))| (TopicPartition::new(topic, partition), start(*begin, *end)))
        .collect();
    let mut open = from.len();
    let mut options = ConsumerOptions::new("millrace-topics", "", Subscription::Assign(from));
    options.end_events = true;
    let mut consumer = log.consumer(options).await?;
    let mut printed = 0;
    while printed < limit && (follow || open > 0) {
        match consumer.next().await? {
            Event::Records(records) => {
                for index in 0..records.len() {
                    let Some(record) = records.get(index).filter(|_| printed < limit) else { break };
                    output::data(&line(&record, json));
                    printed += 1;
                }
            }
            Event::EndOfPartition { .. } => open = open.saturating_sub(1),
            Event::Assigned(_) | Event::Revoked { .. } => {}
        }
    }
    consumer.close().await;
    Ok(())
}

fn line(record: &RawRecord<'_>, json: bool) -> String {
    let text = |bytes: Option<&[u8]>| bytes.map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    let (key, value) = (text(record.key), text(record.value));
    if json {
        let headers: Vec<_> =
            record.headers.iter().map(|(name, value)| json!({ "key": name, "value": text(*value) })).collect();
        return json!({
            "topic": record.topic, "partition": record.partition, "offset": record.offset, "timestamp": record.timestamp,
            "key": key, "value": value, "headers": headers,
        })
        .to_string();
    }
    // Bytes of records must not drive the terminal.
    let shown = |text: Option<String>| {
        text.map_or_else(|| "null".to_owned(), |text| text.replace(|c: char| c.is_control() && c != '\t', "\u{fffd}"))
    };
    format!("{}-{}@{}\t{}\t{}", record.topic, record.partition, record.offset, shown(key), shown(value))
}

async fn produce(log: &dyn Log, topic: &str, keyed: bool) -> Result<()> {
    let producer =
        log.producer(ProducerOptions { client_id: "millrace-topics".to_owned(), ..ProducerOptions::default() }).await?;
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    let (mut batch, mut total) = (RawBatch::new(), 0);
    loop {
        let next =
            lines.next_line().await.map_err(|error| Error::config("standard input is no UTF-8 text").because(error))?;
        if let Some(line) = &next {
            let (key, value) = match line.split_once('\t').filter(|_| keyed) {
                Some((key, value)) => (Some(key.as_bytes()), value),
                None => (None, line.as_str()),
            };
            batch.push(&RawRecord::new(topic, key, Some(value.as_bytes())))?;
        }
        if next.is_none() || batch.len() >= PRODUCE_BATCH {
            for result in producer.send(&batch).await? {
                result?;
            }
            total += batch.len();
            batch.clear();
        }
        if next.is_none() {
            output::note(false, &format!("{total} records appended to {topic}"));
            return Ok(());
        }
    }
}
