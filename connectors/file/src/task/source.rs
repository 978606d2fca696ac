//! Lines of a file as records.

use std::sync::{Arc, LazyLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use millrace_api::batch::Row;
use millrace_api::config::{Config as _, Props};
use millrace_api::connector::{Json, SourceBatch, SourceContext, SourcePosition, SourceTask};
use millrace_api::schema::Kind;
use millrace_api::{Error, RecordBatch, Result, Schema, SchemaRef, Writer};
use serde_json::Value as JsonValue;

use super::input::{Input, Opening};
use super::lines::Lines;
use crate::config::{SourceConfig, named};
use crate::offsets::{FILENAME, POSITION};

static STRING: LazyLock<SchemaRef> = LazyLock::new(|| Arc::new(Schema::of(Kind::String)));

/// How long a poll waits for new lines, or for the file to appear, before it returns nothing.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often it looks in the meantime: soon when there was something a moment ago, else rarely.
const LOOK: Duration = Duration::from_millis(50);
const LOOK_IDLE: Duration = Duration::from_secs(1);
/// Bytes after which a batch is full, whatever `batch.size` says.
const MAX_BYTES: usize = 4 << 20;

/// The task. Lines that were cut off stay here until their end comes.
#[derive(Default)]
pub(crate) struct FileSourceTask {
    /// From the configuration; `None` before the start.
    config: Option<Started>,
    /// Open once the file exists.
    input: Option<Input>,
    opening: Option<Opening>,
    lines: Lines,
    /// When to look again if there is nothing.
    look: Duration,
    polls: u64,
}

struct Started {
    context: SourceContext,
    topic: String,
    file: Option<String>,
    batch_size: usize,
}

#[async_trait]
impl SourceTask for FileSourceTask {
    async fn start(&mut self, context: SourceContext, props: &Props) -> Result<()> {
        let config = SourceConfig::parse(props)?;
        let file = named(config.file);
        if file.is_none() {
            self.input = Some(Input::stdin());
        }
        let batch_size = usize::try_from(config.batch_size).unwrap_or_default().max(1);
        self.config = Some(Started { context, topic: config.topic, file, batch_size });
        Ok(())
    }

    async fn poll(&mut self) -> Result<SourceBatch> {
        let Some(started) = &self.config else { return Err(Error::internal("polled before the start")) };
        let mut batch = Batch::new(started);
        let mut waited = Duration::ZERO;
        while waited < PATIENCE {
            if self.input.is_none() {
                (self.input, self.lines) = started.open(&mut self.opening).await?;
            }
            if let Some(input) = &mut self.input {
                fill(&mut batch, &mut self.lines, input).await?;
            }
            if !batch.records.is_empty() {
                self.look = LOOK;
                break;
            }
            let look = self.look.clamp(LOOK, LOOK_IDLE);
            waited += look;
            self.look = look * 2;
            tokio::time::sleep(look).await;
        }
        self.polls += 1;
        Ok(batch.finish(self.lines.position(), self.polls))
    }

    async fn stop(&mut self) {
        self.input = None;
    }
}

/// Moves whole lines into the batch until it is full or nothing more can be read for now.
///
/// Cancellation: lines leave `lines` only when no await follows before the batch is returned.
async fn fill(batch: &mut Batch<'_>, lines: &mut Lines, input: &mut Input) -> Result<()> {
    loop {
        if batch.take(lines)? {
            return Ok(());
        }
        // A batch that has something goes out as it is: awaiting more could lose it.
        if !batch.records.is_empty() {
            return Ok(());
        }
        let read = input.read(lines.end()).await?;
        if read.is_empty() {
            return Ok(());
        }
        lines.push(&read)?;
    }
}

impl Started {
    /// Opens the file at the committed position; nothing while it does not exist.
    async fn open(&self, opening: &mut Option<Opening>) -> Result<(Option<Input>, Lines)> {
        let Some(name) = &self.file else { return Ok((None, Lines::default())) };
        let Some(input) = Input::open(name, opening).await? else {
            tracing::debug!(file = name, "the source file does not exist yet");
            return Ok((None, Lines::default()));
        };
        let committed = self.context.offsets.offset(&partition(name)).await?;
        let position = match committed.as_ref().and_then(|offset| offset.get(POSITION)) {
            None | Some(JsonValue::Null) => 0,
            Some(position) => {
                position.as_u64().ok_or_else(|| Error::external("Offset position is the incorrect type"))?
            }
        };
        Ok((Some(input), Lines::at(position)))
    }
}

/// A batch being filled.
struct Batch<'t> {
    records: RecordBatch,
    task: &'t Started,
    row: Row,
}

impl<'t> Batch<'t> {
    fn new(task: &'t Started) -> Self {
        let mut records = RecordBatch::new();
        let topic = records.intern_topic(&task.topic);
        let value_schema = records.intern_schema(&STRING);
        Self { records, task, row: Row { topic, value_schema, ..Row::EMPTY } }
    }

    /// Moves lines in; `true` when the batch is full.
    fn take(&mut self, lines: &mut Lines) -> Result<bool> {
        self.row.timestamp = now();
        while self.records.len() < self.task.batch_size && self.records.heap().len() < MAX_BYTES {
            let Some(line) = lines.next() else { return Ok(false) };
            // Bytes that are no UTF-8 become U+FFFD, as in Java's reader.
            let text = String::from_utf8_lossy(line);
            let (value, ()) = self.records.append(|heap| {
                Writer::new(heap).str(&text);
                Ok(())
            })?;
            let origin = u32::try_from(self.records.len()).unwrap_or(u32::MAX);
            self.records.push(Row { value, origin, ..self.row });
        }
        Ok(true)
    }

    /// Standard input has no positions.
    fn finish(self, position: u64, token: u64) -> SourceBatch {
        let count = self.records.len();
        let positions = match &self.task.file {
            Some(name) if count > 0 => {
                let offset = Json::from_iter([(POSITION.to_owned(), JsonValue::from(position))]);
                vec![(count, SourcePosition { partition: partition(name), offset })]
            }
            _ => Vec::new(),
        };
        SourceBatch { records: self.records, positions, token }
    }
}

fn partition(name: &str) -> Json {
    Json::from_iter([(FILENAME.to_owned(), JsonValue::from(name))])
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or_default()
}
