//! Bodies of bulk requests, and which of them may be under way at once.

use bytes::Bytes;
use millrace_api::Result;

use crate::operation::{Asked, Conflict};

/// An operation of a body.
#[derive(Debug, Clone)]
pub(crate) struct Operation {
    /// Index of the record in the batch.
    pub(crate) record: usize,
    /// Where its lines lie in the body.
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// What a version conflict means.
    pub(crate) conflict: Conflict,
    /// Operations of one number stay in order.
    pub(crate) order: Option<u64>,
}

/// A request.
#[derive(Debug, Default)]
pub(crate) struct Chunk {
    pub(crate) body: Bytes,
    pub(crate) operations: Vec<Operation>,
}

impl Chunk {
    /// A request of some of its operations, in order.
    pub(crate) fn of(&self, operations: impl Iterator<Item = Operation>) -> Self {
        let mut draft = Draft::default();
        for operation in operations {
            let start = draft.body.len();
            draft.body.extend_from_slice(self.body.get(operation.start..operation.end).unwrap_or_default());
            draft.operations.push(Operation { start, end: draft.body.len(), ..operation });
        }
        draft.finish()
    }

    /// Two requests of half the operations each.
    pub(crate) fn halves(&self) -> (Self, Self) {
        let (left, right) = self.operations.split_at(self.operations.len() / 2);
        (self.of(left.iter().cloned()), self.of(right.iter().cloned()))
    }
}

/// A request that is being written.
#[derive(Debug, Default)]
struct Draft {
    body: Vec<u8>,
    operations: Vec<Operation>,
}

impl Draft {
    fn finish(self) -> Chunk {
        Chunk { body: Bytes::from(self.body), operations: self.operations }
    }
}

/// Spreads operations over lanes: the requests of a lane are sent one after another, lanes at the same time. Operations that
/// must stay in order share a lane.
pub(crate) struct Plan {
    lanes: Vec<Vec<Draft>>,
    max_operations: usize,
    max_bytes: usize,
    pushed: usize,
}

impl Plan {
    /// For a batch of `records`, in requests of at most `max_operations` and `max_bytes`, at most `in_flight` at once.
    pub(crate) fn new(records: usize, max_operations: usize, max_bytes: usize, in_flight: usize) -> Self {
        let needed = records.div_ceil(max_operations.max(1));
        let lanes = (0..needed.clamp(1, in_flight.max(1))).map(|_| vec![Draft::default()]).collect();
        Self { lanes, max_operations, max_bytes, pushed: 0 }
    }

    /// Appends what `write` writes for a record into the lane that `lane_of` names by its order.
    ///
    /// # Errors
    /// What `write` returns; the plan is as before then.
    pub(crate) fn push(
        &mut self,
        record: usize,
        scratch: &mut Vec<u8>,
        write: impl FnOnce(&mut Vec<u8>) -> Result<Asked>,
    ) -> Result<Asked> {
        scratch.clear();
        let asked = write(scratch)?;
        let Asked::Operation { conflict, order } = asked else { return Ok(asked) };
        let count = self.lanes.len();
        let lane = match order {
            Some(order) => usize::try_from(order % count as u64).unwrap_or(0),
            None => self.pushed / self.max_operations % count,
        };
        self.pushed += 1;
        let Some(drafts) = self.lanes.get_mut(lane) else { return Ok(asked) };
        let full = drafts.last().is_none_or(|draft| {
            let too_long = !draft.body.is_empty() && draft.body.len() + scratch.len() > self.max_bytes;
            draft.operations.len() >= self.max_operations || too_long
        });
        if full {
            drafts.push(Draft::default());
        }
        if let Some(draft) = drafts.last_mut() {
            let start = draft.body.len();
            draft.body.extend_from_slice(scratch);
            draft.operations.push(Operation { record, start, end: draft.body.len(), conflict, order });
        }
        Ok(asked)
    }

    /// The requests of each lane.
    pub(crate) fn into_lanes(self) -> impl Iterator<Item = Vec<Chunk>> {
        self.lanes
            .into_iter()
            .map(|drafts| drafts.into_iter().filter(|draft| !draft.operations.is_empty()).map(Draft::finish).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(orders: &[Option<u64>], max_operations: usize, max_bytes: usize, in_flight: usize) -> Vec<Vec<Vec<usize>>> {
        let mut plan = Plan::new(orders.len(), max_operations, max_bytes, in_flight);
        for (record, order) in orders.iter().enumerate() {
            let asked = plan.push(record, &mut Vec::new(), |out| {
                out.extend_from_slice(b"0123456789");
                Ok(Asked::Operation { conflict: Conflict::Race, order: *order })
            });
            asked.expect("pushed");
        }
        let records = |chunk: Chunk| chunk.operations.iter().map(|operation| operation.record).collect();
        plan.into_lanes().map(|lane| lane.into_iter().map(records).collect()).collect()
    }

    #[test]
    fn lanes_are_as_many_as_are_needed() {
        assert_eq!(plan(&[None; 3], 5, 1_000, 5), [[[0, 1, 2]]]);
        assert_eq!(plan(&[None; 5], 2, 1_000, 2), vec![vec![vec![0, 1], vec![4]], vec![vec![2, 3]]]);
        assert_eq!(plan(&[None; 3], 5, 25, 5), vec![vec![vec![0, 1], vec![2]]]);
        assert_eq!(
            plan(&[None; 2], 5, 5, 5),
            vec![vec![vec![0], vec![1]]],
            "a document larger than the bound goes alone"
        );
    }

    #[test]
    fn what_must_stay_in_order_shares_a_lane() {
        let lanes = plan(&[Some(7), Some(4), Some(7), Some(4), Some(7)], 2, 1_000, 2);
        assert_eq!(lanes, vec![vec![vec![1, 3]], vec![vec![0, 2], vec![4]]]);
    }

    #[test]
    fn a_request_is_cut_into_parts() {
        let mut plan = Plan::new(3, 5, 1_000, 1);
        for (record, line) in ["a\n", "bb\n", "ccc\n"].iter().enumerate() {
            let asked = plan.push(record, &mut Vec::new(), |out| {
                out.extend_from_slice(line.as_bytes());
                Ok(Asked::Operation { conflict: Conflict::Done, order: None })
            });
            asked.expect("pushed");
        }
        let chunk = plan.into_lanes().next().and_then(|mut lane| lane.pop()).expect("chunk");
        let (left, right) = chunk.halves();
        assert_eq!((&left.body[..], &right.body[..]), (&b"a\n"[..], &b"bb\nccc\n"[..]));
        assert_eq!(right.of(right.operations.iter().skip(1).cloned()).body, "ccc\n");
    }
}
