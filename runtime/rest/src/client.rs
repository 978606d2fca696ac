//! The client for requests among workers.
//!
//! It asks what the metadata of the group names, so a member of the group could point it anywhere. What it does is bounded: only
//! http and https, no credentials in the URL, no redirects, no proxy, one connection per request, a deadline, a limit of bytes; and
//! it never connects to an address that only this machine's network card or cloud answers ([`is_refused`]), checked after the name
//! was resolved. Loopback and private addresses stay allowed: that is where workers live.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use axum::body::Bytes;
use axum::http::header::{ACCEPT, CONTENT_TYPE, HOST, USER_AGENT};
use axum::http::uri::Scheme;
use axum::http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use millrace_tls::Connector;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_util::task::AbortOnDropHandle;

/// Largest answer, in bytes: what Kafka Connect's client buffers.
const MAX_REPLY_BYTES: usize = 2 * 1024 * 1024;

/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A request to another worker.
pub(crate) struct Outgoing {
    pub(crate) method: Method,
    pub(crate) url: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Option<Vec<u8>>,
}

/// Its answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) body: Bytes,
}

/// Why there is none. `Display` has Kafka Connect's words.
#[derive(Debug)]
pub(crate) enum Unsent {
    /// The URL is not one to send to.
    Url(String),
    /// The other side could not be reached, or did not answer as it should.
    Io(String),
}

impl fmt::Display for Unsent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(cause) => write!(f, "Error trying to forward REST request: {cause}"),
            Self::Io(cause) => write!(f, "IO Error trying to forward REST request: {cause}"),
        }
    }
}

/// The client.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    /// From the first byte sent to the last one received.
    pub(crate) timeout: Duration,
    /// Encrypts connections to https URLs; without it, those are refused.
    pub(crate) tls: Option<Connector>,
}

impl Client {
    /// Sends a request and reads the whole answer. Dropping the call closes the connection.
    pub(crate) async fn send(&self, outgoing: Outgoing) -> Result<Reply, Unsent> {
        let answered = tokio::time::timeout(self.timeout, self.exchange(outgoing)).await;
        answered.unwrap_or_else(|_| {
            Err(Unsent::Io(format!(
                "java.util.concurrent.TimeoutException: Total timeout {} ms elapsed",
                self.timeout.as_millis()
            )))
        })
    }

    async fn exchange(&self, outgoing: Outgoing) -> Result<Reply, Unsent> {
        let target = Target::parse(&outgoing.url)?;
        let tls = match (&self.tls, target.https) {
            (_, false) => None,
            (Some(tls), true) => Some(tls),
            (None, true) => {
                return Err(Unsent::Url(
                    "Invalid protocol https: this worker has no listeners.https.* settings".to_owned(),
                ));
            }
        };
        let stream = target.connect().await?;
        match tls {
            None => self.converse(target, stream, outgoing).await,
            Some(tls) => {
                let shaken = tls.connect(stream, &target.host).await;
                let stream = shaken.map_err(|error| {
                    Unsent::Io(format!(
                        "java.util.concurrent.ExecutionException: javax.net.ssl.SSLHandshakeException: {error}"
                    ))
                })?;
                self.converse(target, stream, outgoing).await
            }
        }
    }

    async fn converse<S>(&self, target: Target, stream: S, outgoing: Outgoing) -> Result<Reply, Unsent>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let broken = |error: hyper::Error| Unsent::Io(format!("java.util.concurrent.ExecutionException: {error}"));
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
        // It ends with the call, so that nothing is left of a peer that never closes.
        let _connection = AbortOnDropHandle::new(tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to another worker ended early");
            }
        }));
        let reply = sender.send_request(target.request(outgoing)).await.map_err(broken)?;
        let (head, body) = reply.into_parts();
        let body = Limited::new(body, MAX_REPLY_BYTES).collect().await.map_err(|error| {
            if error.is::<LengthLimitError>() {
                Unsent::Io(format!("java.lang.IllegalArgumentException: Buffering capacity {MAX_REPLY_BYTES} exceeded"))
            } else {
                Unsent::Io(format!("java.util.concurrent.ExecutionException: {error}"))
            }
        })?;
        Ok(Reply { status: head.status, body: body.to_bytes() })
    }
}

/// Where a request goes.
struct Target {
    https: bool,
    host: String,
    port: u16,
    /// Host and port for the header.
    authority: HeaderValue,
    /// Path and query.
    path: Uri,
}

impl Target {
    fn parse(url: &str) -> Result<Self, Unsent> {
        let invalid = |cause: &str| Unsent::Url(format!("Invalid URI {cause}"));
        let uri: Uri = url.parse().map_err(|_| invalid("syntax"))?;
        let https = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTP => false,
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            Some(scheme) => return Err(Unsent::Url(format!("Invalid protocol {scheme}"))),
            None => return Err(invalid("host: null (authority: null)")),
        };
        let authority = uri.authority().ok_or_else(|| invalid("host: null (authority: null)"))?;
        if authority.as_str().contains('@') {
            return Err(invalid("authority: it has credentials"));
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        Ok(Self {
            https,
            host,
            port: authority.port_u16().unwrap_or(if https { 443 } else { 80 }),
            authority: HeaderValue::try_from(authority.as_str()).map_err(|_| invalid("authority"))?,
            path: path.parse().map_err(|_| invalid("path"))?,
        })
    }

