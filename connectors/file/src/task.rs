//! The tasks.

mod input;
mod lines;
mod sink;
mod source;

pub(crate) use sink::FileSinkTask;
pub(crate) use source::FileSourceTask;
