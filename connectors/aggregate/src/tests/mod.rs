//! Both phases without a log.

#[path = "../../tests/behaviour/counter.rs"]
mod counter;
mod fold;
mod merge;
mod restore;
mod transaction;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use millrace_api::Result;
use millrace_api::config::Props;
use millrace_api::log::StateTable;

use crate::config::AggregateConfig;

/// Tumbling windows of 100 ms with 50 ms of grace; `more` overrides.
fn config(more: &[(&str, &str)]) -> AggregateConfig {
    let base =
        [("aggregate", "Counter"), ("window.size.ms", "100"), ("window.grace.ms", "50"), ("output.topic", "out")];
    let props: Props = base.iter().chain(more).map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    AggregateConfig::read(&props).expect("a configuration")
}

/// A table in memory; clones are the same table.
#[derive(Clone, Default)]
struct Memory(Arc<Mutex<BTreeMap<Vec<u8>, Vec<u8>>>>);

impl StateTable for Memory {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        Ok(self.0.lock().unwrap().get(key).cloned())
    }

    fn scan(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
        let entries = self.0.lock().unwrap();
        let range = entries.range(from.to_vec()..to.to_vec()).take(limit);
        Ok(range.map(|(key, value)| (key.clone(), value.clone())).collect())
    }

    fn write(&self, changes: &[(Vec<u8>, Option<Vec<u8>>)]) -> Result<()> {
        let mut entries = self.0.lock().unwrap();
        for (key, value) in changes {
            match value {
                Some(value) => entries.insert(key.clone(), value.clone()),
                None => entries.remove(key),
            };
        }
        Ok(())
    }

    fn sync(&self) -> Result<()> {
        Ok(())
    }

    fn clear(&self) -> Result<()> {
        self.0.lock().unwrap().clear();
        Ok(())
    }
}
