//! `Filter`: drops every record it sees; a predicate decides which.

use millrace_sdk::prelude::*;

/// `org.apache.kafka.connect.transforms.Filter`.
pub struct Filter;

impl Transform for Filter {
    const CLASS: &'static str = "org.apache.kafka.connect.transforms.Filter";
    type Config = NoConfig;

    fn configure(_config: NoConfig) -> Result<Self> {
        Ok(Self)
    }

    fn needs(&self) -> Needs {
        Needs::NOTHING
    }

    fn apply(&mut self, _record: &Record<'_>, _out: &mut Output<'_>) -> Result<Verdict> {
        Ok(Verdict::Drop)
    }
}
