//! What the node shows of itself: its actors' views, as the RPC words them. Reads watches and asks; changes nothing but the pool of
//! transactions.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use alys_actor::Clock;
use alys_actors::chain::{At, ChainMailbox, ReadError};
use alys_actors::network::{NetworkMailbox, Present};
use alys_actors::peer::PeerMailbox;
use alys_actors::sync::{CheckpointDesk, Refused as SyncRefused, StartSync, SyncMailbox};
use alys_chain::{AuthorityIndex, BlockRef, Height, Rules, Slot};
use alys_ledger::{Address, ChainId};
use alys_peers::{Class, Explanation};
use alys_rpc::status::{
    BlockInfo, CheckpointInfo, ConditionInfo, ExplainInfo, HeadInfo, HeaderInfo, NodeStatus, PartitionInfo,
    PeerInfo, ProduceInfo, SyncDetail, SyncInfo,
};
use alys_rpc::{NodeView, Refusal};
use alys_storage::StoredHeader;
use alys_sync::{GateReport, PartitionView, SyncStatus};
use alys_transport::Direction;
use alys_wire::PeerId;

use crate::progress::rss;
use crate::{checkpoint, explain};

/// A running node, seen from outside.
#[derive(Clone)]
pub struct View {
    pub(super) chain: ChainMailbox,
    pub(super) network: NetworkMailbox,
    pub(super) peers: PeerMailbox,
    pub(super) sync: SyncMailbox,
    pub(super) checkpoints: CheckpointDesk,
    pub(super) rules: Arc<Rules>,
    pub(super) chain_id: ChainId,
    pub(super) clock: Clock,
}

impl View {
    /// What sync does now.
    pub fn progress(&self) -> SyncInfo {
        sync_info(&self.sync.watch().borrow())
    }

    fn slot(&self) -> Slot {
        self.rules.slot_at(self.clock.unix()).unwrap_or_default()
    }

    async fn gate(&self) -> Result<GateReport, Refusal> {
        self.sync.can_produce(self.slot()).await.map_err(|why| unavailable(&why))
    }
}

#[async_trait::async_trait]
impl NodeView for View {
    async fn status(&self) -> Result<NodeStatus, Refusal> {
        let chain = self.chain.watch().borrow().clone();
        let network = self.network.watch().borrow().clone();
        // A gate that does not answer is closed; the rest of the status is worth showing all the same.
        let may_produce = chain.authority.is_some() && self.gate().await.is_ok_and(|report| report.open);
        Ok(NodeStatus {
            version: concat!("alys ", env!("CARGO_PKG_VERSION")).to_owned(),
            genesis: self.rules.genesis_id().to_string(),
            peer: network.local.to_string(),
            addresses: network.listening.iter().map(|at| at.with_peer(network.local).to_string()).collect(),
            slot: self.slot().0,
            head: block_info(chain.head),
            finalized: block_info(chain.finalized),
            sync: self.progress(),
            peers: count(network.present.len()),
            authorities: count(network.authorities()),
            authority: chain.authority.map(|authority| authority.0),
            may_produce,
            produced: chain.produced,
            pool: chain.transactions as u64,
            memory_bytes: rss().unwrap_or(0),
        })
    }

    async fn peers(&self) -> Result<Vec<PeerInfo>, Refusal> {
        let table = self.peers.watch().borrow().clone();
        let network = self.network.watch().borrow().clone();
        // Without sync the rest of the table is worth showing all the same.
        let proven = self.sync.get_proven_heads().await.unwrap_or_default();
        let explain = |id: PeerId| table.peers.iter().find(|known| known.peer == id);
        let info = |present: &Present| {
            peer_info(present, explain(present.peer), proven.get(&present.peer).map(|head| head.height))
        };
        Ok(network.present.iter().map(info).collect())
    }

    async fn can_produce(&self) -> Result<ProduceInfo, Refusal> {
        Ok(produce_info(self.gate().await?))
    }

    async fn sync_status(&self) -> Result<SyncDetail, Refusal> {
        let partition = self.sync.get_partition().await.map_err(|why| unavailable(&why))?;
        let gate = produce_info(self.gate().await?);
        Ok(SyncDetail { sync: self.progress(), gate, partition: partition_info(&partition) })
    }

