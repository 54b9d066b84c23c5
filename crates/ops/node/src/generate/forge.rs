//! Makes blocks one on the other, and their certificates: all authorities' keys in one hand.
//!
//! A block needs only the header of its parent, not the certificate. So the headers are made in sequence, which is cheap, and the approvals
//! of many blocks are signed on all cores at once.

use alys_actors::chain::local::{Network, PreparedBlock, VerifiedBlock};
use alys_chain::{
    AuthorityIndex, AuthoritySet, BlockId, Body, Certificate, Header, Parent, PublicKey, Required, Rules,
    SecretKey, SetId, SetQuorum, Signature, Slot,
};
use alys_ledger::{ChainId, EmptyState, Overlay, Recovered, Room, Selection, StateError, fee_address};

use crate::exit::{Exit, Failure};

/// The head of a chain that is being made, in memory.
pub struct Forge {
    network: Network,
    state: Overlay<EmptyState>,
    parent: Parent,
}

/// A block that nobody has approved yet.
pub struct Unsigned {
    block: PreparedBlock,
    required: Required,
}

impl Forge {
    /// A chain that consists of genesis.
    ///
    /// # Errors
    /// When genesis makes no state.
    pub fn new(network: Network) -> Result<Self, Failure> {
        let mut state = Overlay::new(EmptyState).map_err(ours)?;
        state.apply(&network.genesis).map_err(ours)?;
        let parent = Parent::genesis(&network.rules);
        Ok(Self { network, state, parent })
    }

    /// The chain that its transactions are for.
    pub fn chain_id(&self) -> ChainId {
        self.network.ledger.chain_id
    }

    /// Makes the block of `slot` with these transactions.
    ///
    /// # Errors
    /// When one of them is invalid or does not fit: a history holds just what was asked for.
    pub fn next(&mut self, slot: Slot, transactions: Vec<Recovered>) -> Result<Unsigned, Failure> {
        let Network { rules, ledger, executor, .. } = &self.network;
        let set = rules.schedule().set_at(slot);
        let key = set.key(set.proposer(slot)).expect("the proposer is a member of its set");
        let height = self.parent.header.height.saturating_add(1);
        let facts = ledger.block(height, fee_address(key.as_bytes()));
        let Selection { skipped, outcome, .. } =
            executor.select(&self.state, &facts, Room::BODY, &transactions).map_err(ours)?;
        if let Some((index, reason)) = skipped.first() {
            let message = format!(
                "transaction {index} of block {height} finds no place in it ({reason:?}): ask for fewer or smaller ones"
            );
            return Err(Failure::new(Exit::Usage, message));
        }
        let raw: Vec<_> = transactions.iter().map(Recovered::raw).collect();
        let body = Body::encode(&raw).expect("the selection keeps the limits of a body");
        let header = Header {
            height,
            slot,
            parent: self.parent.header.id(),
            body_root: body.root().expect("it was just encoded"),
            state_root: outcome.state_root(),
            proposer: set.proposer(slot),
        };
        let required = self.parent.required(rules, &header);
        self.state.apply(&outcome.diff).map_err(ours)?;
        self.parent = self.parent.child(header);
        Ok(Unsigned { block: PreparedBlock { id: header.id(), header, body, transactions }, required })
    }
}

fn ours(error: StateError) -> Failure {
    Failure::new(Exit::System, format!("the state of the history cannot be computed: {error}"))
}

impl Unsigned {
    /// The size of the body in bytes.
    pub fn bytes(&self) -> usize {
        self.block.body.0.len()
    }

    /// The block with a certificate.
    pub fn certify(&self, certify: &dyn Fn(&Header, BlockId, Required) -> Certificate) -> VerifiedBlock {
        let certificate = certify(&self.block.header, self.block.id, self.required);
        VerifiedBlock { block: self.block.clone(), certificate }
    }
}

/// The keys of a federation, with their public halves at hand: those take longer to compute than a signature.
pub struct Signers(Vec<(PublicKey, SecretKey)>);

impl Signers {
    /// Takes the keys, if they can approve everything on this network.
    ///
    /// # Errors
    /// [`Exit::KeyFile`] with the set that lacks keys.
    pub fn new(rules: &Rules, keys: &[SecretKey]) -> Result<Self, Failure> {
        let signers = Self(keys.iter().map(|key| (key.public_key(), key.clone())).collect());
        for set in rules.schedule().sets() {
            let held = signers.members(set).count();
            if !set.quorum().reached_by(held) {
                let message = format!(
                    "authority set {} needs the approval of {} of its {} members, and there are keys of {held}: \
                     give more with --authority-key",
                    set.id().0,
                    set.quorum().get(),
                    set.len()
                );
                return Err(Failure::new(Exit::KeyFile, message));
            }
        }
        Ok(signers)
    }

    /// The certificate of a block, with the approvals of all these keys.
    pub fn certify(&self, rules: &Rules, header: &Header, block: BlockId, required: Required) -> Certificate {
        let quorum = |id: SetId| {
            let set = rules.schedule().set(id).expect("the required sets are the schedule's");
            self.approve(set, &rules.domain().approval_message(id, header.slot, header.height, block))
        };
        let Header { slot, height, .. } = *header;
        let Required { own, old } = required;
        Certificate { slot, height, block, quorum: quorum(own), joint: old.map(quorum) }
    }

    fn members<'a>(&'a self, set: &'a AuthoritySet) -> impl Iterator<Item = (AuthorityIndex, &'a SecretKey)> {
        set.keys().iter().filter_map(|key| {
            let (_, secret) = self.0.iter().find(|(public, _)| public == key)?;
            Some((set.index_of(key)?, secret))
        })
    }

    fn approve(&self, set: &AuthoritySet, message: &[u8]) -> SetQuorum {
        let (mut signers, mut signatures) = (0u16, Vec::new());
        for (authority, key) in self.members(set) {
            signers |= 1 << authority.0;
            signatures.push(key.sign(message));
        }
        let signature =
            Signature::aggregate(&signatures).expect("a quorum has at least one signer").to_bytes();
        SetQuorum { set: set.id(), signers, signature }
    }
}
