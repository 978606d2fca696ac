//! `DropHeaders`: leaves out headers by their names.

use millrace_sdk::prelude::*;

/// Keys of [`DropHeaders`].
#[derive(Config)]
pub struct DropHeadersConfig {
    /// Names of the headers to leave out, all of each name.
    #[config(importance = "high", distinct_non_empty)]
    headers: Vec<String>,
}

/// `org.apache.kafka.connect.transforms.DropHeaders`.
pub struct DropHeaders {
    names: Vec<String>,
}

impl Transform for DropHeaders {
    const CLASS: &'static str = "org.apache.kafka.connect.transforms.DropHeaders";
    type Config = DropHeadersConfig;

    fn configure(config: DropHeadersConfig) -> Result<Self> {
        Ok(Self { names: config.headers })
    }

    fn needs(&self) -> Needs {
        Needs { headers: true, ..Needs::NOTHING }
    }

    fn apply(&mut self, record: &Record<'_>, out: &mut Output<'_>) -> Result<Verdict> {
        let dropped = |name: &str| self.names.iter().any(|dropped| dropped == name);
        if record.headers().any(|header| dropped(header.name)) {
            out.headers(|headers| {
                record.headers().filter(|header| !dropped(header.name)).for_each(|header| headers.copy(&header));
                Ok(())
            })?;
        }
        Ok(Verdict::Keep)
    }
}
