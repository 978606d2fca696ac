//! `HasHeaderKey`: true for records with a header of a name.

use millrace_sdk::prelude::*;

/// Keys of [`HasHeaderKey`].
#[derive(Config)]
pub struct HasHeaderKeyConfig {
    /// Name of the header.
    #[config(non_empty)]
    name: String,
}

/// `org.apache.kafka.connect.transforms.predicates.HasHeaderKey`.
pub struct HasHeaderKey {
    name: String,
}

impl Predicate for HasHeaderKey {
    const CLASS: &'static str = "org.apache.kafka.connect.transforms.predicates.HasHeaderKey";
    type Config = HasHeaderKeyConfig;

    fn configure(config: HasHeaderKeyConfig) -> Result<Self> {
        Ok(Self { name: config.name })
    }

    fn needs(&self) -> Needs {
        Needs { headers: true, ..Needs::NOTHING }
    }

    fn test(&mut self, record: &Record<'_>) -> Result<bool> {
        Ok(record.headers().any(|header| header.name == self.name))
    }
}