    async fn sync_explain(&self) -> Result<ExplainInfo, Refusal> {
        let explain = self.sync.get_explain().await.map_err(|why| unavailable(&why))?;
        Ok(explain::info(&explain, self.clock.moment()))
    }

    async fn sync_pause(&self) -> Result<(), Refusal> {
        self.sync.pause_sync().await.map_err(not_taken)
    }

    async fn sync_resume(&self) -> Result<(), Refusal> {
        self.sync.resume_sync().await.map_err(not_taken)
    }

    async fn sync_target(&self, height: Option<u64>) -> Result<(), Refusal> {
        let head = self.chain.watch().borrow().head.height;
        if let Some(height) = height.filter(|height| *height <= head.0) {
            let why = format!("the height to stop at, {height}, is not above the durable head, {head}");
            return Err(Refusal::Order(why));
        }
        // One that was not started, or had reached its target, has nothing to stop.
        match self.sync.stop_sync().await {
            Ok(()) | Err(SyncRefused::State(_)) => {}
            Err(why) => return Err(not_taken(why)),
        }
        let start = StartSync { target_height: height.map(Height), ..StartSync::default() };
        self.sync.start_sync(start).await.map_err(not_taken)
    }

    async fn checkpoints(&self) -> Result<Vec<CheckpointInfo>, Refusal> {
        let desk = self.checkpoints.clone();
        let listed =
            tokio::task::spawn_blocking(move || desk.list()).await.map_err(|why| unavailable(&why))?;
        Ok(listed.map_err(|why| unavailable(&why))?.into_iter().map(checkpoint::info).collect())
    }

    async fn create_checkpoint(&self) -> Result<u64, Refusal> {
        let written = self.sync.create_checkpoint().await;
        written.map(Height::get).map_err(|why| Refusal::Order(why.to_string()))
    }

    async fn header(&self, height: u64) -> Result<Option<HeaderInfo>, Refusal> {
        let found = self.chain.get_header(At::Height(Height(height))).await.map_err(|why| unread(&why))?;
        let finalized = self.chain.watch().borrow().finalized.height;
        Ok(found.map(|StoredHeader { id, header, .. }| HeaderInfo {
            block: block_info(BlockRef { slot: header.slot, height: header.height, id }),
            proposer: header.proposer.0,
            is_final: header.height <= finalized,
        }))
    }

    fn chain_id(&self) -> u64 {
        self.chain_id.0
    }

    async fn balance(&self, address: [u8; 20]) -> Result<[u8; 32], Refusal> {
        let account = self.chain.account(Address::from(address)).await.map_err(|why| unread(&why))?;
        Ok(account.balance.to_be_bytes())
    }

    async fn transaction_count(&self, address: [u8; 20]) -> Result<u64, Refusal> {
        let account = self.chain.account(Address::from(address)).await.map_err(|why| unread(&why))?;
        Ok(account.next_nonce)
    }

    async fn submit(&self, raw: Vec<u8>) -> Result<[u8; 32], Refusal> {
        use alys_actors::chain::Refused;
        self.chain.submit(raw.into()).await.map(|hash| hash.0).map_err(|refused| match refused {
            Refused::Unanswered(_) | Refused::State(_) => unavailable(&refused),
            refused => Refusal::Transaction(refused.to_string()),
        })
    }
}

fn unavailable(why: &dyn std::fmt::Display) -> Refusal {
    Refusal::Unavailable(why.to_string())
}

fn not_taken(why: SyncRefused) -> Refusal {
    match why {
        SyncRefused::Mailbox(_) | SyncRefused::Store(_) => unavailable(&why),
        why => Refusal::Order(why.to_string()),
    }
}

