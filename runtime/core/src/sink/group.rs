//! The consumer group of a sink connector. Everybody who asks for its positions asks here for its name.

use millrace_api::config::Props;

/// The group whose positions are those of the sink connector `name`: its own `consumer.override.group.id`, else the worker's
/// `consumer.group.id`, else `connect-<name>`. `connector` and `worker` are their whole configurations.
#[must_use]
pub fn consumer_group(name: &str, connector: &Props, worker: &Props) -> String {
    let configured = connector.get("consumer.override.group.id").or_else(|| worker.get("consumer.group.id"));
    configured.cloned().unwrap_or_else(|| format!("connect-{name}"))
}

/// The settings of a sink's consumer, `consumer.override.*`, with its group among them just when the log is Kafka: its clients know
/// the group by this setting too, and would take the worker's before the connector's.
#[must_use]
pub fn consumer_overrides(connector: &Props, group: &str, kafka: bool) -> Props {
    let mut overrides = crate::convert::strip_prefix(connector, "consumer.override");
    overrides.shift_remove("group.id");
    if kafka {
        overrides.insert("group.id".to_owned(), group.to_owned());
    }
    overrides
}

#[cfg(test)]
mod tests {
    use super::*;

    fn props(pairs: &[(&str, &str)]) -> Props {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn the_connectors_group_wins_over_the_workers_and_that_over_the_name() {
        let (own, ours) = (props(&[("consumer.override.group.id", "own")]), props(&[("consumer.group.id", "ours")]));
        let none = Props::new();
        assert_eq!(consumer_group("s", &own, &ours), "own");
        assert_eq!(consumer_group("s", &none, &ours), "ours");
        assert_eq!(consumer_group("s", &none, &none), "connect-s");
    }

    #[test]
    fn a_client_is_never_given_another_group_than_the_worker_goes_by() {
        let connector = props(&[("consumer.override.group.id", "own"), ("consumer.override.max.poll.records", "5")]);
        assert_eq!(consumer_overrides(&connector, "own", false), props(&[("max.poll.records", "5")]));
        let worker = props(&[("consumer.group.id", "ours")]);
        let group = consumer_group("s", &Props::new(), &worker);
        assert_eq!(consumer_overrides(&Props::new(), &group, true), props(&[("group.id", "ours")]));
    }
}
