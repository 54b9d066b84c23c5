//! Mutation tests: every small change of the quorum, the gate and the gap arithmetic must fail some test.

use alys_figure::Figure;
use anyhow::{Context, Result, bail};

use crate::run::{command, target};
use crate::tools;

/// The files in which no mutant may survive without a written reason.
const FILES: &[&str] =
    &["crates/core/chain/src/schedule.rs", "crates/core/sync/src/gate.rs", "crates/core/sync/src/gaps.rs"];

/// How cargo-mutants ends when some mutants hung their tests, and none survived: a test that hangs does not pass.
const ONLY_TIMEOUTS: i32 = 3;

/// How long the unit tests of a crate may take, in seconds: several times what they do. Where a loop lost its end this is waited for in full.
const TIMEOUT: &str = "40";

/// Each builds in a copy of the tree, on two cores or so.
fn jobs() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| (cores.get() / 2).max(1))
}

/// Runs cargo-mutants and prints how many mutants were caught and missed.
pub fn report(json: bool) -> Result<()> {
    let tool = tools::cargo("cargo-mutants", "27.1.0")?;
    let out = target().join("mutants");
    let mut run = command(&tool.to_string_lossy(), &["mutants", "--workspace", "--no-shuffle"]);
    // CI runs the same tests on the tree as it is, so there is no need to run them here first: a test takes seconds, a build minutes.
    run.args(["--baseline", "skip", "--timeout", TIMEOUT, "--build-timeout", "1800", "--profile", "mutants"]);
    run.args(["--jobs", &jobs().to_string()]);
    run.arg("--output").arg(&out);
    for file in FILES {
        run.args(["--file", file]);
    }
    // The unit tests beside the code have to notice; the models and worlds of the crates would take hours.
    run.args(["--", "--lib"]);
    let status = run.status().context("cannot start cargo-mutants")?;
    for kind in ["caught", "missed", "timeout", "unviable"] {
        let list =
            std::fs::read_to_string(out.join("mutants.out").join(format!("{kind}.txt"))).unwrap_or_default();
        let count = u32::try_from(list.lines().count()).unwrap_or(u32::MAX);
        let figure = Figure::new(format!("mutants/{kind}"), count.into(), "mutants");
        if kind == "missed" { figure.pass(count == 0) } else { figure }.print(json);
    }
    if !matches!(status.code(), Some(0 | ONLY_TIMEOUTS)) {
        bail!("cargo-mutants ended with {status}: the mutants that survived stand in {}", out.display());
    }
    Ok(())
}
