//! Sends the requests of a lane, one after another, and tries again what the server had no room for.

use std::collections::{HashSet, VecDeque};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use millrace_api::{Error, Result};

use crate::answer::{self, Fate};
use crate::bulk::{Chunk, Operation};
use crate::client::Client;
use crate::config::{ElasticsearchSinkConfig, millis};

/// Longest wait between two tries.
const MAX_BACKOFF: Duration = Duration::from_secs(10);

/// What became of a record.
pub(crate) struct Verdict {
    pub(crate) record: usize,
    pub(crate) fate: Fate,
}

/// Sends to one cluster.
pub(crate) struct Delivery<'a> {
    pub(crate) client: &'a Client,
    pub(crate) config: &'a ElasticsearchSinkConfig,
}

impl Delivery<'_> {
    /// Sends all requests of a lane. The fates are never [`Fate::Again`] or [`Fate::Broken`].
    ///
    /// # Errors
    /// [`millrace_api::ErrorKind::Retriable`] when the server has no room still after `max.retries`, or does not answer;
    /// [`millrace_api::ErrorKind::External`] when it refuses for good.
    pub(crate) async fn lane(&self, chunks: Vec<Chunk>) -> Result<Vec<Verdict>> {
        let mut verdicts = Vec::new();
        let mut queue = VecDeque::from(chunks);
        while let Some(chunk) = queue.pop_front() {
            for half in self.chunk(chunk, &mut verdicts).await?.into_iter().rev() {
                queue.push_front(half);
            }
        }
        Ok(verdicts)
    }

    /// Sends a request until nothing of it is left to try. Returns its halves when it is too large for the server.
    async fn chunk(&self, mut chunk: Chunk, verdicts: &mut Vec<Verdict>) -> Result<Vec<Chunk>> {
        let mut tries = 0;
        loop {
            let answer = self.client.bulk(chunk.body.clone()).await?;
            let again = match answer.status {
                200 => sort(&chunk, &answer.body, verdicts)?,
                413 if chunk.operations.len() > 1 => {
                    let (left, right) = chunk.halves();
                    return Ok(vec![left, right]);
                }
                413 => {
                    let reason = "the document is larger than http.max_content_length of Elasticsearch".to_owned();
                    let refused = |operation: &Operation| Verdict {
                        record: operation.record,
                        fate: Fate::Refused(reason.clone()),
                    };
                    verdicts.extend(chunk.operations.iter().map(refused));
                    return Ok(Vec::new());
                }
                429 | 502..=504 => Some((chunk.operations.clone(), answer.reason().0)),
                _ => return Err(answer.refused("write")),
            };
            let Some((operations, reason)) = again else { return Ok(Vec::new()) };
            if tries >= self.config.max_retries {
                let left = operations.len();
                return Err(Error::retriable(format!(
                    "Elasticsearch had no room for {left} documents after {tries} more tries: {reason}"
                )));
            }
            tokio::time::sleep(self.backoff(tries)).await;
            tries += 1;
            chunk = chunk.of(operations.into_iter());
        }
    }

    /// Doubled each time, with up to a half more so that tasks do not come back together.
    fn backoff(&self, tries: i32) -> Duration {
        let base = millis(self.config.retry_backoff_ms).saturating_mul(1 << tries.clamp(0, 20)).min(MAX_BACKOFF);
        let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.subsec_nanos());
        base + base.mul_f64(f64::from(nanos % 1_000) / 2_000.0)
    }
}

/// Notes the fates of a request's operations. Returns those to send again, with a reason.
fn sort(chunk: &Chunk, body: &[u8], verdicts: &mut Vec<Verdict>) -> Result<Option<(Vec<Operation>, String)>> {
    let fates = answer::fates(body, chunk.operations.iter().map(|operation| operation.conflict))?;
    let (mut again, mut why, mut behind) = (Vec::new(), None, HashSet::new());
    for (operation, fate) in chunk.operations.iter().zip(fates) {
        match fate {
            Fate::Broken(reason) => {
                return Err(Error::external(format!("Elasticsearch refuses to write: {reason}")));
            }
            Fate::Again(reason) => {
                behind.extend(operation.order);
                again.push(operation.clone());
                why.get_or_insert(reason);
            }
            // What comes after one that must be sent again is repeated, too, so that the last write stays the last.
            _ if operation.order.is_some_and(|order| behind.contains(&order)) => again.push(operation.clone()),
            fate => verdicts.push(Verdict { record: operation.record, fate }),
        }
    }
    Ok(why.map(|reason| (again, reason)))
}
