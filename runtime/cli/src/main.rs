//! `millrace`: the command line. It reads configuration, wires the parts together, and prints; everything else is elsewhere.

mod args;
mod demo;
mod loggers;
mod output;
mod plugins;
mod properties;
mod standalone;
mod topics;
mod worker;
mod worker_file;
mod worker_topics;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    let args = args::Args::parse();
    output::init_logging(&args);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            return output::fail(&millrace_api::Error::external("the async runtime did not start").because(error));
        }
    };
    let outcome = runtime.block_on(async {
        match args.command {
            args::Command::Demo(demo) => demo::run(demo).await,
            args::Command::Standalone(standalone) => standalone::run(standalone).await,
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
