//! The one place where compiled code is taken from bytes.
#![allow(unsafe_code, reason = "wasmtime trusts the bytes; only bytes whose MAC was checked get here")]

use wasmtime::component::Component;
use wasmtime::{Engine, Result};

/// Compiled code that this user's worker wrote itself: [`super::seal::Seal::open`] is the only way to one.
pub(super) struct Verified<'a>(pub(super) &'a [u8]);

/// Makes a component of compiled code.
pub(super) fn deserialize(engine: &Engine, code: &Verified<'_>) -> Result<Component> {
    // SAFETY: the bytes are unchanged since `Component::serialize` of the same wasmtime and configuration made them: the file's
    // MAC, over its content and its name, was made with a key that only this user can read, and wasmtime itself refuses code of
    // another version or configuration.
    unsafe { Component::deserialize(engine, code.0) }
}
