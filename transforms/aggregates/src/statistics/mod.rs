//! `Statistics`: count, sum, average, smallest and largest value of a numeric field.

mod exact;
mod number;
mod summary;

use millrace_sdk::Part;
use millrace_sdk::prelude::*;

use crate::output::{OutputConfig, Shape};
pub use number::Number;
pub use summary::Summary;

/// Keys of [`Statistics`].
#[derive(Config)]
pub struct StatisticsConfig {
    /// The field of the value that holds the numbers. Records in which it is missing or null do not count.
    #[config(name = "aggregate.field", importance = "high", non_empty)]
    field: String,
    /// The shared keys.
    #[config(flatten)]
    output: OutputConfig,
    /// Name of the field that gets the number of values; empty leaves it out.
    #[config(name = "output.count.field", default = "count", group = "Output")]
    count: String,
    /// Name of the field that gets the sum, of the type the values have; empty leaves it out.
    #[config(name = "output.sum.field", default = "sum", group = "Output")]
    sum: String,
    /// Name of the field that gets the average, a float; empty leaves it out.
    #[config(name = "output.avg.field", default = "avg", group = "Output")]
    avg: String,
    /// Name of the field that gets the smallest value; empty leaves it out.
    #[config(name = "output.min.field", default = "min", group = "Output")]
    min: String,
    /// Name of the field that gets the largest value; empty leaves it out.
    #[config(name = "output.max.field", default = "max", group = "Output")]
    max: String,
}

/// `millrace.aggregates.Statistics`. Sums are exact, so that it does not matter in which order tasks fold and merge.
pub struct Statistics {
    shape: Shape,
    field: String,
    count: String,
    sum: String,
    avg: String,
    min: String,
    max: String,
}

impl Aggregate for Statistics {
    const CLASS: &'static str = "millrace.aggregates.Statistics";
    type Config = StatisticsConfig;
    type State = Summary;

    fn configure(config: StatisticsConfig) -> Result<Self> {
        let StatisticsConfig { field, output, count, sum, avg, min, max } = config;
        Ok(Self { shape: Shape::new(output)?, field, count, sum, avg, min, max })
    }

    fn needs(&self) -> Needs {
        Needs { value: true, ..Needs::NOTHING }
    }

    fn fold(&mut self, state: &mut Summary, record: &Record<'_>) -> Result<()> {
        match record.field(Part::Value, &self.field) {
            None => Ok(()),
            Some(value) if value.is_null() => Ok(()),
            Some(value) => state.add(Number::of(value).ok_or_else(|| {
                let field = &self.field;
                Error::data(format!(
                    "the field {field} of a record is not a number; convert it, or filter such records"
                ))
            })?),
        }
    }

    fn merge(&mut self, left: &mut Summary, right: &Summary) -> Result<()> {
        left.merge(right)
    }

    fn emit(&mut self, window: &Window<'_>, state: &Summary, out: &mut Emitted<'_>) -> Result<()> {
        let Self { shape, count, sum, avg, min, max, .. } = self;
        shape.emit(window, out, &[count, sum, avg, min, max], |fields| {
            fields.put(Some(count), |writer| writer.int64(i64::try_from(state.count()).unwrap_or(i64::MAX)));
            fields.put(Some(sum), |writer| Number::write(state.sum(), writer));
            fields.put(Some(avg), |writer| Number::write(state.average().map(Number::Float), writer));
            fields.put(Some(min), |writer| Number::write(state.min(), writer));
            fields.put(Some(max), |writer| Number::write(state.max(), writer));
        })
    }
}
