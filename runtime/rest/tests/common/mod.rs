//! A herder in memory, and a client that shows the bytes of an answer.

#![allow(dead_code, reason = "each test binary uses a part")]

pub(crate) mod client;
pub(crate) mod herder;

use std::sync::Arc;

use millrace_rest::{RestOptions, RestServer, serve};

use herder::FakeHerder;

/// Options of a test: any free port.
pub(crate) fn options() -> RestOptions {
    RestOptions { listeners: "http://127.0.0.1:0".to_owned(), ..RestOptions::default() }
}

/// A server over `herder`.
pub(crate) async fn start(herder: &Arc<FakeHerder>, options: RestOptions) -> RestServer {
    serve(Arc::clone(herder) as _, options).await.unwrap()
}
