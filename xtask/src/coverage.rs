//! Line coverage of core and shell, by all tests and a short run of the simulator.

use std::collections::BTreeMap;

use alys_figure::Figure;
use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::run::{command, output, root, visibly};
use crate::tools;

/// Percent of lines that tests must reach, for core and shell together. Not higher: what is left are the branches of operating-system
/// failures, which the fault tests reach from outside the process.
const BAR: f64 = 90.0;

/// Runs the tests under instrumentation and prints a figure a crate.
pub fn report(json: bool) -> Result<()> {
    tools::cargo("cargo-nextest", "0.9.143")?;
    tools::system("strace", "strace", "the tests")?;
    visibly(cargo_llvm_cov(&["nextest", "--workspace", "--no-report", "--no-fail-fast"])?)?;
    let text = output(cargo_llvm_cov(&["report", "--json", "--summary-only"])?)?;
    let crates = by_crate(&serde_json::from_str(&text).context("llvm-cov printed no JSON")?)?;
    let all = crates.values().fold((0, 0), |sum, lines| (sum.0 + lines.0, sum.1 + lines.1));
    for (name, lines) in &crates {
        figure(name, *lines).print(json);
    }
    let total = percent(all);
    figure("core and shell", all).pass(total >= BAR).print(json);
    if total < BAR {
        bail!("line coverage is {total:.2} %, the bar is {BAR} %");
    }
    Ok(())
}

fn cargo_llvm_cov(args: &[&str]) -> Result<std::process::Command> {
    let tool = tools::cargo("cargo-llvm-cov", "0.9.1")?;
    // The toolchain has no llvm-tools of its own: Debian's fit when their major version is the compiler's.
    let major = llvm_major()?;
    let package = format!("llvm-{major}");
    let cov = tools::system(&format!("llvm-cov-{major}"), &package, "coverage")?;
    let profdata = tools::system(&format!("llvm-profdata-{major}"), &package, "coverage")?;
    let mut command = command(&tool.to_string_lossy(), &["llvm-cov"]);
    command.args(args).env("LLVM_COV", cov).env("LLVM_PROFDATA", profdata);
    Ok(command)
}

fn llvm_major() -> Result<String> {
    let version = output(command("rustc", &["--version", "--verbose"]))?;
    let line = version.lines().find_map(|line| line.strip_prefix("LLVM version: "));
    let major = line.and_then(|version| version.split('.').next()).context("rustc names no LLVM version")?;
    Ok(major.to_owned())
}

/// Lines (covered, all) a crate of `crates/core` and `crates/shell`.
fn by_crate(report: &Value) -> Result<BTreeMap<String, (u64, u64)>> {
    let files = report["data"][0]["files"].as_array().context("the coverage report names no files")?;
    let mut crates = BTreeMap::new();
    for file in files {
        let name = file["filename"].as_str().unwrap_or_default();
        let inside = name.strip_prefix(&*root().join("crates/").to_string_lossy());
        let Some(path) = inside.filter(|path| path.starts_with("core/") || path.starts_with("shell/")) else {
            continue;
        };
        let key = path.split('/').take(2).collect::<Vec<_>>().join("/");
        let lines = &file["summary"]["lines"];
        let entry = crates.entry(key).or_insert((0, 0));
        entry.0 += lines["covered"].as_u64().unwrap_or(0);
        entry.1 += lines["count"].as_u64().unwrap_or(0);
    }
    Ok(crates)
}

fn figure(name: &str, lines: (u64, u64)) -> Figure {
    Figure::new(format!("coverage/{name}"), percent(lines), "percent")
}

#[expect(clippy::cast_precision_loss, reason = "line counts are far below 2^52")]
fn percent((covered, all): (u64, u64)) -> f64 {
    if all == 0 { 0.0 } else { 100.0 * covered as f64 / all as f64 }
}
