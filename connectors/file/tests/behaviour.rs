//! Both connectors, on real files.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failed expectation is what tests are for"
)]

mod support;

use std::fs;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use millrace_api::config::{ConfigType, Default as Absent, Importance};
use millrace_api::connector::{ConnectorPlugin as _, Report, SourceBatch, SourceTask};
use millrace_api::schema::{Field, Kind, Schema};
use millrace_api::{ErrorKind, SchemaRef, Writer};
use millrace_behaviour::unused::services;
use millrace_connector_file::{FileStreamSinkPlugin, FileStreamSourcePlugin};
use serde_json::json;
use support::{Committed, batch, props, sink, source};
use tempfile::tempdir;

fn lines(batch: &SourceBatch) -> Vec<String> {
    batch.records.iter().map(|record| record.value().as_str().unwrap().to_owned()).collect()
}

/// Position and number of records before it, of the only position in a batch.
fn position(batch: &SourceBatch) -> Option<(usize, i64)> {
    assert!(batch.positions.len() <= 1);
    batch.positions.first().map(|(count, at)| (*count, at.offset["position"].as_i64().unwrap()))
}

async fn next(task: &mut Box<dyn SourceTask>) -> SourceBatch {
    tokio::time::timeout(Duration::from_secs(10), task.poll()).await.expect("a poll ends by itself").unwrap()
}

#[test]
fn tables_are_those_of_kafka_connect() {
    let table = |def: millrace_api::config::ConfigDef| -> Vec<_> {
        def.keys.into_iter().map(|key| (key.name, key.kind, key.default, key.importance, key.doc)).collect()
    };
    let row =
        |name: &str, kind, default, importance, doc: &str| (name.to_owned(), kind, default, importance, doc.to_owned());
    // GET /connector-plugins/FileStreamSource/config of Kafka Connect 4.3.1
    assert_eq!(
        table(FileStreamSourcePlugin.config_def()),
        [
            row(
                "file",
                ConfigType::String,
                Absent::Null,
                Importance::High,
                "Source filename. If not specified, the standard input will be used"
            ),
            row("topic", ConfigType::String, Absent::Required, Importance::High, "The topic to publish data to"),
            row(
                "batch.size",
                ConfigType::Int,
                Absent::Value("2000".to_owned()),
                Importance::Low,
                "The maximum number of records the source task can read from the file each time it is polled"
            ),
        ]
    );
    assert_eq!(
        table(FileStreamSinkPlugin.config_def()),
        [row(
            "file",
            ConfigType::String,
            Absent::Null,
            Importance::High,
            "Destination filename. If not specified, the standard output will be used"
        )]
    );
}

