//! What the steps need beyond the Rust toolchain: looked up first, installed when it is missing.

use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::run::{command, target, visibly};

/// A cargo subcommand: the one on the path, or ours, installed from crates.io into the build directory.
pub fn cargo(name: &str, version: &str) -> Result<PathBuf> {
    if let Some(found) = on_path(name) {
        return Ok(found);
    }
    let home = target().join("tools");
    let ours = home.join("bin").join(name);
    if !ours.exists() {
        let mut install = command("cargo", &["install", name, "--version", version, "--locked", "--root"]);
        install.arg(&home);
        visibly(install)?;
    }
    Ok(ours)
}

/// A program of the system; on Debian and with the right to do so it is installed, elsewhere the error says what to do.
pub fn system(program: &str, package: &str, reason: &str) -> Result<PathBuf> {
    if let Some(found) = on_path(program) {
        return Ok(found);
    }
    let apt = |args: &[&str]| visibly(command("apt-get", args));
    let installed = on_path("apt-get").is_some()
        && apt(&["update", "-qq"]).and_then(|()| apt(&["install", "-y", "-qq", package])).is_ok();
    match on_path(program).filter(|_| installed) {
        Some(found) => Ok(found),
        None => bail!("{program} is needed for {reason}: install the package `{package}` and run this again"),
    }
}

fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(program)).find(|file| file.is_file())
}
