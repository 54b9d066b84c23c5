//! The limits of a mailbox.

use std::time::Duration;

/// How much one lane holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneLimit {
    /// Messages.
    pub messages: usize,
    /// Bytes, as the messages report them.
    pub bytes: usize,
}

/// The limits of a mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MailboxConfig {
    /// By lane, in the order of [`Lane::ALL`](crate::Lane::ALL).
    pub lanes: [LaneLimit; 3],
    /// How long [`Addr::ask`](crate::Addr::ask) waits.
    pub ask_timeout: Duration,
}

impl Default for MailboxConfig {
    /// Control carries small words only. High must hold what 15 authorities say in some slots, Normal a second of gossip;
    /// more would only add delay, as both are worthless when old. Eight bodies of 2 MiB fit into either.
    fn default() -> Self {
        let limit = |messages, mebibytes: usize| LaneLimit { messages, bytes: mebibytes << 20 };
        Self {
            lanes: [limit(256, 1), limit(1_024, 16), limit(1_024, 16)],
            // Longer than a restart with its start; shorter than the patience of an RPC client (usually 10 s or more).
            ask_timeout: Duration::from_secs(5),
        }
    }
}
