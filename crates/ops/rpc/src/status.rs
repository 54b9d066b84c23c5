//! The one model of a node's status: RPC, command line and devnet show it, and none of them looks further.

use jsonrpsee::core::JsonValue;
use serde::{Deserialize, Serialize};

/// A block, by its place and name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockInfo {
    /// Blocks since genesis.
    pub height: u64,
    /// The slot in which it was made.
    pub slot: u64,
    /// Its id, `0x` and 64 hex digits.
    pub id: String,
}

/// A node at one moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct NodeStatus {
    /// The version of the software.
    pub version: String,
    /// The network: the id of its genesis block.
    pub genesis: String,
    /// This node's peer id.
    pub peer: String,
    /// Addresses at which it can be dialled, each with `/p2p/<id>`.
    pub addresses: Vec<String>,
    /// The slot by this node's clock.
    pub slot: u64,
    /// The certified block with the highest slot.
    pub head: BlockInfo,
    /// The last final block.
    pub finalized: BlockInfo,
    /// What sync does.
    pub sync: SyncInfo,
    /// Connected peers.
    pub peers: u32,
    /// Those of them that proved to be authorities.
    pub authorities: u32,
    /// This node's place in the authority set of the slot; none for a full node.
    pub authority: Option<u8>,
    /// Whether it may produce now; false for a full node.
    pub may_produce: bool,
    /// Blocks that it has produced since its start and that were certified.
    pub produced: u64,
    /// Transactions that wait for a block.
    pub pool: u64,
    /// Resident memory of the process in bytes; 0 where the system does not tell.
    pub memory_bytes: u64,
}

/// What sync does, and what it waits for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SyncInfo {
    /// The mode's name.
    pub mode: String,
    /// The mode's code, 0 to 7, the same in metrics and documents.
    pub code: u8,
    /// The height of the durable head.
    pub current: u64,
    /// The height of the best proven header; none before there is a proof.
    pub target: Option<u64>,
    /// Imported blocks a second, over the last seconds.
    pub blocks_per_second: f64,
    /// Seconds until the target is reached at this rate; none without a rate.
    pub eta_seconds: Option<u64>,
    /// What it waits for, in words.
    pub waiting_for: String,
}

/// A connected peer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PeerInfo {
    /// Its peer id.
    pub id: String,
    /// The address at the other end.
    pub address: String,
    /// `inbound` or `outbound`.
    pub direction: String,
    /// `federation`, `trusted` or `full`.
    pub class: String,
    /// Its place in the authority set, if it proved one.
    pub authority: Option<u8>,
    /// Round trip in milliseconds, once measured.
    pub rtt_ms: Option<f64>,
    /// Bytes a second that it served, once measured.
    pub bytes_per_second: Option<u64>,
    /// Provable misbehaviour, decaying; a ban follows at 100.
    pub misbehaviour: f64,
    /// The height that it proved with a certified header.
    pub proven_height: Option<u64>,
}

/// May this node produce, and why (not).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProduceInfo {
    /// Whether every condition holds.
    pub open: bool,
    /// All of them.
    pub conditions: Vec<ConditionInfo>,
}

/// One condition of the production gate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConditionInfo {
    /// Its name.
    pub name: String,
    /// Whether it holds.
    pub holds: bool,
    /// The value now.
    pub value: String,
    /// What it has to be.
    pub required: String,
}

/// Sync in depth: what it does, whether this node may produce, and which side of a split it is on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SyncDetail {
    /// What it does.
    pub sync: SyncInfo,
    /// The production gate.
    pub gate: ProduceInfo,
    /// The network as it looks from here.
    pub partition: PartitionInfo,
}

/// The network as it looks from one node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionInfo {
    /// `whole`, `majority`, `minority`, or `unknown` while the authority set is not known.
    pub side: String,
    /// How many authorities there are.
    pub authorities: u8,
    /// How many of them are a quorum.
    pub quorum: u8,
    /// The places of the other authorities that were heard lately.
    pub heard: Vec<u8>,
    /// How the heads that peers have proven split, the highest slot first.
    pub heads: Vec<HeadInfo>,
}

/// A head that peers have proven.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeadInfo {
    /// The block.
    #[serde(flatten)]
    pub block: BlockInfo,
    /// How many connected peers have shown it as their best.
    pub peers: u32,
    /// The places of the authorities among them.
    pub authorities: Vec<u8>,
}

/// Why the rate of sync is what it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ExplainInfo {
    /// For people: one screen.
    pub lines: Vec<String>,
    /// For programs: everything that sync knows of it. The names of the fields are documented with `alys_sync::Explain`.
    pub detail: JsonValue,
}

/// A checkpoint file, and what it is worth.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointInfo {
    /// The height in its name.
    pub height: u64,
    /// Its size on the disk in bytes.
    pub bytes: u64,
    /// The block that it stands for; none where the file cannot be used.
    pub block: Option<BlockInfo>,
    /// The size of the peer states in it in bytes.
    pub peers_bytes: u64,
    /// Why it would be passed over; none where it can be used.
    pub refused: Option<String>,
}

/// A block of the canonical chain.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeaderInfo {
    /// Its place and name.
    #[serde(flatten)]
    pub block: BlockInfo,
    /// Its author's place in the authority set of its slot.
    pub proposer: u8,
    /// Whether it is final.
    pub is_final: bool,
}
