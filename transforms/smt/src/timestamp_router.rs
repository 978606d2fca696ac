//! `TimestampRouter`: sends records to topics named after their timestamps.

use millrace_dates::DateFormat;
use millrace_sdk::prelude::*;

/// Keys of [`TimestampRouter`].
#[derive(Config)]
pub struct TimestampRouterConfig {
    /// The new topic, in which `${topic}` stands for the present one and `${timestamp}` for the timestamp.
    #[config(default = "${topic}-${timestamp}", importance = "high")]
    topic_format: String,
    /// Pattern of the timestamp, as `java.text.SimpleDateFormat` has it; in UTC.
    #[config(default = "yyyyMMdd", importance = "high")]
    timestamp_format: String,
}

/// `org.apache.kafka.connect.transforms.TimestampRouter`.
pub struct TimestampRouter {
    topic: String,
    /// As in Kafka Connect a pattern that cannot be read is found out by the first record.
    timestamp: Result<DateFormat, String>,
    text: String,
}

impl Transform for TimestampRouter {
    const CLASS: &'static str = "org.apache.kafka.connect.transforms.TimestampRouter";
    type Config = TimestampRouterConfig;

    fn configure(config: TimestampRouterConfig) -> Result<Self> {
        let timestamp = DateFormat::new(&config.timestamp_format);
        Ok(Self { topic: config.topic_format, timestamp, text: String::new() })
    }

    fn needs(&self) -> Needs {
        Needs::NOTHING
    }

    fn apply(&mut self, record: &Record<'_>, out: &mut Output<'_>) -> Result<Verdict> {
        let millis = record.timestamp().ok_or_else(|| Error::data("Timestamp missing on record"))?;
        let format = self.timestamp.as_ref().map_err(|cause| Error::data(cause.clone()))?;
        self.text.clear();
        format.format(millis, &mut self.text);
        // A topic called ${timestamp} is replaced as well.
        let topic = self.topic.replace("${topic}", record.topic()).replace("${timestamp}", &self.text);
        out.topic(&topic);
        Ok(Verdict::Keep)
    }
}
