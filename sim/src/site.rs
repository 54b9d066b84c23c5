//! What a world is built on: identities, keys, wallets and the genesis, all from the seed.

use std::sync::Arc;
use std::time::Duration;

use alys_actor::Randomness;
use alys_actors::chain::local::Network;
use alys_chain::genesis::{Account, Amount, Genesis};
use alys_chain::{Authority, Period, Schedule, SecretKey, Slot, UnixMillis};
use alys_ledger::{Address as Owner, ChainId, Transfer, U256, Wallet, genesis::BASE_FEE};
use alys_wire::{Address, PeerId};
use bytes::Bytes;
use rand_core::Rng;
use zeroize::Zeroizing;

use crate::faults::Dice;
use crate::plan::{LEAD, Plan, SLOT};

/// When slot 0 begins by the wall clock. Any time will do.
const GENESIS_TIME: UnixMillis = UnixMillis(1_700_000_000_000);
/// The chain that transactions are signed for.
const CHAIN: ChainId = ChainId(212);
/// How many wallets there are: enough that some always have no transaction on its way.
const WALLETS: usize = 6;
/// How many others a node knows at its start. With fewer some worlds would fall into parts that never hear of each other.
const BOOTNODES: usize = 3;
/// What each owns at the beginning, in wei: a coin.
const FUNDS: u128 = 1_000_000_000_000_000_000;

/// The unchanging part of a world.
pub struct Site {
    /// From which everything random follows.
    pub seed: u64,
    /// The network, as all nodes know it.
    pub network: Network,
    /// The genesis that it was made from.
    pub genesis: Arc<Genesis>,
    /// The key of every node, whether it is an authority or not.
    pub keys: Vec<SecretKey>,
    /// The identity of every node.
    pub peers: Vec<PeerId>,
    /// Who sends transactions.
    pub wallets: Vec<Wallet>,
}

impl Site {
    /// The site of a plan.
    #[must_use]
    pub fn new(plan: &Plan) -> Self {
        let randomness = Randomness::seeded(plan.seed);
        let keys: Vec<_> =
            (0..plan.nodes).map(|node| SecretKey::from_seed(&bytes(&randomness, "key", node))).collect();
        let peers = (0..plan.nodes).map(|node| peer(&bytes(&randomness, "peer", node))).collect();
        let wallet = |n| {
            let secret = Zeroizing::new(bytes(&randomness, "wallet", n));
            Wallet::new(secret).expect("a random number is a key, but for one case in 2^127")
        };
        let wallets: Vec<_> = (0..WALLETS).map(wallet).collect();
        let genesis = genesis(plan, &keys, &wallets);
        let network = Network::new(&genesis).expect("a few coins fit into a balance");
        Self { seed: plan.seed, network, genesis: Arc::new(genesis), keys, peers, wallets }
    }

    /// What a right wall clock shows so long after the beginning of the world.
    #[must_use]
    pub fn wall_time(since: Duration) -> UnixMillis {
        let millis = |time: Duration| u64::try_from(time.as_millis()).expect("a world lives for minutes");
        UnixMillis(GENESIS_TIME.0 + millis(since) - millis(LEAD))
    }

    /// Where a node listens. Each in a subnet of its own, as real nodes mostly are.
    #[must_use]
    pub fn address(node: usize) -> Address {
        Address(format!("/ip4/10.{}.0.1/tcp/30300", node + 1))
    }

    /// Whether a node's key has a seat in any set.
    #[must_use]
    pub fn is_ever_authority(&self, node: usize) -> bool {
        self.network.rules.schedule().seats_of(&self.keys[node].public_key()).next().is_some()
    }

    /// Where a node begins: a few others, drawn from the seed.
    #[must_use]
    pub fn bootnodes(&self, node: usize) -> Vec<Address> {
        let mut dice = Dice(Randomness::seeded(self.seed).stream(&format!("bootnodes {node}")));
        let others = dice.order(self.peers.len()).into_iter().filter(|other| *other != node);
        others.take(BOOTNODES).map(Self::address).collect()
    }

    /// A signed transfer of one wallet to the next one.
    #[must_use]
    pub fn transfer(&self, wallet: usize, nonce: u64) -> Bytes {
        self.transfer_with(wallet, nonce, Bytes::new())
    }

    /// The same with calldata.
    #[must_use]
    pub fn transfer_with(&self, wallet: usize, nonce: u64, input: Bytes) -> Bytes {
        let to: Owner = self.wallets[(wallet + 1) % self.wallets.len()].address();
        let transfer = Transfer {
            nonce,
            to,
            value: U256::from(1_000 + nonce),
            max_fee: 4 * BASE_FEE,
            max_priority_fee: BASE_FEE,
            input,
        };
        self.wallets[wallet].sign(&transfer, CHAIN)
    }
}

fn bytes(randomness: &Randomness, what: &str, n: usize) -> [u8; 32] {
    let mut bytes = [0; 32];
    randomness.stream(&format!("{what} {n}")).fill_bytes(&mut bytes);
    bytes
}

/// The form of an Ed25519 peer id: an identity multihash of the key in its protobuf envelope.
fn peer(key: &[u8; 32]) -> PeerId {
    let bytes: Vec<u8> = [0x00, 0x24, 0x08, 0x01, 0x12, 0x20].into_iter().chain(*key).collect();
    PeerId::from_bytes(&bytes).expect("38 bytes")
}

fn genesis(plan: &Plan, keys: &[SecretKey], wallets: &[Wallet]) -> Genesis {
    let slot_ms = u64::try_from(SLOT.as_millis()).expect("two seconds");
    let period = |from: u64, nodes: &[usize]| Period {
        from_slot: Slot(from),
        slot_ms,
        authorities: nodes.iter().map(|&node| Authority::of(&keys[node])).collect(),
    };
    let mut periods = vec![period(0, &plan.authorities_in(0))];
    periods.extend(plan.change.iter().map(|change| period(change.slot, &change.authorities)));
    let funded = wallets.iter().map(|wallet| (Account(wallet.address().into_array()), Amount::from(FUNDS)));
    Genesis {
        chain_id: CHAIN.0,
        time: GENESIS_TIME,
        gas_limit: 30_000_000,
        schedule: Schedule::new(periods).expect("the keys are distinct and the slots ascend"),
        allocations: funded.collect(),
    }
}
