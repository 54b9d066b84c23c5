//! The lines about the node's state, for whoever looks at the log: never quiet for long while there is something to wait for.

use std::time::Duration;

use alys_rpc::status::SyncInfo;
use alys_sync::Limit;
use tracing::info;

use super::view::View;
use crate::ask::progress;
use crate::console::grouped;

/// How often a node that is not synced says how far it is. Seldom enough to read, often enough not to look stuck.
const INTERVAL: Duration = Duration::from_secs(5);
/// Every how many intervals one that is synced says that it still is: once a minute.
const QUIET: u32 = 12;
/// The code of a synced node (see the modes of sync).
const SYNCED: u8 = 5;

/// Tells the state, for ever.
pub async fn tell(view_of: &View) {
    let mut timer = tokio::time::interval(INTERVAL);
    let mut last = Last::default();
    loop {
        timer.tick().await;
        let sync = view_of.progress();
        if last.is_news(&sync) {
            let (peers, view) =
                (view_of.network.watch().borrow().present.len(), view_of.chain.watch().borrow().clone());
            let finalized = grouped(view.finalized.height.0);
            let limit = limit(view_of).await;
            info!("{}{limit}; final {finalized}, {peers} peers, slot {}", progress(&sync), view.slot);
        }
    }
}

/// What limits the rate, where anything does.
async fn limit(view: &View) -> String {
    match view.sync.get_explain().await {
        Ok(explain) if explain.limit != Limit::Nothing => format!(", limited by {}", explain.limit),
        // One that does not answer is told of by its supervisor.
        _ => String::new(),
    }
}

/// What was told last.
#[derive(Default)]
struct Last {
    code: Option<u8>,
    quiet: u32,
}

impl Last {
    /// Whether there is something to say: always while syncing, after a change, and now and then.
    fn is_news(&mut self, sync: &SyncInfo) -> bool {
        let changed = self.code.replace(sync.code) != Some(sync.code);
        self.quiet += 1;
        let due = changed || sync.code != SYNCED || self.quiet >= QUIET;
        if due {
            self.quiet = 0;
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_synced_node_is_quiet_and_a_syncing_one_is_not() {
        let mut last = Last::default();
        let with = |code| SyncInfo { code, ..SyncInfo::default() };
        assert!((0..20).all(|_| last.is_news(&with(3))));
        assert!(last.is_news(&with(SYNCED)), "a change is told at once");
        let told: Vec<bool> = (0..24).map(|_| last.is_news(&with(SYNCED))).collect();
        assert_eq!(told.iter().filter(|told| **told).count(), 2);
    }
}
