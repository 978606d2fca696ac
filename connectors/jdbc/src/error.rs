//! What a database's refusal means for the batch at hand.

use millrace_api::{Error, ErrorKind};

/// What to do about an error of the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// The same batch may succeed later on this connection: deadlock, lock timeout, too little of something.
    Retriable,
    /// As [`Class::Retriable`], but the connection is of no use any more.
    Lost,
    /// A row is at fault: bisect to find it.
    Data,
    /// A table or column is not what it was when it was read: read it again.
    Schema,
    /// The database will say the same again: permission, authentication, a constraint that is not there.
    Refused,
}

/// An error of the database, classified. The message is the server's, without the values it may quote.
#[derive(Debug, Clone)]
pub(crate) struct DbError {
    pub(crate) class: Class,
    pub(crate) message: String,
}

pub(crate) type DbResult<T> = Result<T, DbError>;

impl DbError {
    pub(crate) fn new(class: Class, message: impl Into<String>) -> Self {
        Self { class, message: message.into() }
    }

    /// Whether the connection can be used again after a rollback.
    pub(crate) fn connection_survives(&self) -> bool {
        self.class != Class::Lost
    }

    /// The same with what to do about it.
    pub(crate) fn hint(mut self, fix: &str) -> Self {
        self.message.push_str("; ");
        self.message.push_str(fix);
        self
    }
}

impl From<DbError> for Error {
    fn from(error: DbError) -> Self {
        let kind = match error.class {
            Class::Retriable | Class::Lost => ErrorKind::Retriable,
            Class::Data => ErrorKind::Data,
            Class::Schema | Class::Refused => ErrorKind::External,
        };
        Self::new(kind, error.message)
    }
}

/// Classifies by what the dialect knows about its database's codes; everything else is the same for all.
pub(crate) fn classify(error: &sqlx::Error, of_database: fn(&dyn sqlx::error::DatabaseError) -> DbError) -> DbError {
    match error {
        sqlx::Error::Database(refusal) => of_database(refusal.as_ref()),
        sqlx::Error::Io(cause) => {
            DbError::new(Class::Lost, format!("The connection to the database was lost: {}", cause.kind()))
        }
        sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed => {
            DbError::new(Class::Lost, "The connection to the database was lost: its answer made no sense")
        }
        sqlx::Error::Tls(cause) => DbError::new(Class::Refused, format!("No TLS with the database: {cause}")),
        sqlx::Error::Configuration(cause) if cause.to_string().contains("RSA") => DbError::new(
            Class::Refused,
            "The database wants an encrypted connection for this account; remove useSSL=false or sslMode=DISABLED from connection.url",
        ),
        sqlx::Error::Encode(cause) => DbError::new(Class::Data, format!("A value cannot be sent: {cause}")),
        other => DbError::new(Class::Refused, format!("The database's driver failed: {other}")),
    }
}

/// Removes what stands in quotes after `marker`: servers repeat the offending value there, and messages hold no record contents.
pub(crate) fn without_value(message: &str, marker: &str, quote: char) -> String {
    let Some(start) = message.find(marker).map(|at| at + marker.len()) else { return message.to_owned() };
    let Some(rest) = message.get(start..).and_then(|rest| rest.strip_prefix(quote)) else { return message.to_owned() };
    let tail = rest.rfind(quote).and_then(|end| rest.get(end + quote.len_utf8()..)).unwrap_or("");
    // A value may hold the quote itself, so everything up to the last one goes, unless the rest names a column or key.
    let named = [" for column ", " for key "].iter().find_map(|name| rest.rfind(name).and_then(|at| rest.get(at..)));
    format!("{}(hidden){}", message.get(..start).unwrap_or_default(), named.unwrap_or(tail))
}

#[cfg(test)]
mod tests {
    use super::without_value;

    #[test]
    fn messages_name_the_key_but_not_the_value() {
        let duplicate = "Duplicate entry 'alice' for key 'orderId'";
        assert_eq!(without_value(duplicate, "entry ", '\''), "Duplicate entry (hidden) for key 'orderId'");
        let value = "Incorrect integer value: 'it's' for column `test`.`t`.`n` at row 1";
        assert_eq!(
            without_value(value, "value: ", '\''),
            "Incorrect integer value: (hidden) for column `test`.`t`.`n` at row 1"
        );
        let syntax = "invalid input syntax for type uuid: \"alice\"";
        assert_eq!(without_value(syntax, ": ", '"'), "invalid input syntax for type uuid: (hidden)");
        assert_eq!(without_value("no value here", ": ", '"'), "no value here");
    }
}
