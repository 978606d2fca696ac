//! `millrace standalone`: a worker in one process.

use std::time::Instant;

use millrace_api::Result;
use millrace_core::providers::Environment;
use millrace_core::worker_config::Mode;

use crate::args::Standalone;
use crate::settings::{Settings, read_connector};
use crate::worker::{self, Configured};
use crate::{metrics_port, output};

/// Runs until it is told to stop.
pub(crate) async fn run(args: Standalone, environment: Environment) -> Result<()> {
    let began = Instant::now();
    let settings = Settings::read(Mode::Standalone, Some(&args.worker), &environment)?;
    settings.log();
    let scraped = metrics_port::wanted(&environment);
    let configured = Configured::new(Mode::Standalone, &settings.props, environment)?;
    let connectors = args.connectors.iter().map(|path| read_connector(path)).collect::<Result<Vec<_>>>()?;
    if args.check {
        configured.check()?;
        output::note(args.json, "the configuration is valid");
        return Ok(());
    }
    let running = worker::start(configured).await?;
    if scraped {
        metrics_port::serve(running.herder.clone()).await?;
    }
    let address = running.rest.local_addr;
    let start_millis = began.elapsed().as_millis();
    running.register(connectors).await?;
    if args.json {
        output::data(
            &serde_json::json!({ "rest": format!("http://{address}"), "startMillis": start_millis }).to_string(),
        );
    }
    tracing::info!("REST API on http://{address} after {start_millis} ms");
    stop_signal().await;
    tracing::info!("stopping");
    running.stop().await;
    Ok(())
}

/// Ctrl-C, or SIGTERM as service managers send it.
pub(crate) async fn stop_signal() {
    let terminate = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => {
                signal.recv().await;
            }
            Err(error) => {
                tracing::warn!(%error, "SIGTERM cannot be handled");
                std::future::pending::<()>().await;
            }
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = terminate => {}
    }
}
