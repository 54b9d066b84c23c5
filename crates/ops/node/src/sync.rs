//! `alys sync`: how the sync of a running node stands, and the orders that it takes.
//!
//! - **In**: the RPC address of a node. **Out**: one screen for people, or JSON for programs.
//! - **On failure**: [`Exit::Unreachable`](crate::exit::Exit::Unreachable) when no node answers there, [`Exit::Refused`](crate::exit::Exit::Refused)
//!   when the node does not take the order.

use alys_rpc::status::{ConditionInfo, HeadInfo, PartitionInfo, SyncDetail};
use clap::{Args, Subcommand};

use crate::ask::{Ask, ask, print, progress};
use crate::console::{grouped, table};
use crate::exit::Failure;

/// The commands of `alys sync`.
#[derive(Debug, Subcommand)]
pub enum Sync {
    /// How far it is, whether this node may produce and why (not), and which side of a split it is on.
    Status(Ask),
    /// Why the rate is what it is, on one screen: the stage that limits it, who holds the head, who was blamed on what proof,
    /// and what may be changed.
    Explain(Ask),
    /// Ask for nothing and import nothing until it is resumed. The node does not produce meanwhile.
    Pause(Ask),
    /// Go on.
    Resume(Ask),
    /// Show where it goes, or stop by itself at a height.
    Target(Target),
}

/// The arguments of `alys sync target`.
#[derive(Debug, Args)]
pub struct Target {
    #[command(flatten)]
    at: Ask,
    /// Stop once this height is durable.
    #[arg(value_name = "HEIGHT", conflicts_with = "follow")]
    height: Option<u64>,
    /// Follow the network again, as far as it goes.
    #[arg(long)]
    follow: bool,
}

/// Runs the command.
///
/// # Errors
/// See the [module](self).
pub fn run(command: &Sync) -> Result<(), Failure> {
    match command {
        Sync::Status(at) => status(at),
        Sync::Explain(at) => {
            let info = ask(at.rpc, async |client| client.sync_explain().await)?;
            print(at.json, &info.detail, || info.lines.join("\n"));
            Ok(())
        }
        Sync::Pause(at) => {
            ask(at.rpc, async |client| client.sync_pause().await)?;
            status(at)
        }
        Sync::Resume(at) => {
            ask(at.rpc, async |client| client.sync_resume().await)?;
            status(at)
        }
        Sync::Target(Target { at, height, follow }) => {
            if *follow || height.is_some() {
                ask(at.rpc, async |client| client.sync_target(*height).await)?;
            }
            let detail = ask(at.rpc, async |client| client.sync_status().await)?;
            print(at.json, &detail.sync, || progress(&detail.sync));
            Ok(())
        }
    }
}

fn status(at: &Ask) -> Result<(), Failure> {
    let detail = ask(at.rpc, async |client| client.sync_status().await)?;
    print(at.json, &detail, || screen(&detail));
    Ok(())
}

fn screen(detail: &SyncDetail) -> String {
    let gate =
        if detail.gate.open { "open: this node may produce" } else { "closed: this node may not produce" };
    let conditions: Vec<Vec<String>> = detail.gate.conditions.iter().map(condition).collect();
    let mut lines = vec![
        format!("sync       {}", progress(&detail.sync)),
        format!("gate       {gate}"),
        table(&conditions),
        format!("partition  {}", partition(&detail.partition)),
    ];
    lines.extend(detail.partition.heads.iter().map(head));
    lines.join("\n")
}

fn condition(condition: &ConditionInfo) -> Vec<String> {
    let mark = if condition.holds { "  yes" } else { "  NO " };
    vec![
        mark.to_owned(),
        condition.name.clone(),
        condition.value.clone(),
        format!("(required: {})", condition.required),
    ]
}

fn partition(view: &PartitionInfo) -> String {
    let PartitionInfo { side, authorities, quorum, heard, .. } = view;
    format!("{side}: {} other authorities heard of {authorities}, quorum {quorum}", heard.len())
}

fn head(head: &HeadInfo) -> String {
    let HeadInfo { block, peers, authorities } = head;
    let height = grouped(block.height);
    format!(
        "  head {height}, slot {}, proven by {peers} peers ({} authorities)",
        block.slot,
        authorities.len()
    )
}

#[cfg(test)]
mod tests {
    use alys_rpc::status::{BlockInfo, ProduceInfo, SyncInfo};

    use super::*;

    #[test]
    fn the_screen_shows_every_condition_and_how_heads_split() {
        let condition = |name: &str, holds| ConditionInfo {
            name: name.into(),
            holds,
            value: "3 blocks".into(),
            required: "at most 10".into(),
        };
        let heads = vec![HeadInfo {
            block: BlockInfo { height: 4_000, slot: 4_100, id: "0x01".into() },
            peers: 3,
            authorities: vec![1, 2],
        }];
        let detail = SyncDetail {
            sync: SyncInfo {
                mode: "synced".into(),
                current: 4_000,
                target: Some(4_000),
                ..SyncInfo::default()
            },
            gate: ProduceInfo {
                open: false,
                conditions: vec![condition("behind", true), condition("target", false)],
            },
            partition: PartitionInfo {
                side: "majority".into(),
                authorities: 5,
                quorum: 4,
                heard: vec![1, 2, 3],
                heads,
            },
        };
        let text = screen(&detail);
        for part in [
            "synced, height 4,000",
            "closed: this node may not produce",
            "  yes  behind  3 blocks  (required: at most 10)",
            "  NO   target",
            "majority: 3 other authorities heard of 5, quorum 4",
            "head 4,000, slot 4100, proven by 3 peers (2 authorities)",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        let open = SyncDetail { gate: ProduceInfo { open: true, ..ProduceInfo::default() }, ..detail };
        assert!(screen(&open).contains("open: this node may produce"));
    }
}
