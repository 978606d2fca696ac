//! Bytes that a guest calls a batch.
#![no_main]

use libfuzzer_sys::fuzz_target;
use millrace_api::batch::wire::{Trust, decode};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(batch) = decode(bytes.to_vec(), Trust::Nobody) {
        millrace_fuzz::visit(&batch);
    }
    let _ = decode(bytes.to_vec(), Trust::Host);
});
