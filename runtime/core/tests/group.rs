//! Groups of workers: what they tell each other, against bytes that Kafka Connect wrote; and what their leader decides, in groups that
//! change at random and against Kafka Connect's leader.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, unreachable_pub, reason = "a test")]

#[path = "group/bytes.rs"]
mod bytes;
#[path = "group/decision.rs"]
mod decision;
#[path = "group/model.rs"]
mod model;
#[path = "group/properties.rs"]
mod properties;
#[path = "group/stories.rs"]
mod stories;
