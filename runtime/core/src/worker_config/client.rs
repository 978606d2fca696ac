//! What the worker's own connections to Kafka get.

use millrace_api::config::Props;

use super::table::{Effect, ROWS};

/// The client settings among the worker's keys, as they were given. TLS and SASL settings count when `security.protocol` asks for
/// them, because those of TLS are also for `https` listeners.
#[must_use]
pub fn client_props(props: &Props) -> Props {
    let protocol = props.get("security.protocol").map(|text| text.trim().to_ascii_uppercase()).unwrap_or_default();
    let (tls, sasl) = (protocol.ends_with("SSL"), protocol.starts_with("SASL"));
    let wanted = |key: &str| {
        ROWS.iter().any(|row| row.name == key && matches!(row.effect, Effect::Client | Effect::Both))
            && (tls || !key.starts_with("ssl."))
            && (sasl || !key.starts_with("sasl."))
    };
    props.iter().filter(|(key, _)| wanted(key)).map(|(key, value)| (key.clone(), value.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_get_what_is_theirs() {
        let pairs = [
            ("request.timeout.ms", "1000"),
            ("ssl.truststore.location", "/t"),
            ("sasl.jaas.config", "x"),
            ("group.id", "g"),
            ("producer.linger.ms", "5"),
            ("plugin.path", "/p"),
        ];
        let props = |protocol: &str| -> Props {
            let pairs = pairs.into_iter().chain([("security.protocol", protocol)]);
            pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
        };
        let keys = |protocol: &str| client_props(&props(protocol)).into_keys().collect::<Vec<_>>();
        assert_eq!(keys("PLAINTEXT"), ["request.timeout.ms", "security.protocol"]);
        assert_eq!(keys("ssl"), ["request.timeout.ms", "ssl.truststore.location", "security.protocol"]);
        assert_eq!(keys("SASL_PLAINTEXT"), ["request.timeout.ms", "sasl.jaas.config", "security.protocol"]);
        assert_eq!(keys("SASL_SSL").len(), 4);
    }
}
