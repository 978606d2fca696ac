//! `topics.<name>.*`: topics that the worker makes sure of.

use millrace_api::config::Props;

/// Topics that the worker makes sure of before it starts connectors: `topics.<name>.partitions`, `topics.<name>.replication.factor`
/// and `topics.<name>.config.<setting>`.
///
/// # Errors
/// [`millrace_api::ErrorKind::Config`] naming the key.
pub fn declared_topics(props: &Props) -> millrace_api::Result<Vec<millrace_api::log::TopicSpec>> {
    let mut specs: Vec<millrace_api::log::TopicSpec> = Vec::new();
    for (key, value) in props {
        let Some(rest) = key.strip_prefix("topics.").filter(|rest| *rest != "rest.enable") else { continue };
        let (name, setting) = split_setting(rest).ok_or_else(|| {
            millrace_api::Error::config(format!(
                "Invalid key {key}: expected topics.<name>.partitions, topics.<name>.replication.factor or topics.<name>.config.<setting>"
            ))
        })?;
        let index = specs.iter().position(|spec| spec.name == name).unwrap_or_else(|| {
            specs.push(millrace_api::log::TopicSpec::new(name));
            specs.len() - 1
        });
        let invalid = || {
            millrace_api::Error::config(format!("Invalid value {value} for configuration {key}: Not a positive number"))
        };
        let Some(spec) = specs.get_mut(index) else { continue };
        match setting {
            "partitions" => spec.partitions = Some(value.trim().parse().ok().filter(|n| *n > 0).ok_or_else(invalid)?),
            "replication.factor" => {
                spec.replication = Some(value.trim().parse().ok().filter(|n| *n > 0).ok_or_else(invalid)?);
            }
            other => {
                spec.config.insert(other.to_owned(), value.trim().to_owned());
            }
        }
    }
    Ok(specs)
}

/// `orders.v1.config.retention.ms` as `orders.v1` and `retention.ms`.
fn split_setting(rest: &str) -> Option<(&str, &str)> {
    for suffix in ["partitions", "replication.factor"] {
        if let Some(name) = rest.strip_suffix(suffix).and_then(|name| name.strip_suffix('.')) {
            return Some((name, suffix));
        }
    }
    rest.split_once(".config.").filter(|(name, setting)| !name.is_empty() && !setting.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_with_dots_are_declared() {
        let props: Props = [("topics.logs.v1.partitions", "3"), ("topics.logs.v1.config.cleanup.policy", "compact")]
            .into_iter()
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .collect();
        let specs = declared_topics(&props).expect("valid");
        assert_eq!((specs.len(), specs[0].name.as_str(), specs[0].partitions), (1, "logs.v1", Some(3)));
        assert_eq!(specs[0].config.get("cleanup.policy").map(String::as_str), Some("compact"));
        let wrong: Props = [("topics.x.y".to_owned(), "1".to_owned())].into_iter().collect();
        assert!(declared_topics(&wrong).expect_err("wrong").message().contains("topics.x.y"));
    }

    #[test]
    fn the_setting_of_the_topics_resource_declares_no_topic() {
        let pairs = [("topics.rest.enable", "false"), ("topics.rest.partitions", "2")];
        let props: Props = pairs.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        let specs = declared_topics(&props).expect("valid");
        assert_eq!((specs.len(), specs[0].name.as_str(), specs[0].partitions), (1, "rest", Some(2)));
    }
}
