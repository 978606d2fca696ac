//! `millrace distributed`: a worker of a group.

use millrace_api::{Error, Result};
use millrace_core::providers::Environment;
use millrace_core::worker_config::Mode;

use crate::args::Distributed;
use crate::output;
use crate::settings::Settings;
use crate::worker::Configured;

/// Runs until it is told to stop.
pub(crate) async fn run(args: Distributed, environment: Environment) -> Result<()> {
    let settings = Settings::read(Mode::Distributed, args.worker.as_deref(), &environment)?;
    settings.log();
    let configured = Configured::new(Mode::Distributed, settings.props, environment)?;
    if args.check {
        configured.check()?;
        output::note(args.json, "the configuration is valid");
        return Ok(());
    }
    Err(Error::internal("distributed workers are not part of this build; use millrace standalone"))
}
