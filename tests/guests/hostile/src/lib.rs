//! Transformations that misbehave, for the tests of the sandbox. What they do, they do to records whose value is their own name as
//! text; every other record gets the topic `done`.

use std::hint::black_box;

use millrace_sdk::prelude::*;

/// One transformation, many sins.
pub struct Hostile {
    config: HostileConfig,
}

/// Its keys.
#[derive(Config)]
pub struct HostileConfig {
    /// A secret that it tries to give away.
    #[config(name = "password")]
    password: Option<millrace_api::config::Password>,
    /// Refuse this configuration, telling the secret.
    #[config(name = "refuse", default = "false")]
    refuse: bool,
    /// Never finish starting.
    #[config(name = "hang", default = "false")]
    hang: bool,
    /// A mode, so that there is something to validate.
    #[config(name = "mode", default = "plain", one_of("plain", "fancy"))]
    mode: String,
}

impl Hostile {
    fn secret(&self) -> &str {
        self.config.password.as_ref().map_or("", |password| password.reveal())
    }
}

impl Transform for Hostile {
    const CLASS: &'static str = "test.Hostile$Value";
    type Config = HostileConfig;

    fn configure(config: HostileConfig) -> Result<Self> {
        let hostile = Self { config };
        if hostile.config.refuse {
            let text = format!(
                "Invalid value true for configuration refuse: in mode {}, {} is not secret enough",
                hostile.config.mode,
                hostile.secret()
            );
            return Err(Error::config(text));
        }
        if hostile.config.hang {
            loop {
                black_box(());
            }
        }
        Ok(hostile)
    }

    fn needs(&self) -> Needs {
        Needs { value: true, ..Needs::NOTHING }
    }

    fn apply(&mut self, record: &Record<'_>, out: &mut Output<'_>) -> Result<Verdict> {
        match record.value().as_str().unwrap_or_default() {
            "loop" => loop {
                black_box(());
            },
            "recurse" => {
                black_box(recurse(1));
            }
            "grow" => {
                let mut hoard = Vec::new();
                loop {
                    hoard.push(black_box(vec![1u8; 1 << 20]));
                }
            }
            "panic" => fall_over(),
            "exit" => std::process::exit(0),
            "sleep" => std::thread::sleep(std::time::Duration::from_hours(1)),
            "slow" => {
                let until = std::time::Instant::now() + std::time::Duration::from_millis(300);
                while std::time::Instant::now() < until {}
            }
            "huge" => out.write(Part::Value, None, |writer| {
                writer.bytes(&vec![7; 4 << 20]);
                Ok(())
            })?,
            "flood" => {
                for line in 0..10_000 {
                    millrace_sdk::log::write(
                        millrace_sdk::log::Level::Info,
                        &format!("flood {line} of {}", self.secret()),
                    );
                }
                to_standard_error();
            }
            "topic" => {
                out.topic("no such\u{0}topic");
                return Ok(Verdict::Keep);
            }
            "fail" => return Err(Error::data(format!("refused, knowing {}", self.secret()))),
            _ => {}
        }
        out.topic("done");
        Ok(Verdict::Keep)
    }
}

#[allow(clippy::print_stderr, reason = "the point")]
fn to_standard_error() {
    eprintln!("and to standard error");
}

#[allow(clippy::panic, reason = "the point")]
fn fall_over() {
    panic!("as asked");
}

#[allow(unconditional_recursion, reason = "the point")]
fn recurse(n: u64) -> u64 {
    black_box(recurse(black_box(n + 1))) + 1
}

/// Matches records whose offset is even; fails on offset 13.
pub struct Even;

impl Predicate for Even {
    const CLASS: &'static str = "test.Even";
    type Config = NoConfig;

    fn configure(_: NoConfig) -> Result<Self> {
        Ok(Self)
    }

    fn needs(&self) -> Needs {
        Needs::NOTHING
    }

    fn test(&mut self, record: &Record<'_>) -> Result<bool> {
        match record.offset() {
            Some(13) => Err(Error::data("13 is neither")),
            offset => Ok(offset.is_some_and(|offset| offset % 2 == 0)),
        }
    }
}

/// Looks at the value and does nothing.
pub struct Noop;

impl Transform for Noop {
    const CLASS: &'static str = "test.Noop";
    type Config = NoConfig;

    fn configure(_: NoConfig) -> Result<Self> {
        Ok(Self)
    }

    fn apply(&mut self, record: &Record<'_>, _out: &mut Output<'_>) -> Result<Verdict> {
        black_box(record.value());
        Ok(Verdict::Keep)
    }
}

millrace_sdk::export_smt!(Hostile, Noop; predicates Even);
