//! What `wit-bindgen` makes of `wit/v0.1.0`. Generated: nothing here is written by hand but the options.
#![allow(unsafe_code, reason = "the canonical ABI lowers and lifts through raw memory")]
#![allow(missing_docs, unreachable_pub, unused_qualifications, reason = "generated")]
#![allow(clippy::all, clippy::pedantic, reason = "generated")]

pub mod smt {
    wit_bindgen::generate!({
        path: "../../wit/v0.1.0",
        world: "smt",
        pub_export_macro: true,
        export_macro_name: "__export_smt_world",
        default_bindings_module: "millrace_sdk::bindings::smt",
        runtime_path: "wit_bindgen::rt",
    });
}

pub mod windowed {
    wit_bindgen::generate!({
        path: "../../wit/v0.1.0",
        world: "windowed",
        pub_export_macro: true,
        export_macro_name: "__export_windowed_world",
        default_bindings_module: "millrace_sdk::bindings::windowed",
        runtime_path: "wit_bindgen::rt",
        with: {
            "millrace:connect/types@0.1.0": super::smt::millrace::connect::types,
            "millrace:connect/log@0.1.0": super::smt::millrace::connect::log,
        },
    });
}
