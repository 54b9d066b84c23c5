//! The live picture: a row a node, and a bar for each newcomer.

use alys_rpc::status::NodeStatus;

use crate::console::{duration, grouped, table};

/// The width of a newcomer's bar in characters.
const BAR: u64 = 30;

/// One node as the screen shows it.
#[derive(Clone, Debug, Default)]
pub struct Row {
    /// Its number.
    pub number: usize,
    /// Whether it started empty.
    pub newcomer: bool,
    /// What it said last; none while it does not answer.
    pub status: Option<NodeStatus>,
    /// How it ended, if it did, and how to start it again.
    pub ended: Option<String>,
    /// The height of its first own certified block, once there is one.
    pub first_own: Option<u64>,
}

/// The whole picture as lines.
#[must_use]
pub fn picture(rows: &[Row]) -> String {
    let head =
        ["node", "height", "certified", "final", "peers", "state", "slot", "own"].map(str::to_owned).to_vec();
    let body = rows.iter().map(cells);
    let mut lines = vec![table(&std::iter::once(head).chain(body).collect::<Vec<_>>())];
    lines.extend(rows.iter().filter(|row| row.newcomer).map(newcomer));
    lines.extend(rows.iter().filter_map(|row| Some(format!("node {} {}", row.number, row.ended.as_ref()?))));
    lines.join("\n")
}

fn cells(row: &Row) -> Vec<String> {
    let name = format!("{}{}", row.number, if row.newcomer { " (new)" } else { "" });
    let Some(status) = &row.status else {
        let state = if row.ended.is_some() { "ended" } else { "starting" };
        return vec![name, "-".into(), "-".into(), "-".into(), "-".into(), state.into()];
    };
    vec![
        name,
        grouped(status.sync.current),
        format!("slot {}", grouped(status.head.slot)),
        grouped(status.finalized.height),
        format!("{}/{}", status.peers, status.authorities),
        if status.may_produce {
            format!("{}, producing", status.sync.mode)
        } else {
            status.sync.mode.clone()
        },
        grouped(status.slot),
        status.produced.to_string(),
    ]
}

/// The bar with rate, ETA and stage; after the sync, when it earned its turn.
fn newcomer(row: &Row) -> String {
    let Some(status) = &row.status else {
        return format!("node {}: waiting for its first answer", row.number);
    };
    if let Some(height) = row.first_own {
        return format!(
            "node {}: synced, and made its first own block at height {}",
            row.number,
            grouped(height)
        );
    }
    let sync = &status.sync;
    let Some(target) = sync.target.filter(|target| *target > 0) else {
        return format!("node {}: {}; {}", row.number, sync.mode, sync.waiting_for);
    };
    let filled = (BAR * sync.current.min(target)) / target;
    let bar: String = (0..BAR).map(|i| if i < filled { '#' } else { '.' }).collect();
    let eta =
        sync.eta_seconds.map_or_else(|| sync.waiting_for.clone(), |eta| format!("done in {}", duration(eta)));
    format!(
        "node {}: [{bar}] {} of {}  {:.0} blocks/s  {eta}  ({})",
        row.number,
        grouped(sync.current),
        grouped(target),
        sync.blocks_per_second,
        sync.mode
    )
}

#[cfg(test)]
mod tests {
    use alys_rpc::status::{BlockInfo, SyncInfo};

    use super::*;

    fn row() -> Row {
        let sync = SyncInfo {
            mode: "bulk".into(),
            current: 5_000,
            target: Some(20_000),
            blocks_per_second: 2_500.0,
            eta_seconds: Some(6),
            ..SyncInfo::default()
        };
        let finalized = BlockInfo { height: 4_999, ..BlockInfo::default() };
        let status = NodeStatus { sync, finalized, slot: 21_000, ..NodeStatus::default() };
        Row { number: 5, newcomer: true, status: Some(status), ended: None, first_own: None }
    }

    #[test]
    fn a_newcomer_has_a_bar_with_rate_eta_and_stage() {
        let text = picture(&[row()]);
        assert!(
            text.contains(
                "[#######.......................] 5,000 of 20,000  2500 blocks/s  done in 6 s  (bulk)"
            ),
            "{text}"
        );
        assert!(text.contains("4,999"), "{text}");
    }

    #[test]
    fn then_its_first_own_block() {
        let text = picture(&[Row { first_own: Some(20_007), ..row() }]);
        assert!(text.contains("made its first own block at height 20,007"), "{text}");
    }

    #[test]
    fn without_an_eta_it_says_what_it_waits_for() {
        let mut stalled = row();
        let sync = &mut stalled.status.as_mut().unwrap().sync;
        (sync.eta_seconds, sync.waiting_for) = (None, "waiting for peers".into());
        assert!(picture(&[stalled.clone()]).contains("waiting for peers"));
        stalled.status.as_mut().unwrap().sync.target = None;
        assert!(picture(&[stalled]).contains("node 5: bulk; waiting for peers"));
    }

    #[test]
    fn a_node_that_does_not_answer_says_so() {
        let silent = Row { number: 2, ..Row::default() };
        assert!(picture(&[silent]).contains("starting"));
        let ended = Row { number: 2, ended: Some("was killed by signal 9".into()), ..Row::default() };
        let text = picture(&[ended]);
        assert!(text.contains("node 2 was killed by signal 9") && text.contains("ended"), "{text}");
        let silent_newcomer = Row { number: 3, newcomer: true, ..Row::default() };
        assert!(picture(&[silent_newcomer]).contains("waiting for its first answer"));
    }
}
