//! What the disk's failures look like from outside.

use millrace_api::{Error, ErrorKind};

/// A failure of the store while doing `what`.
pub(crate) fn disk(what: &'static str, error: fjall::Error) -> Error {
    if matches!(error, fjall::Error::Poisoned) {
        return Error::external(
            "The data directory refused an earlier write, so nothing more is written to it. Check free space and the \
             disk, then restart",
        )
        .with("while", what);
    }
    Error::external("The data directory cannot be read or written. Check free space, permissions and the disk")
        .with("while", what)
        .because(error)
}

/// What is stored does not make sense.
pub(crate) fn corrupt(what: &'static str) -> Error {
    Error::external("The data directory holds something that this version cannot read").with("while", what)
}

/// The log was closed under a producer or consumer that is still around.
pub(crate) fn closed() -> Error {
    Error::new(ErrorKind::Cancelled, "The embedded log was closed")
}

/// A topic that does not exist.
pub(crate) fn no_topic(name: &str) -> Error {
    Error::new(ErrorKind::NotFound, "This topic does not exist").with("topic", name)
}

/// A newer producer has the transactional id.
pub(crate) fn producer_fenced(id: &str) -> Error {
    Error::new(ErrorKind::Fenced, "A newer producer with the same transactional id took over")
        .with("transactional.id", id)
}

/// A member commits what is not its own any more.
pub(crate) fn member_fenced(group: &str) -> Error {
    Error::new(
        ErrorKind::Fenced,
        "The group gave these partitions to another member; their positions cannot be committed",
    )
    .with("group", group)
}
