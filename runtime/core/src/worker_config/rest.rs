//! Keys of the REST API.

use millrace_api::{Error, Result};
use millrace_macros::Config;

/// Where the REST API listens, and how others reach it.
#[derive(Debug, Clone, Config)]
pub struct RestConfig {
    /// A list of comma-separated URIs the REST API will listen on. The supported protocols are HTTP and HTTPS. Leave the hostname
    /// empty to bind to all interfaces. A standalone worker listens on `http://127.0.0.1:8083` by default, and not on all
    /// interfaces as Kafka Connect does, because the API has no authentication; a distributed one on `http://:8083`, where the
    /// workers of its group and the images' users expect it.
    #[config(default = "http://127.0.0.1:8083", check = listeners, importance = "low")]
    pub listeners: Vec<String>,

    /// As listeners, for /admin. Without it, /admin is on the listeners; when it is empty, /admin is nowhere.
    #[config(name = "admin.listeners", distinct, importance = "low")]
    pub admin_listeners: Option<Vec<String>>,

    /// The host name that other workers, and clients, reach this worker under; by default the one of the listener.
    #[config(name = "rest.advertised.host.name", importance = "low")]
    pub advertised_host: Option<String>,

    /// The port that other workers reach this worker under; by default the one of the listener.
    #[config(name = "rest.advertised.port", importance = "low")]
    pub advertised_port: Option<i32>,

    /// The protocol that other workers reach this worker under, http or https; by default the one of the first listener.
    #[config(name = "rest.advertised.listener", importance = "low")]
    pub advertised_listener: Option<String>,

    /// Methods supported for cross origin requests, by default GET, POST and HEAD.
    #[config(name = "access.control.allow.methods", default = "", importance = "low")]
    pub access_control_allow_methods: String,

    /// Value to set the Access-Control-Allow-Origin header to. By default only access from the domain of the REST API is allowed.
    #[config(name = "access.control.allow.origin", default = "", importance = "low")]
    pub access_control_allow_origin: String,

    /// Rules for HTTP response headers, separated by commas: [action] [header name]:[header value], with the actions set, add,
    /// setDate and addDate.
    #[config(name = "response.http.headers.config", default = "", check = headers, importance = "low")]
    pub response_headers: String,

    /// Whether answers show `[hidden]` in place of the values of keys that hold secrets. Kafka Connect shows them in clear; turn it off
    /// for tools that read a configuration in order to write it back.
    #[config(name = "rest.mask.secrets", default = "true", importance = "medium")]
    pub mask_secrets: bool,

    /// Java classes that would extend the REST API. They cannot be loaded; those that Millrace has an answer for are known by
    /// their names.
    #[config(name = "rest.extension.classes", default = "", distinct, importance = "low")]
    pub extensions: Vec<String>,
}

/// What a worker is known by in its group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advertised {
    /// `http` or `https`.
    pub scheme: String,
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
}

impl Advertised {
    /// URL that other workers send requests to.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}://{}:{}/", self.scheme, self.bracketed(), self.port)
    }

    /// `worker_id` in status answers.
    #[must_use]
    pub fn worker_id(&self) -> String {
        format!("{}:{}", self.bracketed(), self.port)
    }

    fn bracketed(&self) -> String {
        if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() }
    }
}

impl RestConfig {
    /// How others reach a worker that listens at `bound` (`RestServer.advertisedUrl`): what is configured, else the listener that
    /// `rest.advertised.listener` names, else the first. A listener on all interfaces is reached by `local_host`.
    ///
    /// # Errors
    /// [`millrace_api::ErrorKind::Config`] naming the key.
    pub fn advertised(&self, bound: std::net::SocketAddr, local_host: &str) -> Result<Advertised> {
        let wanted = self.advertised_listener.as_deref().map(str::trim).filter(|scheme| !scheme.is_empty());
        let scheme_of = |listener: &String| listener.split("://").next().unwrap_or_default().to_ascii_lowercase();
        let scheme = match wanted.map(str::to_ascii_lowercase) {
            None => self.listeners.first().map_or_else(|| "http".to_owned(), scheme_of),
            Some(scheme) if self.listeners.iter().any(|listener| scheme_of(listener) == scheme) => scheme,
            Some(scheme) => {
                return Err(Error::config(format!(
                    "Invalid value {scheme} for configuration rest.advertised.listener: no listener of this protocol is in listeners"
                )));
            }
        };
        let port = match self.advertised_port {
            None => bound.port(),
            Some(port) => u16::try_from(port).ok().filter(|port| *port > 0).ok_or_else(|| {
                Error::config(format!(
                    "Invalid value {port} for configuration rest.advertised.port: use a number from 1 to 65535"
                ))
            })?,
        };
        let host = match self.advertised_host.as_deref().map(str::trim).filter(|host| !host.is_empty()) {
            Some(host) => host.to_owned(),
            None if bound.ip().is_unspecified() => local_host.to_owned(),
            None => bound.ip().to_string(),
        };
        Ok(Advertised { scheme, host, port })
    }
}

