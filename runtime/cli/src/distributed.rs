//! `millrace distributed`: a worker of a group.

use std::time::Instant;

use millrace_api::Result;
use millrace_core::providers::Environment;
use millrace_core::worker_config::Mode;

use crate::args::Distributed;
use crate::settings::Settings;
use crate::standalone::stop_signal;
use crate::worker::{self, Configured};
use crate::{metrics_port, output};

/// Runs until it is told to stop.
pub(crate) async fn run(args: Distributed, environment: Environment) -> Result<()> {
    let began = Instant::now();
    let settings = Settings::read(Mode::Distributed, args.worker.as_deref(), &environment)?;
    settings.log();
    let scraped = metrics_port::wanted(&environment);
    let configured = Configured::new(Mode::Distributed, &settings.props, environment)?;
    if args.check {
        configured.check()?;
        output::note(args.json, "the configuration is valid");
        return Ok(());
    }
    let running = worker::start_distributed(configured).await?;
    if scraped {
        metrics_port::serve(running.herder.clone()).await?;
    }
    let address = running.rest.local_addr;
    let start_millis = began.elapsed().as_millis();
    running.herder.set_ready();
    if args.json {
        let line = serde_json::json!({ "rest": format!("http://{address}"), "startMillis": start_millis });
        output::data(&line.to_string());
    }
    tracing::info!("REST API on http://{address} after {start_millis} ms");
    stop_signal().await;
    tracing::info!("stopping");
    running.stop().await;
    Ok(())
}
