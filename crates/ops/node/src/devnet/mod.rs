//! `alys devnet`: a federation on this machine, from nothing, in one command.
//!
//! - **Owns**: the plan, the processes, the picture on the terminal, the verdict.
//! - **In**: a few numbers; a directory for the data. **Out**: a live table; with `--for`, a verdict, and figures with `--json`.
//! - **On failure**: exit code [`Exit::Verdict`] with what was seen; every node's log stays beside its data.

mod cluster;
mod history;
mod plan;
mod run;
mod screen;
mod traffic;
mod verdict;

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

pub use cluster::{Cluster, Member, log_file};
pub use history::{History, Shape, configure, prepare};
pub use plan::{NodePlan, check_ports, nodes};
pub use verdict::{Finding, Observed, judge};

use crate::exit::{Exit, Failure};

/// The arguments of `alys devnet`.
#[derive(Clone, Debug, Args)]
pub struct Devnet {
    /// How many nodes: the authorities, and full nodes beyond them.
    #[arg(long, default_value_t = 5)]
    pub nodes: usize,
    /// How many of them are authorities; with a history the last one starts empty.
    #[arg(long, default_value_t = 5)]
    pub authorities: usize,
    /// Blocks of the history that all but the newcomers begin with.
    #[arg(long, default_value_t = 20_000)]
    pub history: u64,
    /// Transactions in each block of the history, and transactions a slot while it runs.
    #[arg(long, default_value_t = 2)]
    pub txs: usize,
    /// The length of a slot in milliseconds.
    #[arg(long, default_value_t = 2_000)]
    pub slot_ms: u64,
    /// End by itself after this time (`60s`, `5m`), with a verdict.
    #[arg(long = "for", value_name = "TIME", value_parser = parse_duration)]
    pub duration: Option<Duration>,
    /// Print the summary as figures, one JSON object a line.
    #[arg(long)]
    pub json: bool,
    /// Where the nodes keep their data, the history included.
    #[arg(long, default_value = "alys-devnet", value_name = "DIR")]
    pub dir: PathBuf,
    /// The first port; each node takes two.
    #[arg(long, default_value_t = 30_500)]
    pub port: u16,
}

/// Runs the command.
///
/// # Errors
/// [`Exit::Usage`], [`Exit::PortInUse`], [`Exit::System`]; [`Exit::Verdict`] when the run did not show what it must.
pub fn run(command: &Devnet) -> Result<(), Failure> {
    check(command)?;
    let runtime = tokio::runtime::Runtime::new()
        .map_err(|error| Failure::new(Exit::System, format!("no runtime: {error}")))?;
    runtime.block_on(run::run(command))
}

fn check(command: &Devnet) -> Result<(), Failure> {
    let wrong = |message: &str| Err(Failure::new(Exit::Usage, message));
    let max = alys_chain::limits::MAX_AUTHORITIES;
    if command.authorities == 0 || command.authorities > max {
        return wrong("--authorities: 1 to 15, as a federation has");
    }
    if command.nodes < command.authorities {
        return wrong("--nodes: at least as many as --authorities, since each authority is a node");
    }
    if command.history > 0 && command.authorities == 2 {
        return wrong(
            "--authorities 2 needs both to approve: there is none that could come late; use --history 0 or another number",
        );
    }
    Ok(())
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    let (digits, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let number: u64 = digits.parse().map_err(|_| "a time such as 60s or 5m".to_owned())?;
    match unit {
        "s" | "" => Ok(Duration::from_secs(number)),
        "m" => Ok(Duration::from_secs(number.saturating_mul(60))),
        "h" => Ok(Duration::from_secs(number.saturating_mul(3_600))),
        _ => Err("a time such as 60s or 5m".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        devnet: Devnet,
    }

    fn parse(args: &[&str]) -> Devnet {
        Cli::parse_from([&["devnet"], args].concat()).devnet
    }

    #[test]
    fn a_time_is_read_with_its_unit() {
        assert_eq!(parse_duration("90"), Ok(Duration::from_secs(90)));
        assert_eq!(parse_duration("60s"), Ok(Duration::from_secs(60)));
        assert_eq!(parse_duration("5m"), Ok(Duration::from_secs(300)));
        assert_eq!(parse_duration("1h"), Ok(Duration::from_secs(3_600)));
        assert!(parse_duration("soon").is_err() && parse_duration("5d").is_err());
    }

    #[test]
    fn impossible_federations_are_refused_with_the_flag() {
        for (args, flag) in [
            (&["--authorities", "0"][..], "--authorities"),
            (&["--authorities", "16", "--nodes", "16"], "--authorities"),
            (&["--nodes", "4"], "--nodes"),
            (&["--authorities", "2", "--nodes", "2"], "--authorities 2"),
        ] {
            let failure = run(&parse(args)).unwrap_err();
            assert_eq!(failure.exit, Exit::Usage);
            assert!(failure.message.contains(flag), "{failure}");
        }
    }
}
