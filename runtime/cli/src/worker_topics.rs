//! The topics of a running worker, through its REST API.

use std::fmt::Write as _;
use std::time::Duration;

use async_trait::async_trait;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use millrace_api::batch::NO_PARTITION;
use millrace_api::batch::raw::{RawBatch, RawRecord, RawRecords};
use millrace_api::log::Appended;
use millrace_api::{Error, ErrorKind, Result};
use millrace_rest::topics::{
    INSTANCE_HEADER, MAX_RECORDS, MAX_WAIT, Page, RecordBody, Topic, TopicAccess, TopicReader, read_shown,
};
use serde_json::{Value, json};

use crate::worker_file::WorkerAddress;

/// How long an answer may take, beside what it was asked to wait.
const PATIENCE: Duration = Duration::from_mins(1);

/// Largest answer that is taken: a full page, however its bytes are escaped, has less.
const MAX_ANSWER_BYTES: usize = 64 << 20;

/// The topics of a worker.
#[derive(Clone)]
pub(crate) struct WorkerTopics {
    client: Client<HttpConnector, Full<Bytes>>,
    worker: WorkerAddress,
}

impl WorkerTopics {
    /// Makes sure that the worker answers, and that it is the one.
    ///
    /// # Errors
    /// As those of a request; [`ErrorKind::Config`] when the worker does not show its topics.
    pub(crate) async fn connect(worker: WorkerAddress) -> Result<Self> {
        let topics = Self { client: Client::builder(TokioExecutor::new()).build_http(), worker };
        topics.get("").await?;
        Ok(topics)
    }

    async fn get(&self, path: &str) -> Result<Value> {
        self.ask(Method::GET, path, Bytes::new(), PATIENCE + MAX_WAIT).await?.1
    }

    /// Asks for something below `/millrace/topics`. The inner error is what the worker said is wrong; its body comes along.
    ///
    /// # Errors
    /// [`ErrorKind::Retriable`] when nobody, or somebody else, answers.
    async fn ask(&self, method: Method, path: &str, body: Bytes, patience: Duration) -> Result<(Value, Result<Value>)> {
        let WorkerAddress { rest, instance, .. } = &self.worker;
        let url = format!("http://{rest}/millrace/topics{path}");
        let silent = || {
            Error::retriable("The worker that holds the data directory does not answer; is it stopping?")
                .with("url", format!("http://{rest}"))
        };
        let mut request = Request::builder().method(method).uri(&url);
        if !body.is_empty() {
            request = request.header("Content-Type", "application/json");
        }
        let request = request
            .body(Full::new(body))
            .map_err(|error| Error::config("The name of the topic cannot be part of a URL").because(error))?;
        let exchange = async {
            let response = self.client.request(request).await.map_err(|error| silent().because(error))?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, MAX_ANSWER_BYTES).collect().await.map_err(|error| silent().because(error))?;
            Ok::<_, Error>((head, body.to_bytes()))
        };
        let (head, body) = tokio::time::timeout(patience, exchange).await.map_err(|_| silent())??;
        if head.headers.get(INSTANCE_HEADER).is_none_or(|name| name.as_bytes() != instance.as_bytes()) {
            return Err(Error::retriable(
                "Who answers is not the worker that holds the data directory; stop the one or the other",
            )
            .with("url", format!("http://{rest}")));
        }
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        let outcome = if head.status.is_success() { Ok(body.clone()) } else { Err(refusal(head.status, &body)) };
        Ok((body, outcome))
    }
}

/// What the worker says is wrong.
fn refusal(status: StatusCode, body: &Value) -> Error {
    let message = body.get("message").and_then(Value::as_str).map_or_else(|| status.to_string(), str::to_owned);
    let kind = match status {
        StatusCode::NOT_FOUND => ErrorKind::NotFound,
        status if status.is_client_error() => ErrorKind::Config,
        _ => ErrorKind::External,
    };
    Error::new(kind, message)
}

#[async_trait]
impl TopicAccess for WorkerTopics {
    async fn topics(&self) -> Result<Vec<Topic>> {
        let topic = |topic: &Value| {
            Some(Topic {
                name: topic.get("topic")?.as_str()?.to_owned(),
                partitions: topic.get("partitions")?.as_i64()?.try_into().ok()?,
                records: topic.get("records")?.as_i64()?,
                internal: topic.get("internal")?.as_bool()?,
            })
        };
        let body = self.get("").await?;
        body.as_array().and_then(|topics| topics.iter().map(topic).collect()).ok_or_else(garbled)
    }

    async fn offsets(&self, topic: &str) -> Result<Vec<(i64, i64)>> {
        let body = self.get(&format!("/{}", encode(topic))).await?;
        let range = |range: &Value| Some((range.get("begin")?.as_i64()?, range.get("end")?.as_i64()?));
        let ranges = body.get("partitions").and_then(Value::as_array);
        ranges.and_then(|ranges| ranges.iter().map(range).collect()).ok_or_else(garbled)
    }

    async fn read(&self, topic: &str, from: &[(i32, i64)]) -> Result<Box<dyn TopicReader>> {
        Ok(Box::new(WorkerReader { topics: self.clone(), topic: topic.to_owned(), next: from.to_vec() }))
    }

