//! The steps of CI, each of which can be run alone.

use anyhow::Result;

use crate::run::{command, visibly};
use crate::tools;

/// The number of seeds that CI runs; `cargo xtask sim --seeds N` runs more.
const CI_SEEDS: &str = "200";

/// Lint, test, simulate, and hold the rates against what is committed.
pub fn ci() -> Result<()> {
    lint()?;
    test(&["--profile".into(), "ci".into()])?;
    // The profile of the tests: CI builds the workspace once.
    let run = |package, args: &[&str]| {
        let mut run = command("cargo", &["run", "--quiet", "--package", package, "--"]);
        run.args(args);
        visibly(run)
    };
    run("alys-sim", &["--seeds", CI_SEEDS])?;
    run("alys-bench", &["check"])
}

/// Formatting, clippy, documentation.
pub fn lint() -> Result<()> {
    visibly(command("cargo", &["fmt", "--all", "--check"]))?;
    visibly(command("cargo", &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))?;
    let mut doc = command("cargo", &["doc", "--workspace", "--no-deps", "--document-private-items"]);
    // Private items are documented as well here, so links to them are good ones.
    doc.env("RUSTDOCFLAGS", "-D warnings -A rustdoc::private_intra_doc_links");
    visibly(doc)
}

/// All tests, one process each.
pub fn test(args: &[String]) -> Result<()> {
    tools::system(
        "strace",
        "strace",
        "the test that the signing record is on disk before an approval is sent",
    )?;
    let nextest = tools::cargo("cargo-nextest", "0.9.143")?;
    // The process tests start the real binary.
    visibly(command("cargo", &["build", "--package", "alys-node"]))?;
    let mut run = command(&nextest.to_string_lossy(), &["nextest", "run", "--workspace"]);
    run.args(args);
    visibly(run)
}

/// The bench binary.
pub fn bench(args: &[String]) -> Result<()> {
    visibly(command("cargo", &["build", "--quiet", "--release", "--package", "alys-node"]))?;
    release("alys-bench", args)
}

/// The simulated world.
pub fn sim(args: &[String]) -> Result<()> {
    release("alys-sim", args)
}

fn release(package: &str, args: &[String]) -> Result<()> {
    let mut run = command("cargo", &["run", "--quiet", "--release", "--package", package, "--"]);
    run.args(args);
    visibly(run)
}
