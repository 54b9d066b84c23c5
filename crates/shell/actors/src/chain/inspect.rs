//! Whether gossiped consensus messages are what they claim to be.
//!
//! - **Decides**: what is provable, from the cheap to the dear: places and authors, then signatures, then the body.
//! - **In**: the message, the rules, the slot, what the tree knows of the blocks around it. **Out**: a [`Candidate`] for execution, or a
//!   [`Dismissal`].
//! - **On failure**: an offence only for what an honest node would never have forwarded (I13); everything else is ignored.

use alys_chain::verify::check_header;
use alys_chain::{Approval, BlockId, Certificate, Header, Invalid, Required, Rules, Slot};
use alys_ledger::ChainId;
use alys_peers::Offence;
use alys_wire::Proposal;

use super::local::{BadBody, ChainError, LocalChain, Network, PreparedBlock};

/// How many slots late a proposal may come. It gets no approvals then, but the certificate that may follow finds its block.
pub const MAX_LATE: u64 = 2;

/// Why a gossiped message comes to nothing here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dismissal {
    /// Nobody's fault.
    Ignored(String),
    /// Provably the fault of whoever forwarded it.
    Guilty(Offence, String),
}

impl Dismissal {
    /// Nobody's fault.
    pub fn ignored(why: impl ToString) -> Self {
        Self::Ignored(why.to_string())
    }

    /// The forwarder's fault.
    pub fn guilty(offence: Offence, why: impl ToString) -> Self {
        Self::Guilty(offence, why.to_string())
    }
}

/// A proposal whose signatures and body are right: ready to be executed.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The block.
    pub block: PreparedBlock,
    /// Its author's approval, verified.
    pub approval: Approval,
    /// The certificate of its parent, verified as far as the parent is known; `None` on genesis.
    pub parent: Option<Certificate>,
}

/// What the tree knows of a block, as far as its certificate is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// At or below the final block: nothing to add.
    Settled,
    /// Certified.
    Certified,
    /// Linked, but not certified: these sets must vouch.
    Linked(Required),
    /// Not here. The sets that must vouch, if all chains above our final block agree on them.
    Unknown(Option<Required>),
}

impl Standing {
    /// The standing of a block in this slot.
    pub fn of(chain: &LocalChain, block: BlockId, slot: Slot) -> Self {
        let (tree, anchor) = (chain.tree(), chain.tree().anchor());
        if tree.is_certified(block) {
            return Self::Certified;
        }
        if slot <= anchor.tip.slot {
            return Self::Settled;
        }
        if let Some(required) = tree.required(block) {
            return Self::Linked(required);
        }
        // A later final block is of a later set: if the earliest possible one asks for no second set, none does.
        let required = anchor.lineage.required(chain.network().rules.schedule(), slot);
        Self::Unknown(required.old.is_none().then_some(required))
    }
}

/// The checks on a proposal that cost nothing: its time, its author, its parent's certificate and its approval speak of the right blocks.
///
/// # Errors
/// [`Dismissal`].
pub fn screen(rules: &Rules, proposal: &Proposal, now: Slot) -> Result<(), Dismissal> {
    let header = &proposal.header;
    if header.slot.ahead_of(now) > 1 || now.ahead_of(header.slot) > MAX_LATE {
        return Err(Dismissal::ignored("not a proposal of this time"));
    }
    check_header(rules, header).map_err(|e| Dismissal::guilty(Offence::BadHeader, e))?;
    check_parent(rules, header, proposal.parent_certificate.as_ref())
        .map_err(|why| Dismissal::guilty(Offence::BadHeader, why))?;
    check_author(rules, header, &proposal.approval)
        .map_err(|why| Dismissal::guilty(Offence::BadCertificate, why))
}

fn check_parent(rules: &Rules, header: &Header, parent: Option<&Certificate>) -> Result<(), &'static str> {
    let fits = match parent {
        None => header.parent == rules.genesis_id() && header.height.0 == 1,
        Some(parent) => {
            parent.block == header.parent
                && parent.height.next() == Some(header.height)
                && parent.slot < header.slot
        }
    };
    if fits { Ok(()) } else { Err("the parent's certificate is not the parent's") }
}

fn check_author(rules: &Rules, header: &Header, approval: &Approval) -> Result<(), &'static str> {
    let own = (header.slot, header.height, header.id()) == (approval.slot, approval.height, approval.block);
    let seat =
        approval.set == rules.schedule().set_at(header.slot).id() && approval.authority == header.proposer;
    if own && seat { Ok(()) } else { Err("the approval is not the author's") }
}

/// The signatures of a proposal, and that it is news. `parent` is the standing of its parent.
///
/// # Errors
/// [`Dismissal`].
pub fn check_signatures(network: &Network, proposal: &Proposal, parent: Standing) -> Result<(), Dismissal> {
    let verified = network.vouched.approval(&network.rules, &proposal.approval);
    verified.map_err(|e| Dismissal::guilty(Offence::BadCertificate, e))?;
    match &proposal.parent_certificate {
        Some(certificate) => check_certificate(network, certificate, parent),
        None => Ok(()),
    }
}

/// A certificate of a block with this standing.
///
/// # Errors
/// [`Dismissal`]. A certified block needs no further proof.
pub fn check_certificate(
    network: &Network,
    certificate: &Certificate,
    standing: Standing,
) -> Result<(), Dismissal> {
    let required = match standing {
        Standing::Certified => return Ok(()),
        Standing::Settled => return Err(Dismissal::ignored("not above the final block")),
        Standing::Linked(required) | Standing::Unknown(Some(required)) => Ok(required),
        Standing::Unknown(None) => claimed(&network.rules, certificate),
    };
    required
        .and_then(|required| network.vouched.certificate(&network.rules, certificate, required))
        .map_err(|error| Dismissal::guilty(Offence::BadCertificate, error))
}

/// The sets that a certificate itself claims to be of: all that can be checked while its lineage is unknown.
fn claimed(rules: &Rules, certificate: &Certificate) -> Result<Required, Invalid> {
    let schedule = rules.schedule();
    let own = schedule.set_at(certificate.slot).id();
    let old = certificate.joint.map(|joint| joint.set);
    if old.is_some_and(|old| old >= own) {
        return Err(Invalid::Joint { expected: None, got: old });
    }
    Ok(Required { own, old })
}

/// The body of a proposal.
///
/// # Errors
/// [`Dismissal`].
pub fn check_body(proposal: Proposal, chain: ChainId) -> Result<Candidate, Dismissal> {
    let Proposal { header, parent_certificate: parent, approval, body } = proposal;
    let body = body.ok_or_else(|| Dismissal::ignored("the body did not come"))?;
    let block = PreparedBlock::check(header, approval.block, body, chain).map_err(|error| match error {
        BadBody::Body(_) => Dismissal::guilty(Offence::BadBody, error),
        // The header commits to it: its author made an invalid block, and whoever forwarded it has executed it.
        BadBody::Transaction { .. } => Dismissal::guilty(Offence::BadHeader, error),
    })?;
    Ok(Candidate { block, approval, parent })
}

/// What an error of the local chain means for whoever forwarded the block.
pub fn dismissal_of(error: &ChainError) -> Dismissal {
    use alys_chain::consensus::TreeRefusal;
    match error {
        ChainError::Refused(TreeRefusal::BadLink) => Dismissal::guilty(Offence::BadHeader, error),
        _ if error.is_provable() => Dismissal::guilty(Offence::BadHeader, error),
        _ => Dismissal::ignored(error),
    }
}
