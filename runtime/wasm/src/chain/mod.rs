//! A connector's chain of transformations.

mod group;
pub(crate) mod plan;
mod search;

use std::collections::HashSet;
use std::sync::Arc;

use millrace_api::batch::RecordBatch;
use millrace_api::batch::delta::Failed;
use millrace_api::transform::{Chain, ChainReport};
use millrace_api::{Error, Result};

use self::group::Group;
use self::plan::{GroupPlan, PredicatePlan, StagePlan};
use self::search::Search;
use crate::engine::Sandbox;

/// Groups of stages, in order.
pub(crate) struct WasmChain {
    sandbox: Arc<Sandbox>,
    groups: Vec<Guarded>,
}

/// A group, and the predicate of another component that chooses its records.
struct Guarded {
    group: Group,
    guard: Option<(Group, bool)>,
}

impl WasmChain {
    /// Instantiates and configures the groups.
    ///
    /// # Errors
    /// As [`Group::new`].
    pub(crate) fn new(sandbox: &Arc<Sandbox>, plans: Vec<GroupPlan>) -> Result<Self> {
        let groups = plans.into_iter().map(|mut plan| {
            let guard = plan.guard.take().map(|guard| {
                let negate = plan.stages.first().is_some_and(|stage| stage.negate);
                Ok((Group::new(sandbox, &as_stage(guard))?, negate))
            });
            Ok(Guarded { guard: guard.transpose()?, group: Group::new(sandbox, &plan)? })
        });
        Ok(Self { groups: groups.collect::<Result<_>>()?, sandbox: Arc::clone(sandbox) })
    }
}

/// A predicate alone in its component: as a stage it drops what does not match.
fn as_stage(guard: PredicatePlan) -> GroupPlan {
    let PredicatePlan { alias, plugin, config } = guard;
    GroupPlan { stages: vec![StagePlan { alias, plugin, config, predicate: None, negate: false }], guard: None }
}

impl Chain for WasmChain {
    fn apply(&mut self, batch: &mut RecordBatch) -> Result<ChainReport> {
        let mut report = ChainReport::default();
        let inputs = batch.len();
        for Guarded { group, guard } in &mut self.groups {
            let mut search = Search::new(&self.sandbox.limits);
            let rows = match guard {
                None => all(batch),
                Some((guard, negate)) => chosen(guard, *negate, group, batch, &self.sandbox, &mut search, &mut report)?,
            };
            let applied = search::apply(group, batch, &rows, &self.sandbox.limits, &mut search)?;
            report.dropped.extend(applied.dropped);
            report.failed.extend(applied.failed.into_iter().map(|failed| attributed(failed, group)));
        }
        settle(&mut report, batch, inputs);
        Ok(report)
    }
}

fn all(batch: &RecordBatch) -> Vec<u32> {
    (0..u32::try_from(batch.len()).unwrap_or(u32::MAX)).collect()
}

/// The failure with the class of the stage that the guest names, or the group's first.
fn attributed(mut failed: Failed, group: &Group) -> (Failed, Arc<str>) {
    let class = group.classes.get(failed.stage as usize).or_else(|| group.classes.first());
    let hidden = group.secrets.hide(failed.error.message());
    if let std::borrow::Cow::Owned(message) = hidden {
        failed.error = Error::new(failed.error.kind(), message);
    }
    (failed, class.map_or_else(|| Arc::from(""), Arc::clone))
}

/// The rows that the predicate of another component sends into `group`. Records that it fails on leave the batch.
fn chosen(
    guard: &mut Group,
    negate: bool,
    group: &Group,
    batch: &mut RecordBatch,
    sandbox: &Sandbox,
    search: &mut Search,
    report: &mut ChainReport,
) -> Result<Vec<u32>> {
    // On a copy: the predicate's verdict is which of its rows are left, known by their numbers in `origin`.
    let mut copy = batch.clone();
    for (index, row) in (0..).zip(copy.rows_mut()) {
        row.origin = index;
    }
    let rows = all(&copy);
    let applied = search::apply(guard, &mut copy, &rows, &sandbox.limits, search)?;
    let mut matches = vec![false; batch.len()];
    for row in copy.rows() {
        if let Some(matched) = matches.get_mut(row.origin as usize) {
            *matched = true;
        }
    }
    let mut failed = HashSet::new();
    for mut failure in applied.failed {
        let index = failure.row.origin;
        let Some(row) = batch.rows().get(index as usize) else { continue };
        (failure.row, failure.stage) = (*row, 0);
        failed.insert(index);
        report.failed.push(attributed(failure, group));
    }
    let mut wanted = Vec::with_capacity(batch.len());
    let mut left = 0;
    for (index, matched) in (0u32..).zip(&matches) {
        if failed.contains(&index) {
            continue;
        }
        if *matched != negate {
            wanted.push(left);
        }
        left += 1;
    }
    let mut index = 0;
    batch.retain(|_| {
        index += 1;
        !failed.contains(&(index - 1))
    });
    Ok(wanted)
}

/// When records were split, one of the parts may be dropped and another go on: the input was dropped only if nothing is left of it
/// (invariant 3).
fn settle(report: &mut ChainReport, batch: &RecordBatch, inputs: usize) {
    if report.dropped.is_empty() || batch.len() + report.dropped.len() + report.failed.len() <= inputs {
        return;
    }
    let alive = batch.rows().iter().map(|row| row.origin);
    let mut seen: HashSet<u32> = alive.chain(report.failed.iter().map(|(failed, _)| failed.row.origin)).collect();
    report.dropped.retain(|origin| seen.insert(*origin));
}
