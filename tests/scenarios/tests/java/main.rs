//! Millrace beside and in place of real Java workers of Kafka Connect: in one group, and one after the other.

#![allow(clippy::expect_used, clippy::panic, reason = "tests may")]

mod dead_letters;
mod files;
mod group;
mod mixed;
mod rest;
mod takeover;
