//! A federation of whole nodes.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use alys_actor::{Clock, Pool, Randomness};
use alys_actors::chain::local::Network;
use alys_actors::chain::{ChainView, begin_record};
use alys_actors::peer::Book;
use alys_actors::{Base, Connect, Node, Parts, Settings, StartError, start};
use alys_chain::schedule::{Authority as Member, Schedule};
use alys_chain::{Account, Certificate, Genesis, Header, SecretKey, SetQuorum, Signature, UnixMillis};
use alys_ledger::{ChainId, Transfer, U256, Wallet};
use alys_storage::{MemoryDisk, Store};
use alys_transport::{BlockSource, Config, Transport, simulated};
use alys_wire::{Address, PeerId};
use bytes::Bytes;
use tokio::time::Instant;
use zeroize::Zeroizing;

pub const SECOND: Duration = Duration::from_secs(1);
const CHAIN: ChainId = ChainId(212_121);
const GENESIS_TIME: UnixMillis = UnixMillis(1_700_000_000_000);
const MUCH: u128 = 1_000_000_000_000_000_000_000;

pub struct World {
    pub net: simulated::Network,
    keys: Vec<SecretKey>,
    pub network: Network,
    wallet: Wallet,
    seed: u64,
    /// When slot 0 began.
    born: Instant,
    /// Final blocks between offered states.
    pub snapshots_every: NonZeroU64,
}

/// What outlives a node's process.
pub struct Place {
    pub number: u8,
    pub disk: MemoryDisk,
    pub book: Book,
    lives: u32,
}

impl World {
    pub fn new(authorities: u8, seed: u64) -> Self {
        let keys: Vec<_> = (1..=authorities).map(|seed| SecretKey::from_seed(&[seed; 32])).collect();
        let wallet = Wallet::new(Zeroizing::new([7; 32])).unwrap();
        let genesis = Genesis {
            chain_id: CHAIN.0,
            time: GENESIS_TIME,
            gas_limit: 30_000_000,
            schedule: Schedule::constant(2_000, keys.iter().map(Member::of).collect()).unwrap(),
            allocations: [(Account(wallet.address().0.0), MUCH.into())].into(),
        };
        println!("seed {seed}");
        Self {
            net: simulated::Network::new(seed),
            keys,
            network: Network::new(&genesis).unwrap(),
            wallet,
            seed,
            born: Instant::now(),
            snapshots_every: NonZeroU64::new(1_000).unwrap(),
        }
    }

    pub fn place(&self, number: u8) -> Place {
        Place { number, disk: MemoryDisk::new(), book: Book::memory(), lives: 0 }
    }

    /// The certificate of a block, with the approvals of all.
    pub fn certify(&self, header: &Header) -> Certificate {
        let (block, rules) = (header.id(), &self.network.rules);
        let set = rules.schedule().set_at(header.slot).id();
        let message = rules.domain().approval_message(set, header.slot, header.height, block);
        let signatures: Vec<Signature> = self.keys.iter().map(|key| key.sign(&message)).collect();
        let signature = Signature::aggregate(&signatures).unwrap().to_bytes();
        let signers = (1 << self.keys.len()) - 1;
        let quorum = SetQuorum { set, signers, signature };
        Certificate { slot: header.slot, height: header.height, block, quorum, joint: None }
    }

    /// The time by the clock of every node.
    pub fn now(&self) -> UnixMillis {
        UnixMillis(GENESIS_TIME.0 + u64::try_from(self.born.elapsed().as_millis()).unwrap())
    }

    pub fn peer(number: u8) -> PeerId {
        PeerId::from_bytes(&[number + 1; 38]).unwrap()
    }

    pub fn address(number: u8) -> Address {
        Address(format!("/ip4/10.{number}.0.1/tcp/30300"))
    }

    /// The parts of a node that knows where all authorities live.
    pub fn parts(&self, place: &mut Place) -> Parts {
        place.lives += 1;
        let local = Self::peer(place.number);
        let authorities = u8::try_from(self.keys.len()).unwrap();
        let mut settings = Settings::default();
        settings.chain.snapshot_interval = self.snapshots_every;
        settings.peers.bootnodes = (0..authorities)
            .filter(|n| *n != place.number)
            .map(|n| Self::address(n).with_peer(Self::peer(n)))
            .collect();
        let now = self.now();
        let key = self.keys.get(usize::from(place.number));
        let genesis = self.network.rules.genesis_id();
        let store: Arc<dyn Store> = Arc::new(place.disk.open(genesis).unwrap());
        let base = Base {
            settings,
            network: self.network.clone(),
            store,
            checkpoints: None,
            flight_recorder: None,
            book: place.book.clone(),
            local,
            clock: Clock::simulated(now).0,
            pool: Pool::inline(),
            randomness: Randomness::seeded(self.seed).child(&format!("{} {}", place.number, place.lives)),
        };
        if place.lives == 1 {
            begin_record(base.store.as_ref(), genesis).unwrap();
        }
        Parts { base, connect: self.connect(place.number, local, |source| source), authority: key.cloned() }
    }

    /// Joins the network; what is served passes through `serve`.
    pub fn connect(
        &self,
        number: u8,
        local: PeerId,
        serve: impl FnOnce(Arc<dyn BlockSource>) -> Arc<dyn BlockSource> + Send + 'static,
    ) -> Connect {
        let mut config = Config::new(self.network.rules.genesis_id());
        config.listen = vec![Self::address(number)];
        let net = self.net.clone();
        Box::new(move |source| {
            let (transport, events) = net.rejoin(local, &config, serve(source));
            Ok((Arc::new(transport) as Arc<dyn Transport>, events))
        })
    }

    pub fn start(&self, place: &mut Place) -> Node {
        self.try_start(place).unwrap()
    }

    pub fn try_start(&self, place: &mut Place) -> Result<Node, StartError> {
        start(self.parts(place))
    }

    /// So many authorities, running.
    pub async fn federation(&self, running: u8) -> (Vec<Place>, Vec<Node>) {
        let mut places: Vec<_> = (0..running).map(|n| self.place(n)).collect();
        let nodes: Vec<_> = places.iter_mut().map(|place| self.start(place)).collect();
        for node in &nodes {
            node.running().await;
        }
        (places, nodes)
    }

    /// A payment of the rich wallet, encoded, with so many bytes of calldata.
    pub fn payment(&self, nonce: u64, calldata: usize) -> Bytes {
        let transfer = Transfer {
            nonce,
            to: alys_ledger::Address::repeat_byte(0xb0),
            value: U256::from(5),
            max_fee: 20_000_000,
            max_priority_fee: 0,
            input: vec![0; calldata].into(),
        };
        self.wallet.sign(&transfer, CHAIN)
    }
}

/// The chain of a node at a glance.
pub fn view(node: &Node) -> ChainView {
    node.chain.watch().borrow().clone()
}

pub async fn pass(time: Duration) {
    tokio::time::sleep(time).await;
}

/// Waits, in virtual time, until all of these have this height final.
pub async fn finalize(nodes: &[Node], height: u64) {
    for _ in 0..600 {
        if nodes.iter().all(|node| view(node).finalized.height.get() >= height) {
            return;
        }
        pass(SECOND / 2).await;
    }
    let views: Vec<_> =
        nodes.iter().map(|node| (view(node).head.height, view(node).finalized.height)).collect();
    for node in nodes {
        println!("{:?}", node.sync.get_status().await);
        println!("{:?}", node.sync.can_produce(view(node).slot).await);
    }
    panic!("height {height} is not final everywhere: {views:?}");
}
