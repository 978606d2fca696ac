//! What happens to records at fault: stages, tolerance, the dead letter queue, the operation log.

mod dlq;
mod oplog;
mod retry;

use std::sync::Arc;

use millrace_api::batch::raw::RawRecord;
use millrace_api::{Error, Result};

pub use dlq::DeadLetterQueue;
pub use oplog::{OperationLog, Outcome};
pub use retry::{Patience, Retry, RetryPolicy};

use crate::config::ConnectorConfig;
use crate::task::TaskId;

/// Where in a task a record failed (`org.apache.kafka.connect.runtime.errors.Stage`). Data, not text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Stage {
    TaskPut,
    TaskPoll,
    Transformation,
    KeyConverter,
    ValueConverter,
    HeaderConverter,
    KafkaProduce,
    KafkaConsume,
}

impl Stage {
    /// Name in headers and log lines.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::TaskPut => "TASK_PUT",
            Self::TaskPoll => "TASK_POLL",
            Self::Transformation => "TRANSFORMATION",
            Self::KeyConverter => "KEY_CONVERTER",
            Self::ValueConverter => "VALUE_CONVERTER",
            Self::HeaderConverter => "HEADER_CONVERTER",
            Self::KafkaProduce => "KAFKA_PRODUCE",
            Self::KafkaConsume => "KAFKA_CONSUME",
        }
    }
}

/// A record at fault.
#[derive(Debug)]
pub struct Failure {
    /// Index of the record in the batch that was polled.
    pub origin: u32,
    /// Where.
    pub stage: Stage,
    /// Class of the plugin that refused it.
    pub class: Arc<str>,
    /// Why.
    pub error: Error,
}

/// `errors.*` of a connector, but for its dead letter queue (`RetryWithToleranceOperator`).
#[derive(Debug, Clone)]
pub struct Tolerance {
    retry: RetryPolicy,
    all: bool,
    log: bool,
    log_messages: bool,
    id: TaskId,
}

impl Tolerance {
    /// As a connector's configuration says.
    #[must_use]
    pub fn new(config: &ConnectorConfig, id: TaskId) -> Self {
        Self {
            retry: RetryPolicy::new(config),
            all: config.errors_tolerance == "all",
            log: config.errors_log_enable,
            log_messages: config.errors_log_include_messages,
            id,
        }
    }

    /// How long operations that may succeed later are tried again.
    #[must_use]
    pub fn retry(&self) -> RetryPolicy {
        self.retry
    }

    /// Logs a failure and decides: `Ok` when the task goes on without the record.
    ///
    /// # Errors
    /// The failure itself, with its context, when the task must fail.
    pub fn judge(&self, failure: &Failure, record: Option<&RawRecord<'_>>) -> Result<()> {
        if self.log {
            self.log(failure, record);
        }
        if self.all {
            return Ok(());
        }
        let error = Error::new(failure.error.kind(), "Tolerance exceeded in error handler")
            .shown_as("org.apache.kafka.connect.errors.ConnectException")
            .with("connector", &self.id.connector)
            .with("task", self.id.task)
            .with("stage", failure.stage.name())
            .with("class", &failure.class);
        let error = match record {
            Some(record) => error.with("record", format!("{}-{}@{}", record.topic, record.partition, record.offset)),
            None => error,
        };
        Err(error.because(failure.error.trace()))
    }

    /// One line in the form that tools already parse.
    fn log(&self, failure: &Failure, record: Option<&RawRecord<'_>>) {
        let record = record.filter(|_| self.log_messages).map(|record| {
            let kind = if record.log_append_time { "LogAppendTime" } else { "CreateTime" };
            format!(
                ", where consumed record is {{topic='{}', partition={}, offset={}, timestamp={}, timestampType={kind}}}",
                record.topic, record.partition, record.offset, record.timestamp
            )
        });
        tracing::error!(
            "Error encountered in task {}. Executing stage '{}' with class '{}'{}.\n{}",
            self.id,
            failure.stage.name(),
            failure.class,
            record.unwrap_or_default(),
            failure.error.trace()
        );
    }
}
