//! Counting what arrived, at the far ends.

use std::collections::HashSet;

use millrace_api::Result;
use millrace_api::log::{ConsumerOptions, Event, Log, Subscription, TopicPartition};
use millrace_core::metrics::resident_bytes;
use serde_json::json;

use super::orders::Orders;
use super::shop::Shop;

/// What was sent, and what arrived where.
pub(super) struct Totals {
    sent: u64,
    valid: u64,
    transactions: u64,
    hourly: Vec<(String, u64)>,
    logs: u64,
}

impl Totals {
    pub(super) async fn read(shop: &Shop, orders: &Orders) -> Result<Self> {
        let database = shop.database();
        let rows = database.query("SELECT 'transactions', COUNT(*) FROM transactions").await?;
        let hourly =
            database.query("SELECT hourWindow, transactionCount FROM hourly_summary ORDER BY hourWindow").await?;
        Ok(Self {
            sent: orders.sent(),
            valid: orders.valid(),
            transactions: rows.first().map_or(0, |(_, count)| *count),
            hourly,
            logs: distinct_keys(shop.log(), "logs-topic").await?,
        })
    }

    fn hourly_count(&self) -> u64 {
        self.hourly.iter().map(|(_, count)| count).sum()
    }

    /// Whether every valid order is everywhere.
    pub(super) fn complete(&self) -> bool {
        [self.transactions, self.hourly_count(), self.logs].iter().all(|count| *count == self.valid)
    }

    /// One line while it runs.
    pub(super) fn progress(&self) -> String {
        format!(
            "sent {:>7}  valid {:>7}  transactions {:>7}  hourly {:>7}  logs {:>7}",
            self.sent,
            self.valid,
            self.transactions,
            self.hourly_count(),
            self.logs
        )
    }

    /// The totals for a person.
    pub(super) fn table(&self) -> String {
        let mark = |count: u64| if count == self.valid { "ok" } else { "MISSING" };
        let mut text = format!(
            "\n{:>9} orders sent, {} rejected with 400\n{:>9} valid orders\n{:>9} rows in transactions      {}\n{:>9} counted in hourly_summary {}\n{:>9} log messages              {}\n",
            self.sent,
            self.sent - self.valid,
            self.valid,
            self.transactions,
            mark(self.transactions),
            self.hourly_count(),
            mark(self.hourly_count()),
            self.logs,
            mark(self.logs),
        );
        text.extend(self.hourly.iter().map(|(hour, count)| format!("          {hour}  {count:>7}\n")));
        text
    }

    /// The totals for a machine.
    pub(super) fn line(&self, start_millis: u64) -> String {
        json!({
            "validOrders": self.valid,
            "transactions": self.transactions,
            "hourlyTransactionCount": self.hourly_count(),
            "logMessages": self.logs,
            "startMillis": start_millis,
            "residentBytes": resident_bytes().unwrap_or(0),
        })
        .to_string()
    }
}

/// Log messages, each delivery once: the key is the delivery.
async fn distinct_keys(log: &dyn Log, topic: &str) -> Result<u64> {
    let offsets = log.offsets(topic, true).await?;
    let from: Vec<_> = (0i32..)
        .zip(&offsets)
        .filter(|(_, (begin, end))| begin < end)
        .map(|(partition, (begin, _))| (TopicPartition::new(topic, partition), *begin))
        .collect();
    let mut open = from.len();
    let mut keys = HashSet::new();
    if open == 0 {
        return Ok(0);
    }
    let mut options = ConsumerOptions::new("millrace-demo", "", Subscription::Assign(from));
    options.end_events = true;
    let mut consumer = log.consumer(options).await?;
    while open > 0 {
        match consumer.next().await? {
            Event::Records(records) => {
                for index in 0..records.len() {
                    if let Some(key) = records.get(index).and_then(|record| record.key.map(<[u8]>::to_vec)) {
                        keys.insert(key);
                    }
                }
            }
            Event::EndOfPartition { .. } => open -= 1,
            Event::Assigned(_) | Event::Revoked { .. } => {}
        }
    }
    consumer.close().await;
    Ok(keys.len() as u64)
}
