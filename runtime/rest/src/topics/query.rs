//! Parameters of a read.

use std::time::Duration;

use millrace_api::{Error, Result};

use super::log::no_partition;
use super::{MAX_RECORDS, MAX_WAIT};

const DEFAULT_LIMIT: usize = 100;

/// What a client wants to read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    /// `None`: all.
    partitions: Option<Vec<i32>>,
    start: Start,
    pub(super) limit: usize,
    pub(super) wait: Duration,
}

#[derive(Debug, PartialEq, Eq)]
enum Start {
    Beginning,
    End,
    /// One per partition.
    At(Vec<i64>),
}

impl Wanted {
    /// Reads the parameters of a request.
    ///
    /// # Errors
    /// [`millrace_api::ErrorKind::Config`] naming the parameter, for unknown ones too: a misspelt `limit` must not go unnoticed.
    pub(super) fn parse(parameters: &[(String, String)]) -> Result<Self> {
        let mut wanted = Self { partitions: None, start: Start::Beginning, limit: DEFAULT_LIMIT, wait: Duration::ZERO };
        for (index, (name, value)) in parameters.iter().enumerate() {
            if parameters.iter().take(index).any(|(earlier, _)| earlier == name) {
                return Err(invalid(name, value, "it is given twice; several partitions are separated by commas"));
            }
            match name.as_str() {
                "partition" => wanted.partitions = Some(partitions(value)?),
                "offset" => wanted.start = start(value)?,
                "limit" => {
                    let limit = value.parse().ok().filter(|limit| (1..=MAX_RECORDS).contains(limit));
                    let cause = format!("expected a number of records from 1 to {MAX_RECORDS}");
                    wanted.limit = limit.ok_or_else(|| invalid(name, value, &cause))?;
                }
                "wait.ms" => {
                    let wait = value.parse().ok().map(Duration::from_millis).filter(|wait| *wait <= MAX_WAIT);
                    let cause = format!("expected milliseconds from 0 to {}", MAX_WAIT.as_millis());
                    wanted.wait = wait.ok_or_else(|| invalid(name, value, &cause))?;
                }
                _ => {
                    return Err(Error::config(format!(
                        "Unknown parameter {name}: there are partition, offset, limit and wait.ms"
                    )));
                }
            }
        }
        Ok(wanted)
    }

    /// Partitions and offsets of a topic whose partitions begin and end at `offsets`.
    ///
    /// # Errors
    /// [`millrace_api::ErrorKind::Config`] naming the parameter.
    pub(super) fn starts(&self, topic: &str, offsets: &[(i64, i64)]) -> Result<Vec<(i32, i64)>> {
        let all = || (0..).zip(offsets).map(|(partition, _)| partition).collect();
        let partitions: Vec<i32> = self.partitions.clone().unwrap_or_else(all);
        if let Start::At(given) = &self.start
            && given.len() != partitions.len()
        {
            let given: Vec<String> = given.iter().map(i64::to_string).collect();
            let cause = format!("expected beginning, end, or one offset for each of {} partitions", partitions.len());
            return Err(invalid("offset", &given.join(","), &cause));
        }
        let start = |(index, partition): (usize, &i32)| {
            let known = usize::try_from(*partition).ok().and_then(|partition| offsets.get(partition));
            let (begin, end) = known.ok_or_else(|| no_partition(topic, *partition, offsets.len()))?;
            let offset = match &self.start {
                Start::Beginning => *begin,
                Start::End => *end,
                Start::At(given) => given.get(index).copied().unwrap_or(*begin),
            };
            Ok((*partition, offset))
        };
        partitions.iter().enumerate().map(start).collect()
    }
}

fn partitions(value: &str) -> Result<Vec<i32>> {
    let wrong = || invalid("partition", value, "expected the number of a partition, or several with commas");
    let mut found: Vec<i32> = Vec::new();
    for text in value.split(',') {
        let partition = text.trim().parse().ok().filter(|partition| *partition >= 0).ok_or_else(wrong)?;
        if found.contains(&partition) {
            return Err(invalid("partition", value, &format!("{partition} is in it twice")));
        }
        found.push(partition);
    }
    Ok(found)
}

fn start(value: &str) -> Result<Start> {
    match value {
        "beginning" => return Ok(Start::Beginning),
        "end" => return Ok(Start::End),
        _ => {}
    }
    let offset = |text: &str| text.trim().parse().ok().filter(|offset: &i64| *offset >= 0);
    let offsets: Option<Vec<i64>> = value.split(',').map(offset).collect();
    let cause = "expected beginning, end, or a number from 0 on (one per partition, separated by commas)";
    offsets.map(Start::At).ok_or_else(|| invalid("offset", value, cause))
}

fn invalid(name: &str, value: &str, cause: &str) -> Error {
    Error::config(format!("Invalid value {value} for parameter {name}: {cause}"))
}
