//! `millrace standalone`: a worker in one process.

use std::time::Instant;

use millrace_api::Result;

use crate::args::Standalone;
use crate::{output, properties, worker};

/// Runs until it is told to stop.
pub(crate) async fn run(args: Standalone) -> Result<()> {
    let began = Instant::now();
    let props = properties::read_properties(&args.worker)?;
    let connectors = args.connectors.iter().map(|path| properties::read_connector(path)).collect::<Result<Vec<_>>>()?;
    let running = worker::start(props).await?;
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
