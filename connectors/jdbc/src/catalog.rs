//! The tables of the database: which one a topic goes to, what it looks like, and making it fit.

use millrace_api::config::Props;
use millrace_api::{Error, ErrorKind, RecordBatch, Result};

use crate::config::SinkConfig;
use crate::connector::target_problems;
use crate::convert::Convert;
use crate::ddl::Wishes;
use crate::dialect::{self, Dialect, Session};
use crate::error::{Class, DbError};
use crate::ident::{Quoting, TableName};
use crate::prepare::KnownTable;
use crate::table::Table;
use crate::url::{self, Target};
use crate::writer::in_time;

/// What is fixed while a task runs.
#[derive(Debug)]
pub(crate) struct Catalog {
    pub(crate) config: SinkConfig,
    pub(crate) target: Target,
    pub(crate) dialect: &'static Dialect,
    pub(crate) convert: Convert,
    quoting: Quoting,
}

/// Why a batch was not written, and whether the connection is still good.
pub(crate) struct Failure {
    pub(crate) error: Error,
    pub(crate) lost: bool,
    /// A table is not what it was.
    pub(crate) schema: bool,
}

impl From<DbError> for Failure {
    fn from(error: DbError) -> Self {
        Self { lost: !error.connection_survives(), schema: error.class == Class::Schema, error: error.into() }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { error, lost: false, schema: false }
    }
}

impl Catalog {
    /// Reads a configuration.
    ///
    /// # Errors
    /// [`ErrorKind::Config`].
    pub(crate) fn of(props: &Props) -> Result<Self> {
        let config = SinkConfig::of(props)?;
        let target = url::parse(&config.connection_url)?;
        let dialect = Dialect::of(&target);
        if let Some((_, problem)) = target_problems(&config, &target).into_iter().next() {
            return Err(Error::config(problem));
        }
        let convert = Convert { zone: config.db_timezone.clone(), infinities: dialect.infinities };
        Ok(Self { quoting: dialect.quoting(&config), convert, dialect, target, config })
    }

    /// Connects.
    ///
    /// # Errors
    /// [`ErrorKind::External`] when the database says no, `Retriable` when nobody answers.
    pub(crate) async fn connect(&self) -> Result<Box<dyn Session>> {
        let connecting = dialect::connect(&self.target, &self.config);
        in_time(self.target.connect_timeout(), connecting).await.map_err(|error| {
            let kind = if error.class == Class::Refused { ErrorKind::External } else { ErrorKind::Retriable };
            Error::new(kind, format!("Could not connect to the database: {}", error.message))
                .with("database", &self.target)
        })
    }

    /// The table of a topic.
    pub(crate) fn table_of(&self, topic: &str) -> Result<TableName> {
        let mapped =
            self.config.topics_to_tables.iter().flatten().find_map(|entry| {
                entry.split_once(':').and_then(|(of, table)| (of == topic).then(|| table.to_owned()))
            });
        let text = mapped.unwrap_or_else(|| {
            let normal = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' };
            let topic =
                if self.config.table_name_normalize { topic.chars().map(normal).collect() } else { topic.to_owned() };
            self.config.table_name_format.replace("${topic}", &topic)
        });
        TableName::parse(&text, self.dialect.mark)
    }

    /// Reads a table, after creating it if it is missing and `auto.create` says so.
    pub(crate) async fn open(
        &self,
        session: &mut Box<dyn Session>,
        name: &TableName,
        batch: &RecordBatch,
        names: &[Option<TableName>],
    ) -> Result<Table, Failure> {
        if let Some(table) = self.read(session, name).await? {
            return Ok(table);
        }
        if !self.config.auto_create {
            return Err(Failure::from(Error::external(format!(
                "Table \"{name}\" is missing and auto-creation is disabled; create it, or set auto.create to true"
            ))));
        }
        let statement = self.wishes(name, batch, names).create(
            &self.config,
            self.dialect,
            &self.quoting,
            &name.quoted(&self.quoting)?,
        )?;
        let created = self.run(session, statement).await;
        // Another task may have been faster, which is no error.
        match (self.read(session, name).await?, created) {
            (Some(table), _) => Ok(table),
            (None, Err(error)) => Err(could_not("create", name, &error)),
            (None, Ok(())) => {
                Err(Failure::from(Error::external(format!("Table \"{name}\" was created and is not there"))))
            }
        }
    }

    /// Reads a table anew, after adding what it lacks if `auto.evolve` says so.
    pub(crate) async fn evolve(
        &self,
        session: &mut Box<dyn Session>,
        name: &TableName,
        batch: &RecordBatch,
        names: &[Option<TableName>],
    ) -> Result<KnownTable, Failure> {
        let missing = || Failure::from(Error::external(format!("Table \"{name}\" is missing: somebody dropped it")));
        let table = self.read(session, name).await?.ok_or_else(missing)?;
        let wishes = self.wishes(name, batch, names).missing_in(&table);
        if !self.config.auto_evolve || wishes.is_empty() {
            return Ok(KnownTable::new(table));
        }
        let statements = match wishes.alter(self.dialect, &self.quoting, &table.quoted) {
            Ok(statements) => statements,
            Err(error) => {
                return Ok(KnownTable::lacking(table, error.message()));
            }
        };
        let mut failed = None;
        for statement in statements {
            failed = self.run(session, statement).await.err().or(failed);
        }
        let table = self.read(session, name).await?.ok_or_else(missing)?;
        // Another task may have been faster, which is no error.
        match failed {
            Some(error) if !self.wishes(name, batch, names).missing_in(&table).is_empty() => {
                Err(could_not("alter", name, &error))
            }
            _ => Ok(KnownTable::new(table)),
        }
    }

    fn wishes(&self, name: &TableName, batch: &RecordBatch, names: &[Option<TableName>]) -> Wishes {
        let of_table = |topic: u32| {
            let topic = usize::try_from(topic).ok().and_then(|topic| names.get(topic));
            topic.and_then(Option::as_ref) == Some(name)
        };
        Wishes::of(&self.config, batch.iter().filter(|record| of_table(record.row().topic)))
    }

    async fn read(&self, session: &mut Box<dyn Session>, name: &TableName) -> Result<Option<Table>, Failure> {
        let quoted = name.quoted(&self.quoting)?;
        let columns =
            in_time(self.target.statement_timeout(), session.columns(name, &quoted, &self.config.table_types)).await?;
        let Some(columns) = columns else { return Ok(None) };
        // Without quotes case means nothing, and columns whose names need quotes are out of reach.
        let ignore_case = self.dialect.ignore_case || !self.config.quotes();
        let columns: Vec<_> = columns.into_iter().filter(|column| self.quoting.quoted(&column.name).is_ok()).collect();
        let names = columns.iter().map(|column| self.quoting.quoted(&column.name)).collect::<Result<Vec<_>>>()?;
        Ok(Some(Table::new(name.clone(), quoted, columns, names, ignore_case)))
    }

    async fn run(&self, session: &mut Box<dyn Session>, statement: String) -> Result<(), DbError> {
        in_time(self.target.statement_timeout(), session.execute(statement)).await
    }
}

fn could_not(what: &str, name: &TableName, error: &DbError) -> Failure {
    let message = format!("Could not {what} table \"{name}\": {}", error.message);
    // What a statement of ours refuses is no record's fault.
    let class = if matches!(error.class, Class::Data | Class::Schema) { Class::Refused } else { error.class };
    DbError::new(class, message).into()
}