    /// Connects to the first address that answers, of those that are allowed.
    async fn connect(&self) -> Result<TcpStream, Unsent> {
        let unknown =
            |_| Unsent::Io(format!("java.net.UnknownHostException: {}: Name or service not known", self.host));
        let connected = async {
            let addresses = tokio::net::lookup_host((self.host.as_str(), self.port)).await.map_err(unknown)?;
            let (refused, allowed): (Vec<SocketAddr>, Vec<_>) = addresses.partition(|address| is_refused(address.ip()));
            if let (Some(address), true) = (refused.first(), allowed.is_empty()) {
                return Err(Unsent::Url(format!("Invalid URI host: no worker listens on {}", address.ip())));
            }
            TcpStream::connect(allowed.as_slice()).await.map_err(|error| Unsent::Io(java_io(&error)))
        };
        let in_time = tokio::time::timeout(CONNECT_TIMEOUT, connected).await;
        in_time.unwrap_or_else(|_| Err(Unsent::Io("java.net.SocketTimeoutException: Connect Timeout".to_owned())))
    }

    fn request(&self, outgoing: Outgoing) -> Request<Full<Bytes>> {
        let has_body = outgoing.body.is_some();
        let mut request = Request::new(Full::from(outgoing.body.unwrap_or_default()));
        *request.method_mut() = outgoing.method;
        request.uri_mut().clone_from(&self.path);
        let headers = request.headers_mut();
        headers.insert(HOST, self.authority.clone());
        headers.insert(USER_AGENT, HeaderValue::from_static("kafka-connect"));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        if has_body {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        headers.extend(outgoing.headers);
        request
    }
}

/// Addresses that no worker listens on, but other things do: link-local ones, where clouds keep credentials, their counterparts in
/// other ranges, and those that are not one machine's.
pub(crate) fn is_refused(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            ip.is_link_local()
                || ip.is_multicast()
                || ip.is_broadcast()
                || ip.is_unspecified()
                || ip.octets() == [100, 100, 100, 200]
        }
        IpAddr::V6(ip) => {
            let embedded = ip.to_ipv4_mapped().or_else(|| match ip.segments() {
                // NAT64 (RFC 6052) and the deprecated compatible form lead to an IPv4 address too.
                [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some(ipv4(high, low)),
                [0, 0, 0, 0, 0, 0, high, low] if high != 0 => Some(ipv4(high, low)),
                _ => None,
            });
            embedded.is_some_and(|ip| is_refused(ip.into()))
                || ip.is_unicast_link_local()
                || ip.is_multicast()
                || ip.is_unspecified()
                || ip.segments() == [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254]
        }
    }
}

fn ipv4(high: u16, low: u16) -> std::net::Ipv4Addr {
    let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
    [a, b, c, d].into()
}

fn java_io(error: &std::io::Error) -> String {
    use std::io::ErrorKind as Io;
    match error.kind() {
        Io::ConnectionRefused => "java.net.ConnectException: Connection refused".to_owned(),
        Io::NetworkUnreachable | Io::HostUnreachable => "java.net.NoRouteToHostException: No route to host".to_owned(),
        _ => format!("java.net.SocketException: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_metadata_services_are_refused_in_every_disguise() {
        let refused = [
            "169.254.169.254",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "::169.254.169.254",
            "fe80::1",
            "fd00:ec2::254",
            "100.100.100.200",
            "0.0.0.0",
            "::",
            "224.0.0.1",
            "ff02::1",
            "255.255.255.255",
        ];
        for ip in refused {
            assert!(is_refused(ip.parse().unwrap()), "{ip}");
        }
        for ip in ["127.0.0.1", "::1", "10.0.0.7", "192.168.1.1", "::ffff:10.0.0.1", "fd00::1", "203.0.113.9"] {
            assert!(!is_refused(ip.parse().unwrap()), "{ip}");
        }
    }

    #[test]
    fn only_urls_of_workers_are_taken() {
        let fault = |url: &str| Target::parse(url).err().map(|error| error.to_string());
        assert_eq!(fault("http://worker:8083/connectors"), None);
        assert_eq!(fault("http://[::1]:8083/"), None);
        assert_eq!(
            fault("ftp://127.0.0.1:80/x").unwrap(),
            "Error trying to forward REST request: Invalid protocol ftp"
        );
        assert_eq!(
            fault("nonsense").unwrap(),
            "Error trying to forward REST request: Invalid URI host: null (authority: null)"
        );
        for url in ["http://u:p@host/", "http://ho st/", "file:///etc/passwd", "gopher://x", "", "http://"] {
            assert!(fault(url).is_some(), "{url}");
        }
    }
}
