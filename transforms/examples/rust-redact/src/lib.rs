//! Hides all but the last characters of text fields: `{"card": "4111111111111111"}` becomes `{"card": "************1111"}`.

use millrace_sdk::prelude::*;

/// The transformation.
pub struct Redact {
    config: RedactConfig,
}

/// Its keys.
#[derive(Config)]
pub struct RedactConfig {
    /// Fields of the value to redact.
    #[config(importance = "high", non_empty)]
    fields: Vec<String>,
    /// How many characters stay readable at the end.
    #[config(default = "4", range = "0..")]
    keep: i32,
}

impl Transform for Redact {
    const CLASS: &'static str = "com.example.Redact";
    type Config = RedactConfig;

    fn configure(config: RedactConfig) -> Result<Self> {
        Ok(Self { config })
    }

    fn needs(&self) -> Needs {
        Needs { value: true, ..Needs::NOTHING }
    }

    fn apply(&mut self, record: &Record<'_>, out: &mut Output<'_>) -> Result<Verdict> {
        if record.value().is_null() {
            return Ok(Verdict::Keep);
        }
        if !matches!(record.value().tag(), Tag::Map | Tag::Struct) {
            return Err(Error::data("the value has no fields"));
        }
        for field in &self.config.fields {
            let Some(value) = record.field(Part::Value, field).filter(|value| !value.is_null()) else { continue };
            let text = value.as_str().ok_or_else(|| Error::data(format!("field {field} is not text")))?;
            let keep = usize::try_from(self.config.keep).unwrap_or(0);
            let hidden = text.chars().count().saturating_sub(keep);
            let redacted: String = text.chars().enumerate().map(|(i, c)| if i < hidden { '*' } else { c }).collect();
            out.set(Part::Value, field, None, |writer| writer.str(&redacted));
        }
        Ok(Verdict::Keep)
    }
}

millrace_sdk::export_smt!(Redact);
