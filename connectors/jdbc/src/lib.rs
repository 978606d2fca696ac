//! The JDBC sink: records become rows of MySQL, MariaDB, PostgreSQL or SQLite.
//!
//! It answers to Confluent's class name and takes its configuration; see `docs.md` for users. A batch is converted by the types
//! of the table's columns ([`layout`], [`convert`]), ordered by key ([`rows`]) and written in one transaction ([`writer`]); what
//! differs between databases is in [`dialect`].

mod catalog;
mod column;
mod config;
mod connector;
mod convert;
mod ddl;
mod dialect;
mod error;
mod ident;
mod layout;
mod prepare;
mod rows;
mod table;
mod task;
pub mod tools;
mod url;
mod writer;

pub use connector::JdbcSinkPlugin;
