//! Builds the components.

#[path = "nested.rs"]
mod nested;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The guests and the crates they consist of.
const CRATES: [&str; 7] = [
    "transforms/smt",
    "transforms/aggregates",
    "transforms/dates",
    "transforms/literals",
    "sdk/rust",
    "runtime/api",
    "runtime/macros",
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
    let crates = CRATES.iter().flat_map(|path| [format!("{path}/src"), format!("{path}/Cargo.toml")]);
    let others = ["Cargo.toml", "Cargo.lock", "wit", "runtime/guests/nested.rs"].map(str::to_owned);
    for source in crates.chain(others) {
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