fn unread(why: &ReadError) -> Refusal {
    unavailable(why)
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn block_info(block: BlockRef) -> BlockInfo {
    BlockInfo { height: block.height.0, slot: block.slot.0, id: block.id.to_string() }
}

fn sync_info(status: &SyncStatus) -> SyncInfo {
    SyncInfo {
        mode: if status.paused { "paused".to_owned() } else { status.mode.to_string() },
        code: status.mode.code(),
        current: status.height.0,
        target: status.target.map(|height| height.0),
        blocks_per_second: f64::from(u32::try_from(status.blocks_per_second).unwrap_or(u32::MAX)),
        eta_seconds: status.eta.map(|eta: Duration| eta.as_secs()),
        waiting_for: status.waiting_for.to_string(),
    }
}

fn produce_info(report: GateReport) -> ProduceInfo {
    let condition = |condition: alys_sync::Condition| ConditionInfo {
        name: condition.name.to_string(),
        holds: condition.holds,
        value: condition.value,
        required: condition.required,
    };
    ProduceInfo { open: report.open, conditions: report.conditions.into_iter().map(condition).collect() }
}

fn partition_info(view: &PartitionView) -> PartitionInfo {
    let places = |authorities: &BTreeSet<AuthorityIndex>| authorities.iter().map(|place| place.0).collect();
    let head = |group: &alys_sync::HeadGroup| HeadInfo {
        block: block_info(group.head),
        peers: count(group.peers),
        authorities: places(&group.authorities),
    };
    PartitionInfo {
        side: view.side.to_string(),
        authorities: view.federation.authorities,
        quorum: view.federation.quorum,
        heard: places(&view.heard),
        heads: view.heads.iter().map(head).collect(),
    }
}

fn peer_info(present: &Present, known: Option<&Explanation>, proven: Option<Height>) -> PeerInfo {
    let class = match known.map(|known| known.class) {
        Some(Class::Federation(_)) => "federation",
        Some(Class::Trusted) => "trusted",
        Some(Class::Full) | None => "full",
    };
    let direction = match present.direction {
        Direction::Inbound => "inbound",
        Direction::Outbound => "outbound",
    };
    PeerInfo {
        id: present.peer.to_string(),
        address: present.address.to_string(),
        direction: direction.to_owned(),
        class: class.to_owned(),
        authority: present.authority.map(|authority| authority.0),
        rtt_ms: known.and_then(|known| known.rtt).map(|rtt| rtt.as_secs_f64() * 1_000.0),
        bytes_per_second: known.and_then(|known| known.bandwidth),
        misbehaviour: known.map_or(0.0, |known| f64::from(known.millipoints) / 1_000.0),
        proven_height: proven.map(|height| height.0),
    }
}

#[cfg(test)]
mod tests {
    use alys_chain::BlockId;
    use alys_sync::{Condition, ConditionName, Mode, WaitingFor};

    use super::*;

    #[test]
    fn what_sync_waits_for_is_told_in_words() {
        let status = SyncStatus {
            mode: Mode::Bulk,
            paused: false,
            height: Height(5),
            target: Some(Height(20)),
            blocks_per_second: 3,
            eta: Some(Duration::from_secs(5)),
            peers: 1,
            leases: 0,
            budget_used: 0,
            budget_headers: 0,
            budget_total: 0,
            waiting_for: WaitingFor::Peers,
            suspects_ourselves: false,
        };
        let info = sync_info(&status);
        assert_eq!((info.mode.as_str(), info.code, info.current, info.target), ("bulk", 3, 5, Some(20)));
        assert_eq!((info.eta_seconds, info.waiting_for.as_str()), (Some(5), "peers"));
        assert_eq!(sync_info(&SyncStatus { paused: true, ..status }).mode, "paused");
    }

    #[test]
    fn every_condition_of_the_gate_is_told() {
        let condition = Condition {
            name: ConditionName::Running,
            holds: false,
            value: "stopped".into(),
            required: "running".into(),
        };
        let info = produce_info(GateReport { open: false, conditions: vec![condition] });
        assert_eq!((info.open, info.conditions[0].value.as_str()), (false, "stopped"));
    }

    #[test]
    fn a_peer_that_the_book_does_not_know_yet_is_shown_all_the_same() {
        let present = Present {
            peer: PeerId::from_bytes(&[7; 8]).unwrap(),
            address: alys_wire::Address("/ip4/127.0.0.1/tcp/1".into()),
            direction: Direction::Inbound,
            identified: true,
            authority: Some(alys_chain::AuthorityIndex(2)),
        };
        let info = peer_info(&present, None, Some(Height(5)));
        assert_eq!(
            (info.direction.as_str(), info.class.as_str(), info.authority),
            ("inbound", "full", Some(2))
        );
        assert_eq!(info.proven_height, Some(5));
    }

    #[test]
    fn a_block_is_told_by_its_place_and_name() {
        let info = block_info(BlockRef { slot: Slot(9), height: Height(7), id: BlockId([1; 32]) });
        assert_eq!((info.height, info.slot), (7, 9));
        assert!(info.id.starts_with("0x0101"));
    }
}
