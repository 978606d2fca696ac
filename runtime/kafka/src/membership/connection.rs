//! A connection to one broker. One request at a time: a broker answers those of a connection in their order anyway.

use std::future::Future;
use std::io;
use std::mem;
use std::time::Duration;

use millrace_api::error::Error;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::codes;
use super::login::log_in;
use super::messages::{Api, ApiVersions, Range, Request};
use super::settings::{Address, Settings};
use super::tls::{self, Encryption};
use super::wire::{Malformed, Reader, Writer};

/// What a broker sends is refused from this size on. A leader is told what all members said, which a broker keeps in one record.
const LARGEST_ANSWER: usize = 64 << 20;

/// The part of a login's life after which another is due, as in Kafka (KIP-368).
const LOGIN_USE: f64 = 0.85;

/// Why a request has no answer.
#[derive(Debug)]
pub(super) enum Fault {
    /// The connection is of no use any more. Another may do better.
    Lost(String),
    /// No further attempt can help.
    Fatal(Error),
}

/// Bytes in both directions, encrypted or not.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A connection on which requests can be made.
pub(super) struct Connection {
    stream: Box<dyn Stream>,
    broker: Address,
    client_id: String,
    versions: Vec<(i16, Range)>,
    requests: i32,
    /// A request was given up, so what comes next would be its answer.
    spoilt: bool,
    /// When another login is due, for which another connection is made.
    expires: Option<Instant>,
}

impl Connection {
    /// Connects, learns which requests the broker knows, and logs in.
    pub(super) async fn open(broker: &Address, settings: &Settings) -> Result<Self, Fault> {
        let connected = timeout(settings.setup_timeout, connect(broker, settings.encryption.as_ref())).await;
        let stream = connected.unwrap_or_else(|_| {
            let patience = settings.setup_timeout.as_millis();
            Err(Fault::Lost(format!("{broker} cannot be reached: no answer within {patience} ms")))
        })?;
        let mut connection = Self {
            stream,
            broker: broker.clone(),
            client_id: settings.client_id.clone(),
            versions: vec![(ApiVersions::API.key, ApiVersions::API.versions)],
            requests: 0,
            spoilt: false,
            expires: None,
        };
        connection.greet(settings.request_timeout).await?;
        if let Some(sasl) = &settings.sasl {
            let lasts = log_in(&mut connection, sasl, settings.request_timeout).await?;
            connection.expires = lasts.map(|lasts| Instant::now() + lasts.mul_f64(LOGIN_USE));
        }
        Ok(connection)
    }

    async fn greet(&mut self, patience: Duration) -> Result<(), Fault> {
        match self.call(&ApiVersions, patience).await? {
            Ok(versions) => {
                self.versions = versions;
                Ok(())
            }
            Err(code) => Err(Fault::Fatal(
                Error::external(format!(
                    "Kafka refused ApiVersions with {}; brokers must be of version 2.4 or newer",
                    codes::name(code)
                ))
                .with("broker", &self.broker),
            )),
        }
    }

    /// Makes a request and waits for its answer. When the call is dropped the connection can be used no more.
    pub(super) async fn call<R: Request>(&mut self, request: &R, patience: Duration) -> Result<R::Answer, Fault> {
        let version = self.version(&R::API)?;
        if mem::replace(&mut self.spoilt, true) {
            return Err(self.lost("a request was given up before"));
        }
        self.requests = self.requests.wrapping_add(1);
        let body = framed(request, version, self.requests, &self.client_id);
        let answer = match within(patience, exchange(&mut self.stream, &body)).await {
            Ok(answer) => answer,
            Err(fault) => {
                // A refusal comes right after the handshake, if not in it.
                let refused = if self.requests == 1 { tls::refusal(&fault, &self.broker) } else { None };
                let lost = || self.lost(&format!("{}: {fault}", R::API.name));
                return Err(refused.map_or_else(lost, Fault::Fatal));
            }
        };
        let read = unframed::<R>(&answer, version, self.requests);
        let read = read.map_err(|Malformed(fault)| {
            self.lost(&format!("the answer to {} is not Kafka's protocol: {fault}", R::API.name))
        })?;
        self.spoilt = false;
        Ok(read)
    }

