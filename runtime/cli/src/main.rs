//! `millrace`: the command line. It reads configuration, wires the parts together, and prints; everything else is elsewhere.

mod args;
mod demo;
mod distributed;
mod entry;
mod loggers;
mod metrics_port;
mod output;
mod plugins;
mod settings;
mod standalone;
mod topics;
mod worker;
mod worker_file;
mod worker_topics;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    let entry = entry::Entry::of(std::env::args_os(), settings::process_environment());
    let args = args::Args::parse_from(entry.args);
    output::init_logging(&args);
    output::hide_secrets_of_panics();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            return output::fail(&millrace_api::Error::external("the async runtime did not start").because(error));
        }
    };
    let outcome = runtime.block_on(async {
        match args.command {
            args::Command::Demo(demo) => demo::run(demo).await,
            args::Command::Distributed(distributed) => distributed::run(distributed, entry.environment).await,
            args::Command::Standalone(standalone) => standalone::run(standalone, entry.environment).await,
            args::Command::Topics(topics) => topics::run(topics).await,
        }
    });
    // Blocking threads that a connector left behind must not keep the process.
    runtime.shutdown_background();
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => output::fail(&error),
    }
}