#[tokio::test]
async fn a_topic_must_be_named() {
    let errors = |pairs: &'static [(&'static str, &'static str)]| async move {
        let validated = FileStreamSourcePlugin.validate(&props(pairs)).await;
        validated.into_iter().flat_map(|value| value.errors).collect::<Vec<_>>()
    };
    assert_eq!(errors(&[]).await, ["Missing required configuration \"topic\" which has no default value."]);
    assert_eq!(errors(&[("topic", "")]).await, ["Invalid value  for configuration topic: String must be non-empty"]);
    assert_eq!(errors(&[("topic", "t")]).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_source_has_one_task_and_a_sink_as_many_as_allowed() {
    let mut connector = FileStreamSourcePlugin.connector();
    connector.start(services(), &props(&[("topic", "t")])).await.unwrap();
    assert_eq!(connector.task_configs(5).await.unwrap(), [props(&[("topic", "t")])]);
    let mut connector = FileStreamSinkPlugin.connector();
    connector.start(services(), &props(&[("file", "f")])).await.unwrap();
    assert_eq!(connector.task_configs(3).await.unwrap().len(), 3);
}

#[tokio::test]
async fn lines_become_records_with_their_position() {
    let dir = tempdir().unwrap();
    let file = dir.path().join("in.txt");
    fs::write(&file, "one\ntwo\r\nthr\u{e9}e\nrest").unwrap();
    let name = file.to_str().unwrap();
    let mut task = source(&Arc::default(), &[("file", name), ("topic", "t")]).await;
    let polled = next(&mut task).await;
    assert_eq!(lines(&polled), ["one", "two", "thr\u{e9}e"]);
    let (count, at) = &polled.positions[0];
    assert_eq!(
        (*count, json!(at.partition), json!(at.offset)),
        (3, json!({"filename": name}), json!({"position": 16}))
    );
    for (origin, record) in polled.records.iter().enumerate() {
        assert_eq!(record.topic(), "t");
        assert!(record.key().is_null());
        assert_eq!(record.value_schema().map(|schema| &**schema), Some(&Schema::of(Kind::String)));
        assert_eq!((record.partition(), record.offset(), record.row().origin as usize), (None, -1, origin));
        assert!(record.timestamp().is_some_and(|at| at > 1_700_000_000_000));
    }
}

#[tokio::test]
async fn a_line_waits_for_its_end_and_a_poll_without_lines_is_a_sign_of_life() {
    let dir = tempdir().unwrap();
    let file = dir.path().join("in.txt");
    fs::write(&file, "whole\npart").unwrap();
    let mut task = source(&Arc::default(), &[("file", file.to_str().unwrap()), ("topic", "t")]).await;
    assert_eq!(lines(&next(&mut task).await), ["whole"]);
    let empty = next(&mut task).await;
    assert_eq!((empty.records.len(), empty.positions.len()), (0, 0));
    let mut appending = fs::OpenOptions::new().append(true).open(&file).unwrap();
    appending.write_all(b"ial\r").unwrap();
    assert_eq!(next(&mut task).await.records.len(), 0, "a carriage return waits for what follows");
    appending.write_all(b"\nmore\n").unwrap();
    let polled = next(&mut task).await;
    assert_eq!((lines(&polled), position(&polled)), (vec!["partial".to_owned(), "more".to_owned()], Some((2, 20))));
}

#[tokio::test]
async fn a_file_that_does_not_exist_yet_is_waited_for() {
    let dir = tempdir().unwrap();
    let file = dir.path().join("later.txt");
    let mut task = source(&Arc::default(), &[("file", file.to_str().unwrap()), ("topic", "t")]).await;
    assert_eq!(next(&mut task).await.records.len(), 0);
    fs::write(&file, "here\n").unwrap();
    assert_eq!(lines(&next(&mut task).await), ["here"]);
}

#[tokio::test]
async fn a_restart_goes_on_after_the_committed_line() {
    let dir = tempdir().unwrap();
    let file = dir.path().join("in.txt");
    let text = (0..1_000).map(|n| format!("line {n} \u{4e2d}\n")).collect::<Vec<_>>().concat();
    fs::write(&file, &text).unwrap();
    let name = file.to_str().unwrap();
    let offsets = Arc::<Committed>::default();
    let mut seen = Vec::new();
    while seen.len() < 1_000 {
        let mut task = source(&offsets, &[("file", name), ("topic", "t"), ("batch.size", "300")]).await;
        let polled = next(&mut task).await;
        assert!(polled.records.len() <= 300);
        seen.extend(lines(&polled));
        let (_, at) = polled.positions.into_iter().next().unwrap();
        *offsets.0.lock().unwrap() = Some((at.partition, at.offset));
        task.stop().await;
    }
    assert_eq!(seen, text.lines().collect::<Vec<_>>());
}

#[tokio::test]
async fn an_offset_of_another_type_fails_the_task() {
    let dir = tempdir().unwrap();
    let file = dir.path().join("in.txt");
    fs::write(&file, "a\n").unwrap();
    let name = file.to_str().unwrap();
    let object = |value: serde_json::Value| value.as_object().unwrap().clone();
    let offsets = Arc::<Committed>::default();
    *offsets.0.lock().unwrap() = Some((object(json!({"filename": name})), object(json!({"position": "1"}))));
    let error = source(&offsets, &[("file", name), ("topic", "t")]).await.poll().await.unwrap_err();
    assert_eq!((error.kind(), error.message()), (ErrorKind::External, "Offset position is the incorrect type"));
}

#[tokio::test]
async fn a_cancelled_poll_loses_nothing() {
    let dir = tempdir().unwrap();
    let file = dir.path().join("in.txt");
    let text = (0..200_000).map(|n| format!("{n}\n")).collect::<Vec<_>>().concat();
    fs::write(&file, &text).unwrap();
    let mut task = source(&Arc::default(), &[("file", file.to_str().unwrap()), ("topic", "t")]).await;
    let mut seen = 0;
    let mut cancelled = 0;
    while seen < 200_000 {
        // Dropped as soon as it waits for anything, and then polled in earnest.
        let first = tokio::select! {
            biased;
            polled = task.poll() => Some(polled.unwrap()),
            () = std::future::ready(()) => None,
        };
        cancelled += usize::from(first.is_none());
        let polled = match first {
            Some(polled) => polled,
            None => next(&mut task).await,
        };
        for line in lines(&polled) {
            assert_eq!(line, seen.to_string());
            seen += 1;
        }
    }
    assert!(cancelled > 0, "nothing was cancelled, so nothing was shown");
}

#[tokio::test]
async fn a_pipe_is_read_as_it_comes() {
    let dir = tempdir().unwrap();
    let pipe = dir.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let writer = {
        let pipe = pipe.clone();
        std::thread::spawn(move || fs::OpenOptions::new().write(true).open(pipe).unwrap().write_all(b"a\nb\n").unwrap())
    };
    let mut task = source(&Arc::default(), &[("file", pipe.to_str().unwrap()), ("topic", "t")]).await;
    let mut seen = Vec::new();
    for _ in 0..5 {
        seen.extend(lines(&next(&mut task).await));
        if seen.len() == 2 {
            break;
        }
    }
    writer.join().unwrap();
    assert_eq!(seen, ["a", "b"]);
}

#[tokio::test]
async fn values_are_written_as_java_prints_them() {
    let dir = tempdir().unwrap();
    let file = dir.path().join("out.txt");
    fs::write(&file, "before\n").unwrap();
    let name = file.to_str().unwrap();
    let mut task = sink(&[("file", name)]).await.unwrap();
    let mut report = Report::default();
    let map = |w: &mut Writer<'_>| {
        let open = w.begin_map();
        w.str("a");
        w.int64(1);
        w.str("b");
        w.float64(1e10);
        w.end(open, 2);
    };
    let plain = batch(None, &[&map, &|w| w.str("text"), &|w| w.null(), &|w| w.bool(true)]);
    task.put(&plain, &mut report).await.unwrap();
    // It is there before anybody flushes, as it is with Kafka Connect's.
    assert_eq!(fs::read_to_string(&file).unwrap(), "before\n{a=1, b=1.0E10}\ntext\nnull\ntrue\n");

    let schema: SchemaRef = Arc::new(Schema::structure(vec![
        Field::new("id", Schema::of(Kind::Int32)),
        Field::new("note", Schema::optional(Kind::String)),
    ]));
    let order = |w: &mut Writer<'_>| {
        let open = w.begin_struct();
        w.int32(7);
        w.null();
        w.end(open, 2);
    };
    task.put(&batch(Some(&schema), &[&order]), &mut report).await.unwrap();
    task.stop().await;
    let written = fs::read_to_string(&file).unwrap();
    assert_eq!(written.lines().last(), Some("Struct{id=7}"));
    assert!(report.into_rejected().is_empty());
}