    /// Whether requests can be made.
    pub(super) fn is_usable(&self) -> bool {
        !self.spoilt && self.expires.is_none_or(|expires| Instant::now() < expires)
    }

    fn version(&self, api: &Api) -> Result<i16, Fault> {
        let theirs = self.versions.iter().find(|(key, _)| *key == api.key).map(|(_, versions)| *versions);
        theirs.and_then(|theirs| api.versions.common(theirs)).ok_or_else(|| {
            let had = theirs.map_or_else(|| "none".to_owned(), |Range { first, last }| format!("{first} to {last}"));
            let Range { first, last } = api.versions;
            let text = format!("the broker has no version of {} from {first} to {last}; it has {had}", api.name);
            Fault::Fatal(Error::external(text).with("broker", &self.broker))
        })
    }

    fn lost(&self, why: &str) -> Fault {
        Fault::Lost(format!("{}: {why}", self.broker))
    }
}

async fn connect(broker: &Address, encryption: Option<&Encryption>) -> Result<Box<dyn Stream>, Fault> {
    let stream = TcpStream::connect((broker.host.as_str(), broker.port))
        .await
        .map_err(|fault| Fault::Lost(format!("{broker} cannot be reached: {fault}")))?;
    // Requests are small and waited for.
    let _ = stream.set_nodelay(true);
    Ok(match encryption {
        Some(encryption) => Box::new(encryption.over(stream, broker).await?),
        None => Box::new(stream),
    })
}

/// A request with its header: version 2 of it with compact versions of requests, version 1 otherwise.
fn framed<R: Request>(request: &R, version: i16, id: i32, client_id: &str) -> Vec<u8> {
    let mut out = Writer::default();
    out.i16(R::API.key);
    out.i16(version);
    out.i32(id);
    out.old_string(client_id);
    if version >= R::API.flexible {
        out.tags();
    }
    request.write(version, &mut out);
    out.into_bytes()
}

/// An answer without its header, which has tags as requests have, but never that of [`ApiVersions`].
fn unframed<R: Request>(answer: &[u8], version: i16, id: i32) -> Result<R::Answer, Malformed> {
    let mut reader = Reader::new(answer);
    if reader.i32()? != id {
        return Err(Malformed("it answers another request"));
    }
    if version >= R::API.flexible && R::API.key != ApiVersions::API.key {
        reader.tags()?;
    }
    R::read(version, &mut reader)
}

async fn exchange(stream: &mut (impl Stream + ?Sized), body: &[u8]) -> io::Result<Vec<u8>> {
    let length = u32::try_from(body.len()).map_err(|_| io::Error::other("the request is too large"))?;
    let mut frame = Vec::with_capacity(body.len() + 4);
    frame.extend(length.to_be_bytes());
    frame.extend(body);
    stream.write_all(&frame).await?;
    stream.flush().await?;
    let length = stream.read_u32().await?;
    let length = usize::try_from(length).ok().filter(|length| *length <= LARGEST_ANSWER).ok_or_else(|| {
        io::Error::other("the answer is not Kafka's protocol; do port and security.protocol fit the broker's listener?")
    })?;
    // Memory is taken as bytes come, not as they are promised.
    let mut answer = Vec::new();
    let limit = u64::try_from(length).unwrap_or(u64::MAX);
    stream.take(limit).read_to_end(&mut answer).await?;
    if answer.len() < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(answer)
}

async fn within<T>(patience: Duration, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    match timeout(patience, work).await {
        Ok(result) => result,
        Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {} ms", patience.as_millis()))),
    }
}