    async fn append(&self, topic: &str, records: &RawBatch) -> Result<Vec<Result<Appended>>> {
        let new = |record: RawRecord<'_>| {
            let anywhere = record.partition == NO_PARTITION;
            let mut record = serde_json::to_value(RecordBody(record))?;
            if let Some(fields) = record.as_object_mut() {
                fields.retain(|name, _| match name.as_str() {
                    "topic" | "offset" => false,
                    "partition" => !anywhere,
                    _ => true,
                });
            }
            Ok(record)
        };
        let records: Result<Vec<Value>, serde_json::Error> =
            (0..records.len()).filter_map(|index| records.get(index)).map(new).collect();
        let records = records.map_err(|error| Error::internal("records are no JSON").because(error))?;
        let body = json!({ "records": records }).to_string().into();
        let path = format!("/{}/records", encode(topic));
        let (body, outcome) = self.ask(Method::POST, &path, body, PATIENCE).await?;
        let Some(offsets) = body.get("offsets").and_then(Value::as_array) else {
            return Err(outcome.err().unwrap_or_else(garbled));
        };
        let appended = |appended: &Value| {
            let number = |name: &str| appended.get(name).and_then(Value::as_i64);
            let partition = number("partition").and_then(|partition| partition.try_into().ok());
            match (partition, number("offset"), appended.get("message").and_then(Value::as_str)) {
                (Some(partition), Some(offset), _) => Ok(Appended { partition, offset }),
                (_, _, Some(message)) => Err(Error::data(message.to_owned())),
                _ => Err(garbled()),
            }
        };
        Ok(offsets.iter().map(appended).collect())
    }
}

/// Reads a page per request.
struct WorkerReader {
    topics: WorkerTopics,
    topic: String,
    next: Vec<(i32, i64)>,
}

impl WorkerReader {
    fn page_of(&mut self, body: &Value) -> Result<Page> {
        let mut records = RawBatch::new();
        for record in body.get("records").and_then(Value::as_array).ok_or_else(garbled)? {
            read_shown(record, &self.topic, &mut records).map_err(|error| garbled().because(error))?;
        }
        let position = |position: &Value| {
            let partition = position.get("partition")?.as_i64()?.try_into().ok()?;
            Some((partition, position.get("offset")?.as_i64()?))
        };
        let next = body.get("next").and_then(Value::as_array);
        self.next = next.and_then(|next| next.iter().map(position).collect()).ok_or_else(garbled)?;
        let end = body.get("end").and_then(Value::as_bool).ok_or_else(garbled)?;
        Ok(Page { records, next: self.next.clone(), end })
    }
}

#[async_trait]
impl TopicReader for WorkerReader {
    async fn page(&mut self, limit: usize, wait: Duration) -> Result<Page> {
        let list = |numbers: Vec<String>| numbers.join(",");
        let partitions = list(self.next.iter().map(|(partition, _)| partition.to_string()).collect());
        let offsets = list(self.next.iter().map(|(_, offset)| offset.to_string()).collect());
        let (limit, wait) = (limit.clamp(1, MAX_RECORDS), wait.min(MAX_WAIT).as_millis());
        let path = format!(
            "/{}/records?partition={partitions}&offset={offsets}&limit={limit}&wait.ms={wait}",
            encode(&self.topic)
        );
        let body = self.topics.get(&path).await?;
        self.page_of(&body)
    }
}

fn garbled() -> Error {
    Error::external("The worker's answer is not understood; is it of another version?")
}

/// A name as one segment of a path.
fn encode(name: &str) -> String {
    let mut encoded = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    /// Asks somebody who gives this answer to everything.
    async fn ask(answer: String) -> Result<Vec<Topic>> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let rest = listener.local_addr().unwrap();
        let server = tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let _ = stream.read(&mut [0; 4096]).await;
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        let worker = WorkerAddress { rest, instance: "this-one".to_owned(), pid: 1 };
        let topics = match WorkerTopics::connect(worker).await {
            Ok(worker) => worker.topics().await,
            Err(error) => Err(error),
        };
        server.abort();
        topics
    }

    #[tokio::test]
    async fn only_the_worker_that_was_written_down_is_believed() {
        let answer = |header: &str, body: &str| {
            format!("HTTP/1.1 200 OK\r\nConnection: close\r\n{header}Content-Length: {}\r\n\r\n{body}", body.len())
        };
        let body = r#"[{"topic":"t","partitions":1,"records":2,"internal":false}]"#;
        let expected = Topic { name: "t".to_owned(), partitions: 1, records: 2, internal: false };
        assert_eq!(ask(answer("millrace-worker: this-one\r\n", body)).await.unwrap(), [expected]);
        for other in [answer("", body), answer("millrace-worker: that-one\r\n", body), "220 ESMTP\r\n".to_owned()] {
            assert_eq!(ask(other.clone()).await.unwrap_err().kind(), ErrorKind::Retriable, "{other}");
        }
    }

    #[test]
    fn names_are_one_segment_of_a_path() {
        assert_eq!(encode("logs-1.v_2~"), "logs-1.v_2~");
        assert_eq!(encode("a/b ?%\u{fc}"), "a%2Fb%20%3F%25%C3%BC");
    }
}
