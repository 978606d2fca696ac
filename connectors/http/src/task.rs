//! The task: it owns the listener.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use millrace_api::config::{Config as _, Props};
use millrace_api::connector::{SourceBatch, SourceContext, SourceTask};
use millrace_api::{Error, ErrorKind, RecordBatch, Result};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::config::HttpSourceConfig;
use crate::intake::{Intake, now};
use crate::ledger::Ledger;
use crate::rebuild::Scan;
use crate::server::Server;

/// How often a poll without requests returns, as a sign of life.
const IDLE: Duration = Duration::from_secs(1);

/// The HTTP source task. Positions are empty: what a client was not told "accepted" about, it sends again.
#[derive(Default)]
pub struct HttpSourceTask {
    running: Option<Running>,
}

/// From start to stop.
struct Running {
    config: HttpSourceConfig,
    intake: Arc<Intake>,
    address: SocketAddr,
    server: JoinHandle<()>,
    /// Ends the server, also when the task is dropped without being stopped.
    cancel: DropGuard,
}

impl HttpSourceTask {
    /// The address it listens on, once it is started.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.running.as_ref().map(|running| running.address)
    }
}

#[async_trait]
impl SourceTask for HttpSourceTask {
    async fn start(&mut self, context: SourceContext, props: &Props) -> Result<()> {
        let config = HttpSourceConfig::parse(props)?;
        if config.max_body_bytes > config.max_pending_bytes {
            return Err(Error::config(format!(
                "Invalid value {} for configuration http.max.pending.bytes: Less than http.max.body.bytes, so the largest \
                 body would never be accepted",
                config.max_pending_bytes
            )));
        }
        let mut ledger = Ledger::new(config.idempotency_window_ms, config.idempotency_max_keys);
        if config.idempotency_enable {
            let scan = Scan {
                log: &*context.services.log,
                client_id: format!("{}-{}-idempotency", context.connector, context.task),
                topic: &config.topic,
                max_keys: config.idempotency_max_keys,
                since: now().saturating_sub(config.idempotency_window_ms),
            };
            scan.into_ledger(&mut ledger).await?;
        }
        let intake = Arc::new(Intake::new(config.max_pending_bytes, config.max_pending_requests, ledger));
        let server = Arc::new(Server::new(&config, Arc::clone(&intake))?);
        let listener = bind(&config.listen).await?;
        let address = listener.local_addr().map_err(|error| cannot_listen(&config.listen, &error))?;
        tracing::info!(%address, path = config.path, topic = config.topic, "listening");
        let cancel = CancellationToken::new();
        let server = tokio::spawn(server.run(listener, cancel.clone()));
        self.running = Some(Running { config, intake, address, server, cancel: cancel.drop_guard() });
        Ok(())
    }

    async fn poll(&mut self) -> Result<SourceBatch> {
        let running = self.running.as_ref().ok_or_else(not_started)?;
        let idle = tokio::time::sleep(IDLE);
        tokio::pin!(idle);
        loop {
            if running.server.is_finished() {
                return Err(Error::internal("the HTTP listener ended by itself"));
            }
            let next = running.intake.take(running.config.batch_max_bytes, running.config.batch_max_records)?;
            if let Some((records, token)) = next {
                return Ok(SourceBatch { records, positions: Vec::new(), token });
            }
            tokio::select! {
                () = running.intake.arrived() => {}
                () = &mut idle => {
                    let token = running.intake.token();
                    return Ok(SourceBatch { records: RecordBatch::new(), positions: Vec::new(), token });
                }
            }
        }
    }

    async fn committed(&mut self, token: u64) {
        if let Some(running) = &self.running {
            running.intake.committed(token);
        }
    }

    async fn stop(&mut self) {
        let Some(running) = self.running.take() else { return };
        running.intake.close();
        drop(running.cancel);
        let _ = running.server.await;
    }
}

async fn bind(listen: &str) -> Result<TcpListener> {
    TcpListener::bind(listen).await.map_err(|error| cannot_listen(listen, &error))
}

fn cannot_listen(listen: &str, error: &std::io::Error) -> Error {
    Error::config(format!(
        "Invalid value {listen} for configuration http.listen: Cannot listen there: {error}; choose an address of this \
         machine and a free port"
    ))
}

fn not_started() -> Error {
    Error::new(ErrorKind::Cancelled, "the task is not started")
}
