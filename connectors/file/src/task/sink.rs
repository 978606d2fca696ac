//! Records as lines of a file.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use millrace_api::batch::{Record, Row};
use millrace_api::config::{Config as _, Props};
use millrace_api::connector::{Report, SinkContext, SinkTask};
use millrace_api::value::java;
use millrace_api::{Error, RecordBatch, Result};

use crate::config::{SinkConfig, named};

/// The task. A batch is one write, so batches of several tasks do not mix within lines.
#[derive(Default)]
pub(crate) struct FileSinkTask {
    output: Option<Output>,
    /// The text of a batch; its memory is used again.
    text: Vec<u8>,
}

/// An open output. It is shared with the thread that writes, as a write goes on when the call that wanted it is cancelled.
type Output = Arc<Mutex<Writing>>;

struct Writing {
    target: Target,
    /// What is left of a batch that was written in part, and the first and last row of that batch.
    rest: Option<(Vec<u8>, [Row; 2])>,
}

enum Target {
    File(File),
    Stdout,
}

#[async_trait]
impl SinkTask for FileSinkTask {
    async fn start(&mut self, _context: SinkContext, props: &Props) -> Result<()> {
        let config = SinkConfig::parse(props)?;
        let target = match named(config.file) {
            None => Target::Stdout,
            Some(name) => {
                let path = name.clone();
                // Opening a pipe waits for whoever reads from it, and a file system may hang.
                let opening = move || OpenOptions::new().create(true).append(true).open(path);
                let opened = tokio::task::spawn_blocking(opening).await;
                let opened = opened.map_err(|error| Error::internal("opening a file was broken off").because(error))?;
                Target::File(opened.map_err(|error| {
                    Error::external(format!("Couldn't find or create file '{name}' for FileStreamSinkTask"))
                        .because(error)
                })?)
            }
        };
        self.output = Some(Arc::new(Mutex::new(Writing { target, rest: None })));
        Ok(())
    }

    async fn put(&mut self, batch: &RecordBatch, _report: &mut Report) -> Result<()> {
        let (Some(first), Some(last)) = (batch.rows().first(), batch.rows().last()) else { return Ok(()) };
        let Some(output) = self.output.clone() else { return Err(Error::internal("put before the start")) };
        let (mut text, ends) = (std::mem::take(&mut self.text), [*first, *last]);
        text.clear();
        for record in batch.iter() {
            line(record, &mut text);
        }
        let written = tokio::task::spawn_blocking(move || {
            let outcome = output.lock().unwrap_or_else(PoisonError::into_inner).batch(&text, ends);
            outcome.map(|()| text)
        });
        self.text =
            written.await.map_err(|error| Error::internal("writing a file was broken off").because(error))??;
        Ok(())
    }

    async fn stop(&mut self) {
        self.output = None;
    }
}

/// A record's line: its value as Java prints it.
fn line(record: Record<'_>, text: &mut Vec<u8>) {
    java::text(record.value(), record.value_schema().map(|schema| &**schema), text);
    text.push(b'\n');
}

impl Writing {
    /// Writes the text of a batch. After an error the runtime comes with the same batch again, and only what is left of it is
    /// written then.
    fn batch(&mut self, text: &[u8], ends: [Row; 2]) -> Result<()> {
        if let Some((rest, of)) = self.rest.take() {
            self.write(&rest, of)?;
            if of == ends {
                return Ok(());
            }
        }
        self.write(text, ends)
    }

    fn write(&mut self, text: &[u8], ends: [Row; 2]) -> Result<()> {
        let mut written = 0;
        while let Some(rest) = text.get(written..).filter(|rest| !rest.is_empty()) {
            match self.target.write(rest) {
                Ok(n) => written += n,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    if written > 0 {
                        self.rest = Some((rest.to_vec(), ends));
                    }
                    return Err(refused(error));
                }
            }
        }
        self.target.flush().map_err(refused)
    }
}

impl Target {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = match self {
            Self::File(file) => file.write(bytes),
            Self::Stdout => std::io::stdout().write(bytes),
        };
        match written {
            Ok(0) => Err(ErrorKind::WriteZero.into()),
            other => other,
        }
    }

    /// A file has nothing to flush: every write has reached the operating system.
    fn flush(&mut self) -> std::io::Result<()> {
        match self {
            Self::File(_) => Ok(()),
            Self::Stdout => std::io::stdout().flush(),
        }
    }
}

/// A full disk may have room again.
fn refused(error: std::io::Error) -> Error {
    let retriable = matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::WouldBlock);
    let refused = if retriable {
        Error::retriable("the file cannot take more; make room on its disk")
    } else {
        Error::external("writing the file failed")
    };
    refused.because(error)
}
