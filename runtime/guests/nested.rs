// Builds guest crates of this workspace for wasm32-wasip2 from within a build script or a test, with a cargo of its own.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

const TARGET: &str = "wasm32-wasip2";

/// Builds `packages` into `target_dir` and returns their components, in order. Needs no network once crates are fetched.
///
/// # Errors
/// What cargo said.
pub(crate) fn build(workspace: &Path, packages: &[&str], target_dir: &Path) -> Result<Vec<PathBuf>, String> {
    add_target(workspace)?;
    // Without the network first: a nested look at the registry would cost seconds in every build.
    run(workspace, packages, target_dir, &["--offline"]).or_else(|_| run(workspace, packages, target_dir, &[]))?;
    let component =
        |package: &&str| target_dir.join(TARGET).join("guest").join(package.replace('-', "_")).with_extension("wasm");
    Ok(packages.iter().map(component).collect())
}

/// rust-toolchain.toml names the target, but rustup installs nothing by itself where it was told so (`RUSTUP_AUTO_INSTALL=0`).
fn add_target(workspace: &Path) -> Result<(), String> {
    let output = |program: &str, arguments: &[&str]| {
        Command::new(program)
            .args(arguments)
            .current_dir(workspace)
            .output()
            .map_err(|error| format!("{program}: {error}"))
    };
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let libraries = output(&rustc, &["--print", "target-libdir", "--target", TARGET])?;
    if Path::new(String::from_utf8_lossy(&libraries.stdout).trim()).is_dir() {
        return Ok(());
    }
    match output("rustup", &["target", "add", TARGET]) {
        Ok(added) if added.status.success() => Ok(()),
        failed => {
            let cause =
                failed.map_or_else(|error| error, |output| String::from_utf8_lossy(&output.stderr).into_owned());
            Err(format!("Rust's target {TARGET} is missing; add it with: rustup target add {TARGET}\n{cause}"))
        }
    }
}

fn run(workspace: &Path, packages: &[&str], target_dir: &Path, more: &[&str]) -> Result<(), String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(cargo);
    command.current_dir(workspace).args(["build", "--quiet", "--locked", "--lib"]);
    command.args(["--target", TARGET, "--profile", "guest", "--target-dir"]).arg(target_dir).args(more);
    for package in packages {
        command.args(["--package", package]);
    }
    // Flags and wrappers of the outer build (clippy, coverage, sanitizers, another target) are not for guests.
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(is_of_outer_build) {
            command.env_remove(name);
        }
    }
    let output = command.output().map_err(|error| format!("cargo cannot be run: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("guests do not build:\n{}", String::from_utf8_lossy(&output.stderr)))
}

fn is_of_outer_build(name: &str) -> bool {
    const KEPT: [&str; 3] = ["CARGO_HOME", "CARGO_NET_OFFLINE", "CARGO_MAKEFLAGS"];
    let prefixes = ["CARGO_", "RUSTC", "RUSTFLAGS", "RUSTDOC", "CLIPPY", "LLVM_PROFILE", "CLIPPY_ARGS"];
    let kept = KEPT.contains(&name) || ["CARGO_HTTP_", "CARGO_REGISTR"].iter().any(|prefix| name.starts_with(prefix));
    !kept && prefixes.iter().any(|prefix| name.starts_with(prefix))
}