#[tokio::test]
async fn a_file_that_cannot_be_made_fails_the_task() {
    let error = sink(&[("file", "/nowhere/at/all.txt")]).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::External);
    assert_eq!(error.message(), "Couldn't find or create file '/nowhere/at/all.txt' for FileStreamSinkTask");
}

#[tokio::test]
async fn a_full_disk_is_worth_another_try() {
    let mut task = sink(&[("file", "/dev/full")]).await.unwrap();
    let text = |w: &mut Writer<'_>| w.str("x");
    let error = task.put(&batch(None, &[&text]), &mut Report::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Retriable);
}

#[tokio::test]
async fn what_one_writes_the_other_reads() {
    let dir = tempdir().unwrap();
    let file = dir.path().join("both.txt");
    let name = file.to_str().unwrap();
    let mut out = sink(&[("file", name)]).await.unwrap();
    let texts: Vec<String> = (0..5_000).map(|n| format!("record {n}")).collect();
    let writers: Vec<_> = texts.iter().map(|text| move |w: &mut Writer<'_>| w.str(text)).collect();
    let writers: Vec<&dyn Fn(&mut Writer<'_>)> = writers.iter().map(|write| write as _).collect();
    out.put(&batch(None, &writers), &mut Report::default()).await.unwrap();
    let mut task = source(&Arc::default(), &[("file", name), ("topic", "t")]).await;
    let mut seen = Vec::new();
    while seen.len() < texts.len() {
        let polled = next(&mut task).await;
        assert!(polled.records.len() <= 2_000, "the default batch.size");
        seen.extend(polled.records.iter().map(|record| record.value().as_str().unwrap().to_owned()));
    }
    assert_eq!(seen, texts);
}
