//! The `alys` binary.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    alys_node::allocator::share_arenas();
    alys_node::cli::run(alys_node::cli::Cli::parse()).into()
}
