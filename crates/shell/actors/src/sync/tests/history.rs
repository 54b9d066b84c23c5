//! A chain to sync, made once for all tests, and peers that serve it or lie.

use std::sync::{Arc, LazyLock, Mutex};

use alys_chain::genesis::{Account as Holder, Genesis};
use alys_chain::schedule::{Authority, Schedule};
use alys_chain::verify::Parent;
use alys_chain::{
    Best, BlockId, Body, Certificate, CertifiedBlock, CertifiedHeader, Header, Height, Report, Seat,
    SecretKey, SetQuorum, Signature, Slot, UnixMillis, block::Block,
};
use alys_ledger::{ChainId, Transfer, U256, Wallet, recover};
use alys_storage::MemoryDisk;
use alys_transport::{BlockSource, Unavailable};
use alys_wire::limits::NONCE_BYTES;
use alys_wire::{PeerId, Status};
use bytes::Bytes;
use zeroize::Zeroizing;

use crate::chain::local::{LocalChain, Network};

pub const CHAIN: ChainId = ChainId(7);
pub const GENESIS_TIME: UnixMillis = UnixMillis(1_700_000_000_000);
/// More than a request for headers brings, so that there are two ranges.
pub const BLOCKS: u64 = 700;

/// A network of three authorities, and a chain of it with a block in each slot.
pub struct History {
    pub network: Network,
    pub keys: Vec<SecretKey>,
    pub headers: Vec<CertifiedHeader>,
    pub bodies: Vec<Body>,
}

/// The one that all tests share.
pub static HISTORY: LazyLock<History> = LazyLock::new(|| History::new(BLOCKS));

impl History {
    fn new(blocks: u64) -> Self {
        let keys: Vec<_> = (1..=3).map(|seed| SecretKey::from_seed(&[seed; 32])).collect();
        let wallet = Wallet::new(Zeroizing::new([7; 32])).unwrap();
        let genesis = Genesis {
            chain_id: CHAIN.0,
            time: GENESIS_TIME,
            gas_limit: 30_000_000,
            schedule: Schedule::constant(2_000, keys.iter().map(Authority::of).collect()).unwrap(),
            allocations: [(Holder(wallet.address().0.0), 1_000_000_000_000_000_000_u128.into())].into(),
        };
        let network = Network::new(&genesis).unwrap();
        let store = Arc::new(MemoryDisk::new().open(network.rules.genesis_id()).unwrap());
        let mut chain = LocalChain::open(network.clone(), store).unwrap();
        let mut history = Self { network, keys, headers: Vec::new(), bodies: Vec::new() };
        let mut parent = Parent::genesis(&history.network.rules);
        for slot in 1..=blocks {
            let transactions: Vec<_> =
                (slot % 10 == 0).then(|| pay(&wallet, slot / 10 - 1)).into_iter().collect();
            let (block, _) = chain.build(Slot(slot), &transactions).unwrap();
            chain.propose(&block, Slot(slot), None).unwrap();
            let certificate = history.certify(&block.header);
            chain.certify(&certificate).unwrap();
            parent = parent.child(block.header);
            history.headers.push(CertifiedHeader { header: block.header, certificate });
            history.bodies.push(block.body);
        }
        assert_eq!(chain.head().height, Height(blocks));
        history
    }

    /// The certificate of two of the three.
    pub fn certify(&self, header: &Header) -> Certificate {
        let (block, rules) = (header.id(), &self.network.rules);
        let set = rules.schedule().set_at(header.slot).id();
        let message = rules.domain().approval_message(set, header.slot, header.height, block);
        let signatures: Vec<Signature> = self.keys[..2].iter().map(|key| key.sign(&message)).collect();
        let signature = Signature::aggregate(&signatures).unwrap().to_bytes();
        let quorum = SetQuorum { set, signers: 0b011, signature };
        Certificate { slot: header.slot, height: header.height, block, quorum, joint: None }
    }

    pub fn header(&self, height: u64) -> CertifiedHeader {
        self.headers[usize::try_from(height - 1).unwrap()]
    }

    pub fn block(&self, height: u64) -> CertifiedBlock {
        let CertifiedHeader { header, certificate } = self.header(height);
        let body = self.bodies[usize::try_from(height - 1).unwrap()].clone();
        CertifiedBlock { block: Block { header, body }, certificate }
    }
}

