//! `FileStreamSource` and `FileStreamSink`: lines of a file to a topic, and records of topics to a file. See `docs.md`.

mod config;
mod connector;
mod offsets;
mod task;

pub use connector::{FileStreamSinkPlugin, FileStreamSourcePlugin};
