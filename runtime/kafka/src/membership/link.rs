//! The way to a group's coordinator: found by asking any broker, and found again when it moves or its connection breaks.

use std::collections::VecDeque;

use millrace_api::error::Error;
use tokio::time::sleep;

use super::codes::{self, NONE};
use super::connection::{Connection, Fault};
use super::messages::{Broker, FindCoordinator, Metadata, Request};
use super::settings::{Address, Settings};

/// Brokers beyond these are not remembered.
const MOST_BROKERS: usize = 1_000;

/// The way to the coordinator of a group.
pub(super) struct Link {
    settings: Settings,
    group: String,
    /// Whom to ask, the one that answered last first.
    brokers: VecDeque<Address>,
    coordinator: Option<Connection>,
    /// Searches that found nothing, since the last that did.
    failures: u32,
}

impl Link {
    pub(super) fn new(settings: Settings, group: &str) -> Self {
        let mut brokers = VecDeque::from(settings.bootstrap.clone());
        // Workers with the same list should not all ask the same broker.
        let first = usize::from(chance()) % brokers.len().max(1);
        brokers.rotate_left(first);
        Self { settings, group: group.to_owned(), brokers, coordinator: None, failures: 0 }
    }

    /// Connects to the coordinator unless that is so already; tries for as long as it takes. May be dropped and called again.
    ///
    /// # Errors
    /// Such that no further attempt can help.
    pub(super) async fn ready(&mut self) -> Result<(), Error> {
        while !self.coordinator.as_ref().is_some_and(Connection::is_usable) {
            self.coordinator = None;
            match self.find().await {
                Ok(coordinator) => {
                    self.coordinator = Some(coordinator);
                    self.failures = 0;
                }
                Err(Fault::Fatal(error)) => return Err(error),
                Err(Fault::Lost(why)) => {
                    self.tell(&why);
                    let wait = self.settings.reconnect.after(self.failures, chance());
                    self.failures = self.failures.saturating_add(1);
                    sleep(wait).await;
                }
            }
        }
        Ok(())
    }

    /// The coordinator's connection, for one request; see [`Link::ready`].
    pub(super) fn coordinator(&mut self) -> Result<&mut Connection, Fault> {
        self.coordinator.as_mut().ok_or_else(|| Fault::Lost("the group's coordinator is not connected".to_owned()))
    }

    /// The coordinator is another one by now, or its connection is broken.
    pub(super) fn forget(&mut self, why: &str) {
        if self.coordinator.take().is_some() {
            tracing::info!(group = self.group, why, "looking for the group's coordinator again");
        }
    }

    /// Asks each broker once.
    async fn find(&mut self) -> Result<Connection, Fault> {
        let mut last = String::new();
        for _ in 0..self.brokers.len() {
            let Some(broker) = self.brokers.front().cloned() else { break };
            match self.ask(&broker).await {
                Ok(coordinator) => return Connection::open(&coordinator, &self.settings).await,
                Err(Fault::Lost(why)) => last = why,
                Err(fatal) => return Err(fatal),
            }
            self.brokers.rotate_left(1);
        }
        Err(Fault::Lost(last))
    }

    async fn ask(&mut self, broker: &Address) -> Result<Address, Fault> {
        let mut connection = Connection::open(broker, &self.settings).await?;
        let patience = self.settings.request_timeout;
        let known = connection.call(&Metadata, patience).await?;
        self.remember(broker, known);
        let found = connection.call(&FindCoordinator { group: &self.group }, patience).await?;
        match found.code {
            NONE => address(found.broker)
                .ok_or_else(|| Fault::Lost(format!("{broker} names no address of the coordinator"))),
            code @ (24 | 30) => Err(Fault::Fatal(codes::refusal(code, FindCoordinator::API.name, &self.group))),
            code => Err(Fault::Lost(format!("{broker} answers {} when asked for the coordinator", codes::name(code)))),
        }
    }

    /// The broker that answered, those of the configuration, and those that it knows, which may outlive the former.
    fn remember(&mut self, asked: &Address, known: Vec<Broker>) {
        let mut brokers = VecDeque::from([asked.clone()]);
        let bootstrap = self.settings.bootstrap.iter().cloned();
        for broker in bootstrap.chain(known.into_iter().filter_map(address)).take(MOST_BROKERS) {
            if !brokers.contains(&broker) {
                brokers.push_back(broker);
            }
        }
        self.brokers = brokers;
    }

    /// The first failure is news, and so is every minute or so of them.
    fn tell(&self, why: &str) {
        if self.failures.is_multiple_of(60) {
            tracing::warn!(group = self.group, why, "the group's coordinator is out of reach; trying on");
        } else {
            tracing::debug!(group = self.group, why, "the group's coordinator is out of reach");
        }
    }
}

fn address(broker: Broker) -> Option<Address> {
    let port = u16::try_from(broker.port).ok().filter(|port| *port > 0)?;
    (!broker.host.is_empty()).then_some(Address { host: broker.host, port })
}

/// For waiting that differs among workers.
pub(super) fn chance() -> u16 {
    let [first, second, ..] = *uuid::Uuid::new_v4().as_bytes();
    u16::from_be_bytes([first, second])
}
