//! `cargo xtask`: the one tool of this project. It installs what a command needs, runs it, and says what it does.
//!
//! - **In**: a command and its flags (`cargo xtask help`).
//! - **Out**: the output of the tools; figures as a table, or with `--json` one object a line.
//! - **On failure**: the first failing step ends the run with its own message and exit code 1.

mod coverage;
mod mutants;
mod run;
mod steps;
mod tools;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Build, check and measure alys")]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Everything that CI does: lint, test, sim, bench check. Installs what the tests need.
    Ci,
    /// All tests.
    Test {
        /// Passed on to `cargo nextest run`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Formatting, clippy and the documentation, warnings denied.
    Lint,
    /// The bench binary, in release: `cargo xtask bench sync --json`; also `approvals`, `attacks`, `snapshot`, `check`.
    Bench {
        /// Passed on to the bench binary.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// The simulated world, in release: `cargo xtask sim --seeds 200`.
    Sim {
        /// Passed on to the simulator.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Line coverage of core and shell by all tests.
    Coverage {
        /// One object a line.
        #[arg(long)]
        json: bool,
    },
    /// Mutation tests of the quorum, the gate and the gap arithmetic.
    Mutants {
        /// One object a line.
        #[arg(long)]
        json: bool,
    },
}

fn main() -> ExitCode {
    let Err(error) = run() else { return ExitCode::SUCCESS };
    // What failed has said why; a backtrace would be one of this program, whatever the environment says.
    eprintln!("Error: {error:#}");
    ExitCode::FAILURE
}

fn run() -> anyhow::Result<()> {
    match Args::parse().command {
        Command::Ci => steps::ci(),
        Command::Test { args } => steps::test(&args),
        Command::Lint => steps::lint(),
        Command::Bench { args } => steps::bench(&args),
        Command::Sim { args } => steps::sim(&args),
        Command::Coverage { json } => coverage::report(json),
        Command::Mutants { json } => mutants::report(json),
    }
}
