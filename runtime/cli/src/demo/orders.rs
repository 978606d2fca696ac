//! Making orders and sending them, the same ones in every run: order n is a function of n.

use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::StreamExt as _;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use millrace_api::{Error, Result};
use millrace_core::time::now_millis;
use serde_json::json;

/// Requests under way at once.
const CONCURRENCY: usize = 64;

/// One order in so many is invalid.
const INVALID_EVERY: u64 = 20;

/// The orders of this data directory.
pub(super) struct Orders {
    client: Client<HttpConnector, Full<Bytes>>,
    url: String,
    next: u64,
    rejected: u64,
    file: PathBuf,
}

enum Answer {
    Accepted,
    Rejected,
}

impl Orders {
    /// Goes on where the last run stopped.
    pub(super) fn resume(data: &Path, url: String) -> Result<Self> {
        let file = data.join("orders-sent");
        let next = match std::fs::read_to_string(&file) {
            Ok(text) => text.trim().parse().map_err(|_| {
                Error::config(format!("{} holds no number; delete it and the directory", file.display()))
            })?,
            Err(_) => 0,
        };
        let client = Client::builder(TokioExecutor::new()).build_http();
        Ok(Self { client, url, next, rejected: (0..next).filter(|n| !is_valid(*n)).count() as u64, file })
    }

    pub(super) fn save(&self) -> Result<()> {
        let failed = |error| Error::external(format!("{} cannot be written", self.file.display())).because(error);
        std::fs::write(&self.file, self.next.to_string()).map_err(failed)
    }

    /// Orders sent in all runs.
    pub(super) fn sent(&self) -> u64 {
        self.next
    }

    /// Orders sent in all runs that were accepted.
    pub(super) fn valid(&self) -> u64 {
        self.next - self.rejected
    }

    /// Sends the next `count` orders; each is answered when this returns.
    pub(super) async fn send(&mut self, count: u64) -> Result<()> {
        let numbers = self.next..self.next + count;
        let answers: Vec<Result<Answer>> =
            futures::stream::iter(numbers).map(|n| self.send_one(n)).buffer_unordered(CONCURRENCY).collect().await;
        for answer in answers {
            if let Answer::Rejected = answer? {
                self.rejected += 1;
            }
        }
        self.next += count;
        Ok(())
    }

    /// Sends one order, again while the worker is not ready or overloaded; the idempotency key makes that harmless.
    async fn send_one(&self, n: u64) -> Result<Answer> {
        let body = order(n).to_string();
        for _ in 0..200 {
            let request = Request::builder()
                .method(Method::POST)
                .uri(&self.url)
                .header("Content-Type", "application/json")
                .header("Idempotency-Key", format!("order-{n}"))
                .body(Full::new(Bytes::from(body.clone())))
                .map_err(|error| Error::internal("a request could not be built").because(error))?;
            let Ok(response) = self.client.request(request).await else {
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            let status = response.status();
            // Read to the end, so that the connection is used again.
            let body =
                response.into_body().collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
            match status {
                StatusCode::ACCEPTED => return Ok(Answer::Accepted),
                StatusCode::BAD_REQUEST if !is_valid(n) => return Ok(Answer::Rejected),
                StatusCode::SERVICE_UNAVAILABLE => tokio::time::sleep(Duration::from_millis(100)).await,
                status => {
                    let text = String::from_utf8_lossy(&body).into_owned();
                    return Err(Error::external(format!("order {n} was answered {status}: {text}")));
                }
            }
        }
        Err(Error::external(format!("{} does not answer", self.url)))
    }
}

fn is_valid(n: u64) -> bool {
    n % INVALID_EVERY != INVALID_EVERY - 1
}

fn order(n: u64) -> serde_json::Value {
    let hours_ago = i64::try_from(n % 5).unwrap_or(0);
    let price = 5.0 + (n % 9_500) as f64 / 100.0;
    json!({
        "orderId": format!("o-{n:08}"),
        "customerId": format!("c-{}", n * 7 % 1_000),
        "productId": format!("p-{}", n * 13 % 200),
        "quantity": if is_valid(n) { json!(n % 9 + 1) } else { json!("many") },
        "price": (price * 100.0).round() / 100.0,
        "orderTime": millrace_core::time::iso(now_millis() - hours_ago * 3_600_000),
        "status": "CREATED",
    })
}
