//! The task: batches into transactions.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use millrace_api::config::Props;
use millrace_api::connector::{Report, SinkContext, SinkTask};
use millrace_api::{Error, RecordBatch, Result};

use crate::catalog::{Catalog, Failure};
use crate::dialect::Session;
use crate::ident::TableName;
use crate::prepare::{KnownTable, KnownTables, Prepared, prepare};
use crate::writer::{Writer, in_time};

/// After so long without a word the server may have hung up: ask before relying on the connection.
const IDLE: Duration = Duration::from_secs(30);

/// `JdbcSinkTask`.
#[derive(Default)]
pub(crate) struct JdbcSinkTask {
    running: Option<Running>,
}

/// A started task. The connection is taken out during each call and put back when it is known to be in order, so that a call
/// that is cancelled leaves none behind, and the server rolls back.
struct Running {
    catalog: Catalog,
    session: Option<(Box<dyn Session>, Instant)>,
    tables: KnownTables,
    names: HashMap<String, TableName>,
}

#[async_trait]
impl SinkTask for JdbcSinkTask {
    async fn start(&mut self, _context: SinkContext, props: &Props) -> Result<()> {
        let catalog = Catalog::of(props)?;
        let session = Some((catalog.connect().await?, Instant::now()));
        self.running = Some(Running { catalog, session, tables: KnownTables::new(), names: HashMap::new() });
        Ok(())
    }

    async fn put(&mut self, batch: &RecordBatch, report: &mut Report) -> Result<()> {
        let Some(running) = &mut self.running else { return Err(Error::internal("put before start")) };
        if batch.is_empty() {
            return Ok(());
        }
        let mut session = running.session().await?;
        match running.deliver(&mut session, batch).await {
            Ok(rejected) => {
                running.session = Some((session, Instant::now()));
                for (index, error) in rejected {
                    report.reject(index, error);
                }
                Ok(())
            }
            Err(failure) => {
                if !failure.lost {
                    running.session = Some((session, Instant::now()));
                }
                Err(failure.error)
            }
        }
    }

    async fn stop(&mut self) {
        if let Some((session, _)) = self.running.take().and_then(|running| running.session) {
            // A server that does not answer to a goodbye need not hear it.
            drop(tokio::time::timeout(Duration::from_secs(1), session.close()).await);
        }
    }
}

impl Running {
    /// The connection, which is the caller's to put back.
    async fn session(&mut self) -> Result<Box<dyn Session>> {
        match self.session.take() {
            Some((session, used)) if used.elapsed() < IDLE => Ok(session),
            Some((mut session, _)) => match in_time(self.catalog.target.connect_timeout(), session.ping()).await {
                Ok(()) => Ok(session),
                Err(_) => self.catalog.connect().await,
            },
            None => self.catalog.connect().await,
        }
    }

    /// Writes a batch and returns the records that were refused. A table that changed under way is read again, once.
    async fn deliver(
        &mut self,
        session: &mut Box<dyn Session>,
        batch: &RecordBatch,
    ) -> Result<Vec<(usize, Error)>, Failure> {
        match self.attempt(session, batch).await {
            Err(failure) if failure.schema => {
                self.tables.clear();
                self.attempt(session, batch).await
            }
            outcome => outcome,
        }
    }

    async fn attempt(
        &mut self,
        session: &mut Box<dyn Session>,
        batch: &RecordBatch,
    ) -> Result<Vec<(usize, Error)>, Failure> {
        let prepared = self.prepare(session, batch).await?;
        let mut writer = Writer {
            session,
            dialect: self.catalog.dialect,
            tables: &prepared.tables,
            scratch: &prepared.scratch,
            batch_size: self.catalog.config.batch_size,
            timeout: self.catalog.target.statement_timeout(),
            broken: false,
        };
        let outcome = writer.deliver().await;
        let broken = writer.broken;
        let refused = outcome.map_err(|error| {
            let failure = Failure::from(error);
            Failure { lost: failure.lost || broken, ..failure }
        })?;
        let mut rejected = prepared.rejected;
        rejected.extend(
            refused.into_iter().map(|(record, error)| (usize::try_from(record).unwrap_or(usize::MAX), error.into())),
        );
        rejected.sort_by_key(|(index, _)| *index);
        Ok(rejected)
    }

    /// Makes rows of a batch. Where a table lacks a column it is read again, and the column added if `auto.evolve` says so.
    async fn prepare<'a>(
        &mut self,
        session: &mut Box<dyn Session>,
        batch: &'a RecordBatch,
    ) -> Result<Prepared<'a>, Failure> {
        let names = self.names_of(batch)?;
        for name in names.iter().flatten() {
            if !self.tables.contains_key(name) {
                let table = self.catalog.open(session, name, batch, &names).await?;
                self.tables.insert(name.clone(), KnownTable::new(table));
            }
        }
        let prepared = prepare(batch, &names, &mut self.tables, &self.catalog.config, &self.catalog.convert)?;
        if prepared.lacking.is_empty() {
            return Ok(prepared);
        }
        for name in &prepared.lacking {
            let known = self.catalog.evolve(session, name, batch, &names).await?;
            self.tables.insert(name.clone(), known);
        }
        Ok(prepare(batch, &names, &mut self.tables, &self.catalog.config, &self.catalog.convert)?)
    }

    /// The table of each topic in the batch's dictionary, `None` for topics without a record.
    fn names_of(&mut self, batch: &RecordBatch) -> Result<Vec<Option<TableName>>> {
        let mut used = vec![false; batch.topics().len()];
        for row in batch.rows() {
            if let Some(used) = usize::try_from(row.topic).ok().and_then(|topic| used.get_mut(topic)) {
                *used = true;
            }
        }
        let topics = batch.topics().iter().zip(used);
        topics.map(|(topic, used)| if used { self.name_of(topic).map(Some) } else { Ok(None) }).collect()
    }

    fn name_of(&mut self, topic: &str) -> Result<TableName> {
        if let Some(known) = self.names.get(topic) {
            return Ok(known.clone());
        }
        let name = self.catalog.table_of(topic)?;
        self.names.insert(topic.to_owned(), name.clone());
        Ok(name)
    }
}
