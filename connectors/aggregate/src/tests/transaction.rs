//! Every way a transaction can end, with the calls it takes.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use millrace_api::batch::raw::{RawBatch, RawRecord, RawRecords};
use millrace_api::log::{Appended, GroupMetadata, Offsets, Producer, TopicPartition};
use millrace_api::{Error, ErrorKind, Result};

use crate::transaction::{Failure, transact};

/// Answers calls as a script says, in their order; everything else goes well.
struct Scripted {
    script: Mutex<VecDeque<(&'static str, ErrorKind)>>,
    calls: Mutex<Vec<&'static str>>,
}

impl Scripted {
    fn called(&self, call: &'static str) -> Result<()> {
        self.calls.lock().unwrap().push(call);
        let mut script = self.script.lock().unwrap();
        match script.front() {
            Some((fails, kind)) if *fails == call => {
                let error = Error::new(*kind, "scripted");
                script.pop_front();
                Err(error)
            }
            _ => Ok(()),
        }
    }
}

#[async_trait]
impl Producer for Scripted {
    async fn send(&self, records: &dyn RawRecords) -> Result<Vec<Result<Appended>>> {
        self.called("send")?;
        Ok((0..records.len()).map(|_| self.called("record").map(|()| Appended { partition: 0, offset: 0 })).collect())
    }

    async fn begin(&self) -> Result<()> {
        self.called("begin")
    }

    async fn send_offsets(&self, _group: &GroupMetadata, _offsets: &Offsets) -> Result<()> {
        self.called("offsets")
    }

    async fn commit(&self) -> Result<()> {
        self.called("commit")
    }

    async fn abort(&self) -> Result<()> {
        self.called("abort")
    }
}

/// Outcome of a transaction: `None` when it is committed; the kind, and whether the task must start over. And the last call.
async fn run(script: &[(&'static str, ErrorKind)]) -> (Option<(ErrorKind, bool)>, &'static str) {
    let producer = Scripted { script: Mutex::new(script.iter().copied().collect()), calls: Mutex::default() };
    let mut records = RawBatch::new();
    records.push(&RawRecord::new("t", None, Some(b"v"))).expect("pushed");
    let positions = Offsets::from([(TopicPartition::new("in", 0), 1)]);
    let outcome = transact(&producer, &records, &GroupMetadata(Arc::new(())), &positions).await;
    assert!(producer.script.lock().unwrap().is_empty(), "the script is over");
    let last = producer.calls.lock().unwrap().last().copied().expect("a call");
    let failure = outcome.err().map(|failure| match failure {
        Failure::Unchanged(error) => (error.kind(), false),
        Failure::Fatal(error) => (error.kind(), true),
    });
    (failure, last)
}

#[tokio::test]
async fn ends() {
    use ErrorKind::{Cancelled, Conflict, Data, External, Fenced, Retriable, Timeout};
    let goes_on = |kind| Some((kind, false));
    let starts_over = Some((External, true));
    let cases: &[(&[(&str, ErrorKind)], _, _)] = &[
        (&[], None, "commit"),
        (&[("begin", Retriable)], goes_on(Retriable), "begin"),
        (&[("begin", Fenced)], starts_over, "begin"),
        (&[("send", Cancelled)], goes_on(Cancelled), "abort"),
        (&[("record", Timeout)], goes_on(Timeout), "abort"),
        (&[("record", Data)], goes_on(Data), "abort"),
        // The group refuses the positions: the partitions belong to somebody else, the producer is fine.
        (&[("offsets", Fenced)], goes_on(Fenced), "abort"),
        (&[("offsets", Fenced), ("abort", Fenced)], starts_over, "abort"),
        (&[("offsets", Retriable), ("abort", Timeout)], goes_on(Retriable), "abort"),
        (&[("commit", Timeout), ("commit", Retriable)], None, "commit"),
        (&[("commit", Fenced)], goes_on(Fenced), "abort"),
        (&[("commit", External), ("abort", Conflict)], starts_over, "abort"),
        // It may have been committed before the producer was fenced.
        (&[("commit", Timeout), ("commit", Fenced)], starts_over, "commit"),
    ];
    for (script, outcome, last) in cases {
        assert_eq!(run(script).await, (*outcome, *last), "{script:?}");
    }
}
