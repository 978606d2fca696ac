//! Looking at a target database from outside the data plane: for the demo and for scenario tests.

use millrace_api::config::Password;
use millrace_api::{Error, Result};
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection, MySqlSslMode};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Row as _};

use crate::url::{Target, parse};

/// A SQLite or MySQL database.
#[derive(Debug, Clone)]
pub struct Database {
    url: String,
    user: String,
    password: Password,
}

enum Open {
    Sqlite(SqliteConnection),
    MySql(MySqlConnection),
}

impl Database {
    /// A SQLite file, which is created when it does not exist.
    #[must_use]
    pub fn sqlite(path: &std::path::Path) -> Self {
        Self { url: format!("jdbc:sqlite:{}", path.display()), user: String::new(), password: Password::default() }
    }

    /// A MySQL or MariaDB database: `jdbc:mysql://host:port/database`.
    pub fn mysql(url: impl Into<String>, user: impl Into<String>, password: Password) -> Self {
        Self { url: url.into(), user: user.into(), password }
    }

    /// `connection.url`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Runs statements, separated by semicolons.
    ///
    /// # Errors
    /// What the database says.
    pub async fn execute(&self, sql: &str) -> Result<()> {
        let failed = |error: sqlx::Error| Error::external("a statement failed").because(error);
        let sql = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
        match self.open().await? {
            Open::Sqlite(mut connection) => sql.execute(&mut connection).await.map(|_| ()).map_err(failed),
            Open::MySql(mut connection) => sql.execute(&mut connection).await.map(|_| ()).map_err(failed),
        }
    }

    /// Runs a query whose rows are a text and a number; a null number is 0.
    ///
    /// # Errors
    /// What the database says.
    pub async fn query(&self, sql: &str) -> Result<Vec<(String, u64)>> {
        let failed = |error: sqlx::Error| Error::external("a query failed").because(error);
        let count = |count: Option<i64>| count.and_then(|count| u64::try_from(count).ok()).unwrap_or(0);
        // The drivers are different types, so the statement is made for each.
        match self.open().await? {
            Open::Sqlite(mut connection) => {
                let rows =
                    sqlx::query(AssertSqlSafe(sql.to_owned())).fetch_all(&mut connection).await.map_err(failed)?;
                rows.iter()
                    .map(|row| Ok((row.try_get(0)?, count(row.try_get(1)?))))
                    .collect::<sqlx::Result<_>>()
                    .map_err(failed)
            }
            Open::MySql(mut connection) => {
                let rows =
                    sqlx::query(AssertSqlSafe(sql.to_owned())).fetch_all(&mut connection).await.map_err(failed)?;
                rows.iter()
                    .map(|row| Ok((row.try_get(0)?, count(row.try_get(1)?))))
                    .collect::<sqlx::Result<_>>()
                    .map_err(failed)
            }
        }
    }

    async fn open(&self) -> Result<Open> {
        let failed = |error: sqlx::Error| Error::external("the database cannot be opened").because(error);
        match parse(&self.url)? {
            Target::Sqlite(Some(path)) => {
                let options =
                    SqliteConnectOptions::new().filename(path).create_if_missing(true).disable_statement_logging();
                SqliteConnection::connect_with(&options).await.map(Open::Sqlite).map_err(failed)
            }
            Target::MySql(server) => {
                let options = MySqlConnectOptions::new()
                    .host(&server.host)
                    .port(server.port)
                    .database(&server.database)
                    .username(&self.user)
                    .password(self.password.reveal())
                    .ssl_mode(MySqlSslMode::Disabled)
                    .disable_statement_logging();
                MySqlConnection::connect_with(&options).await.map(Open::MySql).map_err(failed)
            }
            Target::Sqlite(None) | Target::Postgres(_) => {
                Err(Error::config("only SQLite files and MySQL can be looked at"))
            }
        }
    }
}
