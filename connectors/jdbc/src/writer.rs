//! A batch in one transaction; when a row is at fault, everything but that row.

use std::ops::Range;
use std::time::Duration;

use crate::dialect::{Dialect, Session, Write};
use crate::error::{Class, DbError, DbResult};
use crate::rows::TableRows;

/// Writes prepared rows through a connection.
pub(crate) struct Writer<'w, 'a> {
    pub(crate) session: &'w mut Box<dyn Session>,
    pub(crate) dialect: &'static Dialect,
    /// By name of the table, so that every task locks tables in the same order.
    pub(crate) tables: &'w [TableRows<'a>],
    pub(crate) scratch: &'w str,
    pub(crate) batch_size: usize,
    /// Longest wait for one answer.
    pub(crate) timeout: Duration,
    /// Set when a transaction could not be undone: the connection must not be used again.
    pub(crate) broken: bool,
}

/// A row the database refused: the index of its record, and why.
pub(crate) type Refusal = (u32, DbError);

impl Writer<'_, '_> {
    /// Writes everything in one transaction. The rows that the database refuses are found and returned, and the others written.
    ///
    /// # Errors
    /// Nothing was written; the class says what to do.
    pub(crate) async fn deliver(&mut self) -> DbResult<Vec<Refusal>> {
        if self.tables.is_empty() {
            return Ok(Vec::new());
        }
        self.begin().await?;
        let error = match self.steps(&(0..u32::MAX)).await {
            Ok(()) => match self.run("COMMIT").await {
                Ok(()) => return Ok(Vec::new()),
                Err(error) => error,
            },
            Err(error) => error,
        };
        self.rollback(&error).await;
        match error.class {
            Class::Data if self.broken => Err(DbError { class: Class::Lost, ..error }),
            Class::Data => self.isolate(error).await,
            _ => Err(error),
        }
    }

    /// The same, halving wherever a row is refused until the row stands alone. All in one transaction again: if the connection
    /// is lost on the way nothing is written twice by the next attempt.
    async fn isolate(&mut self, first: DbError) -> DbResult<Vec<Refusal>> {
        let mut records: Vec<u32> = self.tables.iter().flat_map(TableRows::records).collect();
        records.sort_unstable();
        self.begin().await?;
        if let Some(statement) = self.dialect.immediate {
            self.run(statement).await?;
        }
        let result = self.halve(&records, first).await;
        let outcome = match result {
            Ok(refused) => self.run("COMMIT").await.map(|()| refused),
            Err(error) => Err(error),
        };
        match outcome {
            Ok(refused) => Ok(refused),
            Err(error) => {
                self.rollback(&error).await;
                // Refused as a whole although each row was accepted: not one record's fault.
                Err(if error.class == Class::Data { DbError { class: Class::Refused, ..error } } else { error })
            }
        }
    }

    async fn halve(&mut self, records: &[u32], first: DbError) -> DbResult<Vec<Refusal>> {
        let mut refused = Vec::new();
        // The whole has been refused already, which is as good as trying it.
        let mut todo: Vec<&[u32]> = halves(records);
        if let (&[record], true) = (records, todo.is_empty()) {
            refused.push((record, first));
        }
        while let Some(part) = todo.pop() {
            let (Some(&from), Some(&to)) = (part.first(), part.last()) else { continue };
            self.run("SAVEPOINT millrace").await?;
            match self.steps(&(from..to.saturating_add(1))).await {
                Ok(()) => {}
                Err(error) if error.class == Class::Data => {
                    self.run("ROLLBACK TO SAVEPOINT millrace").await?;
                    if let &[record] = part {
                        refused.push((record, error));
                    } else {
                        todo.extend(halves(part));
                    }
                }
                Err(error) => return Err(error),
            }
            self.run("RELEASE SAVEPOINT millrace").await?;
        }
        Ok(refused)
    }

    async fn steps(&mut self, records: &Range<u32>) -> DbResult<()> {
        for rows in self.tables {
            for step in rows.steps(records) {
                let Some(group) = rows.groups.get(step.group) else { continue };
                let write = Write {
                    op: group.op,
                    table: &rows.table,
                    shape: &group.shape,
                    cells: &group.cells,
                    scratch: self.scratch,
                    order: &step.order,
                    batch_size: self.batch_size,
                };
                in_time(self.timeout, self.session.write(&write)).await?;
            }
        }
        Ok(())
    }

    async fn begin(&mut self) -> DbResult<()> {
        self.run(self.dialect.begin).await
    }

    /// Undoes the transaction, if there is still a connection to undo it on; without one the server does.
    async fn rollback(&mut self, after: &DbError) {
        self.broken = !after.connection_survives() || self.run("ROLLBACK").await.is_err();
    }

    async fn run(&mut self, statement: &'static str) -> DbResult<()> {
        in_time(self.timeout, self.session.execute(statement.to_owned())).await
    }
}

/// Two parts, the first one on top; none of a single record.
fn halves(records: &[u32]) -> Vec<&[u32]> {
    if records.len() < 2 {
        return Vec::new();
    }
    let (left, right) = records.split_at(records.len() / 2);
    vec![right, left]
}

/// A call that gives up when the database says nothing for too long.
pub(crate) async fn in_time<T>(timeout: Duration, call: impl Future<Output = DbResult<T>>) -> DbResult<T> {
    tokio::time::timeout(timeout, call).await.unwrap_or_else(|_| {
        let message = format!("The database did not answer within {} s", timeout.as_secs());
        Err(DbError::new(Class::Lost, message))
    })
}
