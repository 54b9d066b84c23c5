//! Mutation tests: every small change of the quorum, the gate and the gap arithmetic must fail some test.

use alys_figure::Figure;
use anyhow::Result;

use crate::run::{command, target, visibly};
use crate::tools;

/// The files in which no mutant may survive without a written reason.
const FILES: &[&str] =
    &["crates/core/chain/src/schedule.rs", "crates/core/sync/src/gate.rs", "crates/core/sync/src/gaps.rs"];

/// Runs cargo-mutants and prints how many mutants were caught and missed.
pub fn report(json: bool) -> Result<()> {
    let tool = tools::cargo("cargo-mutants", "27.1.0")?;
    let out = target().join("mutants");
    let mut run = command(&tool.to_string_lossy(), &["mutants", "--workspace", "--no-shuffle"]);
    // CI runs the same tests on the tree as it is, so there is no need to run them here first: a test takes seconds, a build minutes.
    run.args(["--baseline", "skip", "--timeout", "300", "--build-timeout", "1800"]);
    run.arg("--output").arg(&out);
    for file in FILES {
        run.args(["--file", file]);
    }
    // The unit tests beside the code have to notice; the models and worlds of the crates would take hours.
    run.args(["--", "--lib"]);
    let result = visibly(run);
    for (kind, bar) in [("caught", false), ("missed", true), ("timeout", true), ("unviable", false)] {
        let list =
            std::fs::read_to_string(out.join("mutants.out").join(format!("{kind}.txt"))).unwrap_or_default();
        let count = u32::try_from(list.lines().count()).unwrap_or(u32::MAX);
        let figure = Figure::new(format!("mutants/{kind}"), count.into(), "mutants");
        if bar { figure.pass(count == 0) } else { figure }.print(json);
    }
    result
}
