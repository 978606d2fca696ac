//! What an aggregate does over the embedded log. Its tasks are driven as the worker drives them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failed expectation is what these are for"
)]

#[path = "behaviour/counter.rs"]
mod counter;
#[path = "behaviour/crashes.rs"]
mod crashes;
#[path = "behaviour/faults.rs"]
mod faults;
#[path = "behaviour/guest.rs"]
mod guest;
#[path = "behaviour/idle.rs"]
mod idle;
#[path = "behaviour/late.rs"]
mod late;
#[path = "behaviour/member.rs"]
mod member;
#[path = "behaviour/model.rs"]
mod model;
#[path = "behaviour/random.rs"]
mod random;
#[path = "behaviour/setup.rs"]
mod setup;
#[path = "behaviour/windows.rs"]
mod windows;
#[path = "behaviour/world.rs"]
mod world;
