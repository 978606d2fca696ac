//! Builds the components.

#[path = "nested.rs"]
mod nested;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Sources of the guests and of everything they consist of.
const SOURCES: [&str; 8] = [
    "Cargo.toml",
    "transforms/smt",
    "transforms/aggregates",
    "sdk/rust",
    "runtime/api",
    "runtime/macros",
    "runtime/guests/nested.rs",
    "wit",
];

fn main() -> ExitCode {
    match build() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("cargo::error={}", error.replace('\n', "\ncargo::error="));
            ExitCode::FAILURE
        }
    }
}

fn build() -> Result<(), String> {
    let dir = |name: &str| std::env::var_os(name).map(PathBuf::from).ok_or_else(|| format!("{name} is not set"));
    let (out, manifest) = (dir("OUT_DIR")?, dir("CARGO_MANIFEST_DIR")?);
    let workspace = manifest.join("../..");
    for source in SOURCES {
        println!("cargo::rerun-if-changed={}", workspace.join(source).display());
    }
    let components = nested::build(&workspace, &["millrace-smt", "millrace-aggregates"], &target_dir(&out))?;
    for (name, component) in ["smt.wasm", "aggregates.wasm"].iter().zip(components) {
        std::fs::copy(&component, out.join(name)).map_err(|error| format!("{}: {error}", component.display()))?;
    }
    Ok(())
}

/// One directory for all profiles of the outer build, beside them; else one of our own.
fn target_dir(out: &Path) -> PathBuf {
    let outer = out.ancestors().nth(4).filter(|dir| dir.join("CACHEDIR.TAG").is_file());
    outer.unwrap_or(out).join("guests")
}
