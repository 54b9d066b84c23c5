//! The command line.
//!
//! - **In**: the arguments. **Out**: the exit code of the command that they name.
//! - **On failure**: the command's message on standard error, and its code.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::console::note;
use crate::exit::{Exit, Failure};
use crate::{ask, checkpoint, devnet, export, generate, import, init, keys, node, sync};

/// A node of a federated Bitcoin sidechain.
#[derive(Debug, Parser)]
#[command(name = "alys", version, after_help = Exit::list(), arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a data directory: genesis, settings, node key.
    Init(init::Init),
    /// Make keys, look at them, bind an authority's key to a node.
    #[command(subcommand)]
    Keys(keys::Keys),
    /// Make a signed history with transactions, for development networks and measurements.
    Generate(generate::Generate),
    /// Write the chain of a data directory into a file.
    Export(export::Export),
    /// Run a federation on this machine: four nodes with a history, and a newcomer that syncs it and earns its turn.
    Devnet(devnet::Devnet),
    /// Read a chain file into a data directory; everything is verified.
    Import(import::Import),
    /// Run a node until it is told to stop.
    Node(node::Node),
    /// Show what a running node says of itself.
    Status(ask::Ask),
    /// Show the peers of a running node.
    Peers(ask::Ask),
    /// How the sync of a running node stands, and orders to it.
    #[command(subcommand)]
    Sync(sync::Sync),
    /// List, write, verify, copy out and take in checkpoints.
    #[command(subcommand)]
    Checkpoint(checkpoint::Checkpoint),
}

/// Which data directory.
#[derive(Clone, Debug, Args)]
pub struct At {
    /// The node's data directory.
    #[arg(long, default_value = "alys-data", value_name = "DIR")]
    pub data_dir: PathBuf,
}

/// Runs the command of these arguments.
#[must_use]
pub fn run(cli: Cli) -> Exit {
    let result = match cli.command {
        Command::Init(command) => init::run(&command),
        Command::Keys(command) => keys::run(&command),
        Command::Generate(command) => generate::run(&command),
        Command::Devnet(command) => devnet::run(&command),
        Command::Export(command) => export::run(&command),
        Command::Import(command) => import::run(&command),
        Command::Node(command) => node::run(&command),
        Command::Status(command) => ask::status(&command),
        Command::Peers(command) => ask::peers(&command),
        Command::Sync(command) => sync::run(&command),
        Command::Checkpoint(command) => checkpoint::run(&command),
    };
    match result {
        Ok(()) => Exit::Ok,
        Err(Failure { exit, message }) => {
            note(format!("error: {message}"));
            exit
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_arguments_are_consistent_and_the_help_lists_the_codes() {
        let mut command = Cli::command();
        command.clone().debug_assert();
        let help = command.render_help().to_string();
        for exit in Exit::ALL {
            assert!(help.contains(&format!("{:>3}  ", exit.code())), "{help}");
        }
    }
}