fn listeners(text: &str) -> std::result::Result<(), String> {
    let mut items = text.split(',').map(str::trim);
    if text.is_empty() {
        return Err("at least one URL is expected, ex: http://localhost:8080,https://localhost:8443.".to_owned());
    }
    if items.any(str::is_empty) {
        return Err("Empty URL found when parsing listeners list.".to_owned());
    }
    Ok(())
}

/// Commas separate rules, except within double quotes.
fn headers(text: &str) -> std::result::Result<(), String> {
    let mut quoted = false;
    let rules = text.split(|c| {
        quoted ^= c == '"';
        c == ',' && !quoted
    });
    for rule in rules.map(|rule| rule.trim().trim_matches('"').trim()).filter(|_| !text.is_empty()) {
        let (head, value) = rule.split_once(':').unwrap_or((rule, ""));
        let words: Vec<&str> = head.split_whitespace().collect();
        let [action, _name] = words.as_slice() else {
            return Err(format!(
                "Invalid format of header config '{rule}'. Expected: '[action] [header name]:[header value]'"
            ));
        };
        if !["set", "add", "setdate", "adddate"].contains(&action.to_ascii_lowercase().as_str()) {
            return Err(format!(
                "Invalid header config '{rule}'. The action '{action}' is not one of set, add, setDate, addDate"
            ));
        }
        if value.trim().is_empty() {
            return Err(format!(
                "Invalid format of header config '{rule}'. Expected: '[action] [header name]:[header value]'"
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use millrace_api::config::{Config as _, Props};

    use super::*;

    fn advertised(pairs: &[(&str, &str)], bound: &str) -> Result<String> {
        let props: Props = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Ok(RestConfig::parse(&props)?.advertised(bound.parse().expect("an address"), "host")?.url())
    }

    #[test]
    fn a_worker_is_known_by_what_is_advertised() {
        let is = |pairs: &[(&str, &str)], bound, url: &str| assert_eq!(advertised(pairs, bound).expect("valid"), url);
        is(&[], "127.0.0.1:8083", "http://127.0.0.1:8083/");
        is(&[("listeners", "HTTP://:8083")], "0.0.0.0:8083", "http://host:8083/");
        is(&[("listeners", "http://[::1]:8083")], "[::1]:8083", "http://[::1]:8083/");
        is(&[("rest.advertised.host.name", "pod"), ("rest.advertised.port", "80")], "0.0.0.0:8083", "http://pod:80/");
        is(
            &[("listeners", "http://:1,https://:2"), ("rest.advertised.listener", "HTTPS")],
            "0.0.0.0:2",
            "https://host:2/",
        );
        for (pairs, key) in [
            ([("rest.advertised.listener", "https")], "rest.advertised.listener"),
            ([("rest.advertised.port", "70000")], "rest.advertised.port"),
        ] {
            assert!(advertised(&pairs, "0.0.0.0:1").expect_err(key).message().contains(key));
        }
    }

    #[test]
    fn header_rules() {
        for good in ["", "set X-A: b", "add X-A:b,setDate D:1", "\"set Cache-Control: no-cache, no-store\", add A: b"] {
            assert_eq!(headers(good), Ok(()), "{good}");
        }
        for bad in ["x", "set X", "move X: y", "set X:", "set a b: c"] {
            assert!(headers(bad).is_err(), "{bad}");
        }
    }
}
