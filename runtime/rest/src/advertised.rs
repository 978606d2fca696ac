//! Under which name other workers and clients find this one: `rest.advertised.*`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};

/// Name and URL of a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advertised {
    /// `host:port`, as statuses show it.
    pub worker_id: String,
    /// `http://host:port/`, for the metadata of the group.
    pub url: String,
}

impl Advertised {
    /// What a worker advertises that listens on `bound`. Without a host it is the listener's, or this machine's address on the
    /// network when that listens on all; without a port the listener's.
    #[must_use]
    pub fn new(scheme: &str, host: Option<&str>, port: Option<u16>, bound: SocketAddr) -> Self {
        let own = || if bound.ip().is_unspecified() { own_address() } else { bound.ip() }.to_string();
        let host = host.map(str::trim).filter(|host| !host.is_empty()).map_or_else(own, str::to_owned);
        let host = if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host };
        let port = port.unwrap_or_else(|| bound.port());
        Self { worker_id: format!("{host}:{port}"), url: format!("{scheme}://{host}:{port}/") }
    }
}

/// The address that packets to the outside carry. Nothing is sent: connecting a UDP socket only picks a route.
fn own_address() -> IpAddr {
    let picked = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).and_then(|socket| {
        // RFC 5737: an address that is nobody's.
        socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9))?;
        socket.local_addr()
    });
    picked.map_or(Ipv4Addr::LOCALHOST.into(), |address| address.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_is_found_where_it_listens_or_where_it_says() {
        let bound: SocketAddr = "10.0.0.7:8083".parse().unwrap();
        let of = |host, port, bound| Advertised::new("http", host, port, bound);
        let url = |host, port| of(host, port, bound).url;
        assert_eq!(url(None, None), "http://10.0.0.7:8083/");
        assert_eq!(url(Some("worker.example"), None), "http://worker.example:8083/");
        assert_eq!(url(Some(" "), Some(80)), "http://10.0.0.7:80/");
        assert_eq!(url(Some("fd00::1"), None), "http://[fd00::1]:8083/");
        assert_eq!(of(None, None, "[::1]:1".parse().unwrap()).worker_id, "[::1]:1");
        let anywhere = of(None, None, "0.0.0.0:8083".parse().unwrap()).worker_id;
        assert!(anywhere != "0.0.0.0:8083" && anywhere.ends_with(":8083"), "{anywhere}");
    }
}