fn pay(wallet: &Wallet, nonce: u64) -> alys_ledger::Recovered {
    let transfer = Transfer {
        nonce,
        to: alys_ledger::Address::repeat_byte(0xb0),
        value: U256::from(5),
        max_fee: 20_000_000,
        max_priority_fee: 0,
        input: Default::default(),
    };
    recover(&wallet.sign(&transfer, CHAIN), CHAIN).unwrap()
}

/// How a peer differs from an honest one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lie {
    #[default]
    None,
    /// A head far above the chain, without a quorum behind it.
    Height,
    /// From this height on the certificates are signed by nobody.
    Certificates(u64),
    /// The bodies at and above this height are another block's.
    Bodies(u64),
    /// The reports are signed with a key of no seat.
    Reports,
}

/// A peer's chain: the first blocks of the history, told truly or not.
pub struct Served {
    pub height: Mutex<u64>,
    pub lie: Lie,
    /// Which authority signs its reports.
    pub authority: Option<u8>,
}

impl Served {
    pub fn honest(height: u64) -> Self {
        Self { height: Mutex::new(height), lie: Lie::None, authority: None }
    }

    pub fn lying(height: u64, lie: Lie) -> Self {
        Self { lie, ..Self::honest(height) }
    }

    fn height(&self) -> u64 {
        *self.height.lock().unwrap()
    }

    fn told(&self, height: u64) -> CertifiedHeader {
        let mut told = HISTORY.header(height);
        match self.lie {
            Lie::Certificates(from) if height >= from => {
                told.certificate.quorum.signature = HISTORY.header(1).certificate.quorum.signature;
            }
            _ => {}
        }
        told
    }
}

impl BlockSource for Served {
    fn status(&self) -> Result<Status, Unavailable> {
        let height = self.height();
        let head = match (self.lie, height) {
            (_, 0) => None,
            (Lie::Height, height) => {
                let mut claimed = HISTORY.header(height);
                claimed.header.height = Height(height + 1);
                claimed.header.slot = Slot(height + 1);
                claimed.header.proposer = HISTORY.network.rules.schedule().proposer(claimed.header.slot);
                let (id, slot) = (claimed.header.id(), claimed.header.slot);
                claimed.certificate =
                    Certificate { slot, height: Height(height + 1), block: id, ..claimed.certificate };
                Some(claimed)
            }
            // The head itself is a true one, or nobody would ask for more.
            (_, height) => Some(HISTORY.header(height)),
        };
        Ok(Status { head, finalized: Height(height.saturating_sub(1)), earliest: Height(1) })
    }

    fn headers(&self, from: Height, count: u32) -> Result<Vec<CertifiedHeader>, Unavailable> {
        let end = self.height().min(from.get().saturating_add(u64::from(count)).saturating_sub(1));
        Ok((from.get()..=end).map(|height| self.told(height)).collect())
    }

    fn bodies(&self, ids: &[BlockId], _: usize) -> Result<Vec<Option<Bytes>>, Unavailable> {
        let find = |id: &BlockId| {
            let at = HISTORY.headers.iter().position(|header| header.certificate.block == *id)?;
            let height = at as u64 + 1;
            let wrong = matches!(self.lie, Lie::Bodies(from) if height >= from);
            let at = if wrong { if HISTORY.bodies[at].0.is_empty() { 9 } else { 0 } } else { at };
            (height <= self.height()).then(|| HISTORY.bodies[at].0.clone())
        };
        Ok(ids.iter().map(find).collect())
    }

    fn claim(&self, _: PeerId, _: [u8; NONCE_BYTES]) -> Result<Option<Bytes>, Unavailable> {
        Ok(None)
    }

    fn report(&self, nonce: [u8; NONCE_BYTES]) -> Result<Option<Report>, Unavailable> {
        let Some(place) = self.authority else { return Ok(None) };
        let rules = &HISTORY.network.rules;
        let seat = Seat { set: alys_chain::SetId(0), authority: alys_chain::AuthorityIndex(place) };
        let best = match self.height() {
            0 => Best { slot: Slot::ZERO, block: rules.genesis_id() },
            height => Best { slot: Slot(height), block: HISTORY.header(height).certificate.block },
        };
        let key = match self.lie {
            Lie::Reports => SecretKey::from_seed(&[9; 32]),
            _ => HISTORY.keys[usize::from(place)].clone(),
        };
        Ok(Some(Report::sign(rules.domain(), &nonce, seat, best, &key)))
    }
}
