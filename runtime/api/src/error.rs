//! The one error type. Plugins return it and never retry or swallow by themselves; the runtime acts on its kind.

use std::borrow::Cow;
use std::fmt;

/// Result of every fallible call in Millrace.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What the runtime should do about an error. The kind drives retries, dead letters, status and HTTP codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The record itself is at fault (bad bytes, wrong type, constraint): trying again cannot help. Kafka Connect: `DataException`.
    Data,
    /// May succeed when tried again unchanged: connection loss, deadlock, throttling. Kafka Connect: `RetriableException`.
    Retriable,
    /// A configuration is wrong; the message names key, cause and fix. Kafka Connect: `ConfigException`.
    Config,
    /// Something that was named does not exist.
    NotFound,
    /// The request clashes with the present state.
    Conflict,
    /// Another worker of the cluster answers for this; see [`Error::elsewhere`].
    Elsewhere,
    /// A deadline passed.
    Timeout,
    /// Another instance took over (fenced producer, lost partition); this one must stop without writing more.
    Fenced,
    /// The other side refused permanently: authentication, permission, a protocol error. Kafka Connect: `ConnectException`.
    External,
    /// The task or worker is stopping.
    Cancelled,
    /// A limit of the sandbox or of a byte budget was exceeded.
    Limit,
    /// A bug in Millrace.
    Internal,
}

impl ErrorKind {
    /// The Java class name that tools which parse traces and dead letter headers expect for this kind.
    #[must_use]
    pub fn java_class(self) -> &'static str {
        match self {
            Self::Data => "org.apache.kafka.connect.errors.DataException",
            Self::Retriable => "org.apache.kafka.connect.errors.RetriableException",
            Self::Config => "org.apache.kafka.common.config.ConfigException",
            Self::NotFound => "org.apache.kafka.connect.errors.NotFoundException",
            Self::Conflict => "org.apache.kafka.connect.errors.AlreadyExistsException",
            Self::Timeout => "org.apache.kafka.common.errors.TimeoutException",
            Self::Fenced => "org.apache.kafka.common.errors.ProducerFencedException",
            Self::Elsewhere => "org.apache.kafka.connect.runtime.distributed.NotLeaderException",
            Self::External | Self::Cancelled | Self::Limit | Self::Internal => {
                "org.apache.kafka.connect.errors.ConnectException"
            }
        }
    }
}

/// An error with its kind, a message for a person, context pairs (connector, task, topic-partition-offset, …) and its cause.
///
/// Messages say what is wrong, why, and what to do; they never contain secrets or record contents.
pub struct Error {
    inner: Box<Inner>,
}

struct Inner {
    kind: ErrorKind,
    message: Cow<'static, str>,
    context: Vec<(&'static str, String)>,
    url: Option<String>,
    class: Option<Cow<'static, str>>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// A new error without context.
    pub fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        let inner = Inner { kind, message: message.into(), context: Vec::new(), url: None, class: None, source: None };
        Self { inner: Box::new(inner) }
    }

    /// Shorthand for [`ErrorKind::Data`].
    pub fn data(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Data, message)
    }

    /// Shorthand for [`ErrorKind::Config`]: "Invalid value V for configuration K: cause".
    pub fn config(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Config, message)
    }

    /// Shorthand for [`ErrorKind::Retriable`].
    pub fn retriable(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Retriable, message)
    }

    /// Shorthand for [`ErrorKind::External`].
    pub fn external(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::External, message)
    }

    /// Shorthand for [`ErrorKind::Internal`].
    pub fn internal(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Internal, message)
    }

    /// Another worker must be asked: the one at `url`, or nobody knows yet which (a rebalance is under way). Whoever serves the
    /// request forwards it, at most once.
    pub fn elsewhere(message: impl Into<Cow<'static, str>>, url: Option<String>) -> Self {
        let mut error = Self::new(ErrorKind::Elsewhere, message);
        error.inner.url = url;
        error
    }

    /// Where to ask instead, for [`ErrorKind::Elsewhere`].
    #[must_use]
    pub fn url(&self) -> Option<&str> {
        self.inner.url.as_deref()
    }

    /// Names another Java class in traces and dead letters than the kind's.
    #[must_use]
    pub fn shown_as(mut self, java_class: impl Into<Cow<'static, str>>) -> Self {
        self.inner.class = Some(java_class.into());
        self
    }

    /// The Java class that traces and dead letters name.
    #[must_use]
    pub fn java_class(&self) -> &str {
        self.inner.class.as_deref().unwrap_or_else(|| self.inner.kind.java_class())
    }

    /// Why a component failed a record, as [`Error::of_reason`] reads it.
    #[must_use]
    pub fn reason(&self) -> String {
        self.inner.class.as_ref().map_or_else(|| self.to_string(), |class| format!("{class}: {self}"))
    }

    /// The fault of a record for the reason that a component gives, which may begin with the name of a Java exception and a colon.
    #[must_use]
    pub fn of_reason(reason: String) -> Self {
        let is_class = |name: &str| {
            let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '$');
            name.contains('.') && name.ends_with("Exception") && name.chars().all(legal)
        };
        match reason.split_once(": ") {
            Some((class, message)) if is_class(class) => Self::data(message.to_owned()).shown_as(class.to_owned()),
            _ => Self::data(reason),
        }
    }

    /// Adds a context pair, outermost last.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: impl fmt::Display) -> Self {
        self.inner.context.push((key, value.to_string()));
        self
    }

    /// Attaches the cause.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.inner.source = Some(source.into());
        self
    }

    /// The kind.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.inner.kind
    }

    /// The message without context and cause.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.inner.message
    }

    /// The context pairs.
    #[must_use]
    pub fn context(&self) -> &[(&'static str, String)] {
        &self.inner.context
    }

    /// Whether trying again unchanged may help.
    #[must_use]
    pub fn is_retriable(&self) -> bool {
        matches!(self.inner.kind, ErrorKind::Retriable | ErrorKind::Timeout)
    }

    /// The message with its context and its causes, in one line.
    #[must_use]
    pub fn line(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            let joint = if text.ends_with(": ") { "" } else { ": " };
            text.push_str(joint);
            text.push_str(&error.to_string());
            cause = error.source();
        }
        text
    }

    /// The text shown as `trace` in a status: class, message, context, then each cause on its own line.
    #[must_use]
    pub fn trace(&self) -> String {
        let mut text = format!("{}: {self}", self.java_class());
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            text.push_str("\nCaused by: ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        text
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.inner.message)?;
        for (i, (key, value)) in self.inner.context.iter().enumerate() {
            f.write_str(if i == 0 { " (" } else { ", " })?;
            write!(f, "{key}: {value}")?;
        }
        if !self.inner.context.is_empty() {
            f.write_str(")")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {}", self.inner.kind, self.trace())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.inner.source.as_deref().map(|source| source as &(dyn std::error::Error + 'static))
    }
}
