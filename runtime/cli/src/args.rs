//! The commands and their options.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand};

/// Kafka Connect without the JVM.
#[derive(Debug, Parser)]
#[command(name = "millrace", version, about, disable_help_subcommand = true)]
pub(crate) struct Args {
    /// Log level, or a filter such as `info,millrace_kafka=debug`; `MILLRACE_LOG` says the same.
    #[arg(long, global = true, env = "MILLRACE_LOG")]
    pub(crate) log: Option<String>,
    /// Log lines as JSON.
    #[arg(long, global = true)]
    pub(crate) log_json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the shopstream scenario on the embedded log: orders by HTTP into SQLite, logs into files, hourly counts.
    Demo(Demo),
    /// Run a worker of a group, which shares its connectors and tasks over Kafka.
    Distributed(Distributed),
    /// Run a worker in one process from Kafka Connect's files.
    Standalone(Standalone),
    /// Look at topics, or write to them, also while a worker runs.
    Topics(Topics),
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Demo {
    /// How many orders to send; without it, orders keep coming until Ctrl-C.
    #[arg(long)]
    pub(crate) orders: Option<u64>,
    /// End when all orders have arrived everywhere.
    #[arg(long, requires = "orders")]
    pub(crate) exit: bool,
    /// Directory for the log, the database and the files; a second run goes on where the first stopped.
    #[arg(long, default_value = "millrace-demo")]
    pub(crate) data: PathBuf,
    /// Port of the REST API; orders are taken on the next one. By default any free ports.
    #[arg(long)]
    pub(crate) port: Option<u16>,
    /// Only JSON on standard output: one line, the totals.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Distributed {
    /// The worker's properties (`connect-distributed.properties`), or TOML. `CONNECT_*` and `MILLRACE_*` variables win over it;
    /// without a file, they are all there is, and `BOOTSTRAP_SERVERS`, `GROUP_ID` and others count as well.
    pub(crate) worker: Option<PathBuf>,
    /// Only check the configuration.
    #[arg(long)]
    pub(crate) check: bool,
    /// Print one JSON line when the worker is ready.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Standalone {
    /// The worker's properties (`connect-standalone.properties`), or TOML. `MILLRACE_*` variables win over it.
    pub(crate) worker: PathBuf,
    /// Only check the configuration, and the connectors' files.
    #[arg(long)]
    pub(crate) check: bool,
    /// Connectors: properties files, or JSON as it is POSTed.
    pub(crate) connectors: Vec<PathBuf>,
    /// Print one JSON line when the worker is ready.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Topics {
    /// Directory of the embedded log (`data.dir`). While a worker runs on it, that worker's REST API is asked.
    #[arg(long, global = true, default_value = "millrace-data")]
    pub(crate) data: PathBuf,
    /// Kafka instead of the embedded log.
    #[arg(long, global = true)]
    pub(crate) bootstrap_servers: Option<String>,
    /// One JSON object a line.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: TopicsCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TopicsCommand {
    /// List topics with their partitions and numbers of records.
    List,
    /// Print records.
    Tail {
        /// The topic.
        topic: String,
        /// Start at the beginning instead of the last 10 records of each partition.
        #[arg(long)]
        from_beginning: bool,
        /// Wait for more.
        #[arg(short, long)]
        follow: bool,
        /// Stop after this many records.
        #[arg(short = 'n', long)]
        limit: Option<u64>,
    },
    /// Append one record per line of standard input: the value, or key and value separated by a tab.
    Produce {
        /// The topic.
        topic: String,
        /// Lines are `key<TAB>value`.
        #[arg(long)]
        keyed: bool,
    },
}
