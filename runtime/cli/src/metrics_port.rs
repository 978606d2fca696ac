//! Metrics on a port of their own, where images for Kafka Connect have the JMX exporter's.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::CONTENT_TYPE;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use millrace_api::{Error, Result};
use millrace_core::herder::Herder;
use millrace_core::providers::Environment;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// Port of the exporter in Strimzi's and Debezium's images.
const PORT: u16 = 9404;

/// Scrapers at the same time; more are closed at once.
const SCRAPERS: usize = 16;

/// Whether the environment asks for it: Strimzi's operator sets this where `metricsConfig` is given.
pub(crate) fn wanted(environment: &Environment) -> bool {
    environment.get("KAFKA_CONNECT_JMX_EXPORTER_ENABLED").is_some_and(|flag| flag.trim().eq_ignore_ascii_case("true"))
}

/// Listens on all interfaces, as the exporter does, until the process ends. Answers with metrics on every path.
pub(crate) async fn serve(herder: Arc<dyn Herder>) -> Result<()> {
    let address = SocketAddr::from((Ipv4Addr::UNSPECIFIED, PORT));
    let listener = TcpListener::bind(address).await.map_err(|error| {
        Error::config(format!(
            "cannot listen on {address} for metrics: {error}. Free the port, or unset KAFKA_CONNECT_JMX_EXPORTER_ENABLED"
        ))
        .because(error)
    })?;
    tracing::info!(%address, "metrics are also here");
    tokio::spawn(accept(listener, herder));
    Ok(())
}

async fn accept(listener: TcpListener, herder: Arc<dyn Herder>) {
    let scrapers = Arc::new(Semaphore::new(SCRAPERS));
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "a scraper's connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let Ok(permit) = Arc::clone(&scrapers).try_acquire_owned() else { continue };
        let herder = Arc::clone(&herder);
        tokio::spawn(async move {
            let service = service_fn(|request: hyper::Request<hyper::body::Incoming>| {
                let response = answer(request.method(), herder.as_ref());
                async move { Ok::<_, Infallible>(response) }
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(Duration::from_secs(30))
                .serve_connection(TokioIo::new(stream), service);
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a scraper's connection ended early");
            }
            drop(permit);
        });
    }
}

fn answer(method: &Method, herder: &dyn Herder) -> Response<Full<Bytes>> {
    if method != Method::GET {
        let mut response = Response::new(Full::default());
        *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
        return response;
    }
    let mut response = Response::new(Full::new(Bytes::from(herder.metrics())));
    let kind = hyper::header::HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}
