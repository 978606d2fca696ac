//! `InsertHeader`: adds the same header to every record.

use millrace_literals::Parsed;
use millrace_sdk::prelude::*;

/// Keys of [`InsertHeader`].
#[derive(Config)]
pub struct InsertHeaderConfig {
    /// Name of the header. Headers of that name which are there stay.
    #[config(importance = "high")]
    header: String,
    /// Its value, read as header text is: `true` is a boolean, `1` an 8-bit integer, `[1, 2]` an array, and what looks like
    /// nothing else is text.
    #[config(importance = "high")]
    value_literal: String,
}

/// `org.apache.kafka.connect.transforms.InsertHeader`.
pub struct InsertHeader {
    name: String,
    literal: Parsed,
}

impl Transform for InsertHeader {
    const CLASS: &'static str = "org.apache.kafka.connect.transforms.InsertHeader";
    type Config = InsertHeaderConfig;

    fn configure(config: InsertHeaderConfig) -> Result<Self> {
        Ok(Self { name: config.header, literal: millrace_literals::parse(&config.value_literal) })
    }

    fn needs(&self) -> Needs {
        Needs { headers: true, ..Needs::NOTHING }
    }

    fn apply(&mut self, _record: &Record<'_>, out: &mut Output<'_>) -> Result<Verdict> {
        let Parsed { schema, value } = &self.literal;
        out.add_header(&self.name, schema.as_ref(), |writer| writer.raw(value));
        Ok(Verdict::Keep)
    }
}
