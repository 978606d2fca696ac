//! What guests write: the `log` import, and what WASI sees as standard output and error.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::secrets::Secrets;
use crate::v0_1::Level;

/// Longest entry; the rest is cut off.
const MAX_ENTRY: usize = 4096;

/// A chain's or aggregate's way to the worker's log. Fresh instances share the budget of the ones they replace.
#[derive(Clone)]
pub(crate) struct GuestLog {
    component: Arc<str>,
    secrets: Secrets,
    budget: Arc<Mutex<Budget>>,
}

struct Budget {
    per_second: usize,
    since: Instant,
    used: usize,
    suppressed: usize,
}

impl GuestLog {
    pub(crate) fn new(component: &Arc<str>, secrets: Secrets, per_second: usize) -> Self {
        let budget = Budget { per_second, since: Instant::now(), used: 0, suppressed: 0 };
        Self { component: Arc::clone(component), secrets, budget: Arc::new(Mutex::new(budget)) }
    }

    /// Writes an entry, unless the budget of this second is spent.
    pub(crate) fn write(&self, level: Level, message: &str) {
        let Some(suppressed) = self.spend(message.len().max(64)) else { return };
        let message = self.secrets.hide(message.trim_end());
        let shown = message.get(..message.floor_char_boundary(MAX_ENTRY)).unwrap_or_default();
        // Control characters could forge entries or drive a terminal.
        let shown: String = shown.chars().map(|c| if c.is_control() && c != '\t' { ' ' } else { c }).collect();
        let component = &*self.component;
        if suppressed > 0 {
            tracing::warn!(
                target: "millrace::guest",
                component,
                "{suppressed} log entries of this component were left out: it writes too fast"
            );
        }
        if shown.is_empty() {
            return;
        }
        match level {
            Level::Error => tracing::error!(target: "millrace::guest", component, "{shown}"),
            Level::Warn => tracing::warn!(target: "millrace::guest", component, "{shown}"),
            Level::Info => tracing::info!(target: "millrace::guest", component, "{shown}"),
            Level::Debug => tracing::debug!(target: "millrace::guest", component, "{shown}"),
            Level::Trace => tracing::trace!(target: "millrace::guest", component, "{shown}"),
        }
    }

    /// Spends the cost of an entry: `None` when there is no budget left, else how many entries went unwritten before.
    fn spend(&self, cost: usize) -> Option<usize> {
        let mut budget = self.budget.lock().unwrap_or_else(PoisonError::into_inner);
        if budget.since.elapsed() >= Duration::from_secs(1) {
            (budget.since, budget.used) = (Instant::now(), 0);
        }
        if budget.used + cost > budget.per_second {
            budget.suppressed += 1;
            return None;
        }
        budget.used += cost;
        Some(std::mem::take(&mut budget.suppressed))
    }
}
