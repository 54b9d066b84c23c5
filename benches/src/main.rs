//! `cargo xtask bench`: how fast the pipeline is, beside what the machine could do and what a plain client does.
//!
//! - **In**: a command and its flags. **Out**: figures, with `--json` one object a line.
//! - **On failure**: the first error ends the run with exit code 1; a figure that misses its bar ends it with 1 as well, after all are printed.
//!
//! Whatever is measured as a node of its own is a process of its own: the binary starts itself again with one of the hidden commands.

mod approvals;
mod attacks;
mod baseline;
mod check;
mod client;
mod cores;
mod federation;
mod history;
mod judge;
mod newcomer;
mod peculiar;
mod process;
mod proxy;
mod room;
mod rows;
mod serve;
mod snapshot;
mod stages;
mod sync;
mod table;
mod trouble;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask bench", about = "Measure alys")]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// A fresh node syncs a history from other processes; beside it each stage alone, and a plain client.
    Sync(sync::Sync),
    /// What checking approvals costs: one by one, in batches, on several cores.
    Approvals(approvals::Approvals),
    /// Nine of ten sources lie: how much longer does a sync take?
    Attacks(attacks::Attacks),
    /// A fresh node begins with the state of a recent final block; beside it, in the same run, one that executes every block.
    Snapshot(snapshot::Snapshot),
    /// The rows of the sync in a short form, against what is committed for them.
    Check(check::Check),
    /// A source, in a process of its own.
    #[command(hide = true)]
    Serve(serve::Serve),
    /// The plain client, in a process of its own.
    #[command(hide = true)]
    Baseline(baseline::Baseline),
    /// The fresh node, in a process of its own.
    #[command(hide = true)]
    Newcomer(newcomer::Newcomer),
    /// The fresh node that begins with a state, in a process of its own.
    #[command(hide = true)]
    Begin(snapshot::Begin),
}

fn main() -> ExitCode {
    alys_node::allocator::share_arenas();
    let Err(error) = run() else { return ExitCode::SUCCESS };
    // A bar that is missed is no defect of this program: no backtrace, whatever the environment says.
    eprintln!("Error: {error:#}");
    ExitCode::FAILURE
}

fn run() -> anyhow::Result<()> {
    match Args::parse().command {
        Command::Sync(command) => sync::run(&command),
        Command::Approvals(command) => approvals::run(&command),
        Command::Attacks(command) => attacks::run(&command),
        Command::Check(command) => check::run(&command),
        Command::Serve(command) => serve::run(&command),
        Command::Baseline(command) => baseline::run(&command),
        Command::Newcomer(command) => newcomer::run(&command),
        Command::Snapshot(command) => snapshot::run(&command),
        Command::Begin(command) => snapshot::begin(&command),
    }
}
