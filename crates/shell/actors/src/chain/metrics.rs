//! What the ChainActor counts.

use alys_transport::Verdict;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// What became of a gossiped message.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Judged {
    verdict: &'static str,
}

impl From<Verdict> for Judged {
    fn from(verdict: Verdict) -> Self {
        let verdict = match verdict {
            Verdict::Accept => "accept",
            Verdict::Reject => "reject",
            Verdict::Ignore => "ignore",
        };
        Self { verdict }
    }
}

/// The counters of the ChainActor. Clones count together.
#[derive(Clone, Debug, Default)]
pub struct ChainMetrics {
    /// The height of the head.
    pub head: Gauge,
    /// The height of the last final block.
    pub finalized: Gauge,
    /// Blocks of our own.
    pub produced: Counter,
    /// Slots of ours without a block of ours.
    pub missed: Counter,
    /// Approvals given.
    pub approved: Counter,
    /// Blocks imported for sync.
    pub imported: Counter,
    /// Blocks that left the canonical chain.
    pub undone: Counter,
    /// Proofs that an authority contradicted itself.
    pub evidence: Counter,
    /// Certificates beside the final chain: more authorities are faulty than the rule bears.
    pub conflicts: Counter,
    /// Verdicts on proposals, approvals, certificates and transactions.
    pub verdicts: Family<Judged, Counter>,
    /// Proposals that wait for their parent.
    pub held: Gauge,
    /// Transactions that wait for a block.
    pub transactions: Gauge,
    /// Bytes of these.
    pub transaction_bytes: Gauge,
    /// Commits that the database did not take.
    pub storage_failures: Counter,
}

impl ChainMetrics {
    /// Shows them in a registry.
    pub fn register(&self, registry: &mut Registry) {
        let to = registry.sub_registry_with_prefix("chain");
        to.register("head_height", "Height of the durable head", self.head.clone());
        to.register("final_height", "Height of the last final block", self.finalized.clone());
        to.register("blocks_produced", "Blocks made by this node", self.produced.clone());
        to.register(
            "slots_missed",
            "Slots of this authority without a block of its own",
            self.missed.clone(),
        );
        to.register("approvals_given", "Blocks approved by this authority", self.approved.clone());
        to.register("blocks_imported", "Blocks imported for sync", self.imported.clone());
        to.register("blocks_undone", "Blocks that left the canonical chain", self.undone.clone());
        to.register("evidence", "Authorities caught signing two blocks of one slot", self.evidence.clone());
        to.register("conflicts", "Certificates that conflict with the final block", self.conflicts.clone());
        to.register("verdicts", "Verdicts on gossiped messages", self.verdicts.clone());
        to.register("proposals_held", "Proposals that wait for their parent", self.held.clone());
        to.register("transactions", "Transactions that wait for a block", self.transactions.clone());
        to.register("transaction_bytes", "Bytes of waiting transactions", self.transaction_bytes.clone());
        to.register(
            "storage_failures",
            "Commits that the database did not take",
            self.storage_failures.clone(),
        );
    }
}
