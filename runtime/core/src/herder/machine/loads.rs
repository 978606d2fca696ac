//! How heavy tasks are, as far as members have said.

use std::collections::{BTreeMap, BTreeSet};

use millrace_api::group::Peer;

use crate::task::TaskId;

/// See the module documentation.
#[derive(Default)]
pub(super) struct Loads {
    /// What was measured where a task ran before holds until it is measured again.
    known: BTreeMap<TaskId, u32>,
    /// Members that measure nothing. Beside them tasks are counted: what one member measures cannot be compared with nothing.
    blind: BTreeSet<String>,
}

impl Loads {
    pub(super) fn learned(&mut self, member: String, loads: Option<BTreeMap<TaskId, u32>>) {
        match loads {
            Some(loads) => {
                self.blind.remove(&member);
                self.known.extend(loads);
            }
            None => drop(self.blind.insert(member)),
        }
    }

    /// Forgets what is gone.
    pub(super) fn retain(&mut self, exists: impl Fn(&TaskId) -> bool, members: &[Peer]) {
        self.known.retain(|id, _| exists(id));
        self.blind.retain(|blind| members.iter().any(|peer| peer.member == *blind));
    }

    /// Those of a connector's tasks that count for more or less than one.
    pub(super) fn of_connector(&self, name: &str) -> BTreeMap<i32, u32> {
        if !self.blind.is_empty() {
            return BTreeMap::new();
        }
        let tasks = self.known.range(TaskId::new(name, i32::MIN)..=TaskId::new(name, i32::MAX));
        tasks.map(|(id, load)| (id.task, *load)).collect()
    }
}
