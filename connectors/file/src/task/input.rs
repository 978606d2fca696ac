//! Where lines come from: a file that is read at a position, or a stream that is read as it comes.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use millrace_api::{Error, Result};
use tokio::sync::mpsc::{Receiver, channel};
use tokio::task::JoinHandle;

/// Bytes of one read.
const CHUNK: usize = 256 << 10;

/// Bytes of a read that probably finds nothing.
const SMALL_CHUNK: usize = 4 << 10;

/// A file that is being opened, and whether it is a regular one.
pub(super) type Opening = JoinHandle<std::io::Result<(File, bool)>>;

/// An open input.
pub(super) enum Input {
    /// A regular file. Reads name their position, so one that was cancelled is simply done again.
    File(Arc<File>),
    /// Standard input, a pipe, a device: a thread reads ahead, a few chunks at most.
    Stream(Receiver<std::io::Result<Vec<u8>>>),
}

impl Input {
    /// Opens a file; `None` when it does not exist. `opening` holds what goes on when the call is cancelled: opening a pipe waits
    /// for whoever writes to it and a file system may hang, so it has a thread, and just one.
    ///
    /// # Errors
    /// [`millrace_api::ErrorKind::External`] when it cannot be opened.
    pub(super) async fn open(name: &str, opening: &mut Option<Opening>) -> Result<Option<Self>> {
        let path = name.to_owned();
        let opened = opening.get_or_insert_with(|| {
            tokio::task::spawn_blocking(move || {
                let file = File::open(path)?;
                let is_file = file.metadata()?.is_file();
                Ok((file, is_file))
            })
        });
        let opened = opened.await;
        *opening = None;
        match opened.map_err(|error| Error::internal("opening a file was broken off").because(error))? {
            Ok((file, true)) => Ok(Some(Self::File(Arc::new(file)))),
            Ok((file, false)) => Ok(Some(Self::stream(file))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => {
                let message = format!("Couldn't open file '{name}' for FileStreamSourceTask");
                Err(Error::external(message).because(error))
            }
        }
    }

    /// Standard input.
    pub(super) fn stdin() -> Self {
        Self::stream(std::io::stdin())
    }

    /// The thread ends with the stream, or at its next read once nobody listens any more.
    fn stream(mut from: impl Read + Send + 'static) -> Self {
        let (sender, receiver) = channel(4);
        std::thread::spawn(move || {
            loop {
                let mut chunk = vec![0; CHUNK];
                let read = from.read(&mut chunk);
                let last = !matches!(read, Ok(n) if n > 0);
                let read = read.map(|n| {
                    chunk.truncate(n);
                    chunk
                });
                if sender.blocking_send(read).is_err() || last {
                    return;
                }
            }
        });
        Self::Stream(receiver)
    }

    /// The next bytes, `position` being where they lie in a file. Empty: there is nothing now, though there may be later.
    ///
    /// Cancellation: nothing is lost; the same bytes come with the next call.
    ///
    /// # Errors
    /// [`millrace_api::ErrorKind::External`] when reading fails.
    pub(super) async fn read(&mut self, position: u64) -> Result<Vec<u8>> {
        let failed = |error| Error::external("reading the source file failed").because(error);
        match self {
            Self::File(file) => {
                let file = Arc::clone(file);
                let read = tokio::task::spawn_blocking(move || {
                    // A file at whose end nothing is new needs no room; one that does not know its length is read all the same.
                    let new = file.metadata()?.len().saturating_sub(position);
                    let room = usize::try_from(new).unwrap_or(CHUNK).clamp(SMALL_CHUNK, CHUNK);
                    let mut chunk = vec![0; room];
                    let n = file.read_at(&mut chunk, position)?;
                    chunk.truncate(n);
                    Ok(chunk)
                });
                read.await
                    .map_err(|error| Error::internal("reading a file was broken off").because(error))?
                    .map_err(failed)
            }
            Self::Stream(chunks) => match chunks.try_recv() {
                Ok(chunk) => chunk.map_err(failed),
                Err(_) => Ok(Vec::new()),
            },
        }
    }
}
