//! What is gossiped, and under which topic.
//!
//! A message is a version byte and the SSZ encoding of its content. It is named by the SHA-256 of those bytes, whatever the topic and
//! whoever forwards it. Nothing here checks signatures or links: a decoded message is well-formed, no more.

use alys_chain::{Approval, BlockId, Body, Certificate, Header};
use bytes::{BufMut, Bytes, BytesMut};

use crate::limits::{
    GOSSIP_VERSION, INLINE_BODY_BYTES, MAX_BODY_BYTES, MAX_GOSSIP_BYTES, MAX_TRANSACTION_BYTES,
    PROPOSAL_FIXED_BYTES,
};
use crate::malformed::Malformed;
use crate::protocol::hex;
use crate::ssz::{self, at_most};

/// The gossip topics. The full name carries the genesis: `/alys/<genesis id, hex>/<name>/1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    /// Proposals: a block (or, above the inline limit, its header) with its parent's certificate and its author's approval.
    Blocks,
    /// Single approvals.
    Approvals,
    /// Certificates, forwarded at once, one a block id.
    Certificates,
    /// Signed transactions.
    Transactions,
}

impl Topic {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Blocks, Self::Approvals, Self::Certificates, Self::Transactions];

    /// The word for it in names, metrics and logs.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Blocks => "blocks",
            Self::Approvals => "approvals",
            Self::Certificates => "certificates",
            Self::Transactions => "transactions",
        }
    }

    /// The full name in the network of this genesis.
    #[must_use]
    pub fn name(self, genesis: BlockId) -> String {
        format!("/alys/{}/{}/{GOSSIP_VERSION}", hex(genesis), self.label())
    }

    /// The topic of this name in the network of this genesis; `None` for a foreign one.
    #[must_use]
    pub fn from_name(name: &str, genesis: BlockId) -> Option<Self> {
        Self::ALL.into_iter().find(|topic| topic.name(genesis) == name)
    }

    /// The longest message of this topic in bytes, the version byte included.
    #[must_use]
    pub const fn max_bytes(self) -> usize {
        match self {
            Self::Blocks => MAX_GOSSIP_BYTES,
            Self::Approvals => 1 + Approval::SIZE,
            Self::Certificates => 1 + Certificate::SIZE,
            Self::Transactions => 1 + MAX_TRANSACTION_BYTES,
        }
    }
}

/// A block that asks for approvals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// The block's header.
    pub header: Header,
    /// The certificate of its parent; `None` only on top of genesis, which needs none.
    pub parent_certificate: Option<Certificate>,
    /// The author's own approval.
    pub approval: Approval,
    /// The body, if it is small enough to be gossiped; else it is asked for by block id.
    pub body: Option<Body>,
}

impl Proposal {
    /// A proposal as its author gossips it: with the body up to the inline limit, without it above.
    #[must_use]
    pub fn new(
        header: Header,
        parent_certificate: Option<Certificate>,
        approval: Approval,
        body: Body,
    ) -> Self {
        let body = (body.0.len() <= INLINE_BODY_BYTES).then_some(body);
        Self { header, parent_certificate, approval, body }
    }

    fn decode(content: &Bytes) -> Result<Self, Malformed> {
        let [certificate, body] = ssz::parts("proposal", content, PROPOSAL_FIXED_BYTES)?;
        let (header, approval) = content.split_at(Header::SIZE);
        let certificate = ssz::optional("parent certificate", &certificate)?;
        let body = ssz::optional("body", &body)?;
        at_most("body", MAX_BODY_BYTES, body.as_ref().map_or(0, Bytes::len))?;
        Ok(Self {
            header: Header::decode(header)?,
            parent_certificate: certificate.map(|bytes| Certificate::decode(&bytes)).transpose()?,
            approval: Approval::decode(&approval[..Approval::SIZE])?,
            body: body.map(Body),
        })
    }

    fn encode(&self, out: &mut BytesMut) {
        let certificate = self.parent_certificate.as_ref().map(Certificate::encode);
        let first = PROPOSAL_FIXED_BYTES;
        out.put_slice(&self.header.encode());
        out.put_slice(&self.approval.encode());
        put_offset(out, first);
        put_offset(out, first + 1 + certificate.map_or(0, |bytes| bytes.len()));
        ssz::put_optional(out, certificate.as_ref().map(|bytes| &bytes[..]));
        ssz::put_optional(out, self.body.as_ref().map(|body| &body.0[..]));
    }
}

fn put_offset(out: &mut BytesMut, offset: usize) {
    out.put_u32_le(u32::try_from(offset).expect("the fixed part and a certificate are a few hundred bytes"));
}

/// One gossip message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GossipMessage {
    /// On [`Topic::Blocks`].
    Proposal(Box<Proposal>),
    /// On [`Topic::Approvals`].
    Approval(Approval),
    /// On [`Topic::Certificates`].
    Certificate(Certificate),
    /// On [`Topic::Transactions`]: one transaction, encoded.
    Transaction(Bytes),
}

impl GossipMessage {
    /// Where it is published.
    #[must_use]
    pub const fn topic(&self) -> Topic {
        match self {
            Self::Proposal(_) => Topic::Blocks,
            Self::Approval(_) => Topic::Approvals,
            Self::Certificate(_) => Topic::Certificates,
            Self::Transaction(_) => Topic::Transactions,
        }
    }

    /// The message in these bytes. Bodies and transactions share the memory of `data`.
    ///
    /// # Errors
    /// The sender's fault, see [`Malformed`].
    pub fn decode(topic: Topic, data: &Bytes) -> Result<Self, Malformed> {
        at_most(topic.label(), topic.max_bytes(), data.len())?;
        match data.first() {
            None => return Err(Malformed::Empty { what: topic.label() }),
            Some(&GOSSIP_VERSION) => {}
            Some(&got) => return Err(Malformed::Version { expected: GOSSIP_VERSION, got }),
        }
        let content = data.slice(1..);
        match topic {
            Topic::Blocks => Proposal::decode(&content).map(|proposal| Self::Proposal(Box::new(proposal))),
            Topic::Approvals => Ok(Self::Approval(Approval::decode(&content)?)),
            Topic::Certificates => Ok(Self::Certificate(Certificate::decode(&content)?)),
            Topic::Transactions if content.is_empty() => Err(Malformed::Empty { what: "transaction" }),
            Topic::Transactions => Ok(Self::Transaction(content)),
        }
    }

    /// The bytes to publish.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(self.encoded_len());
        out.put_u8(GOSSIP_VERSION);
        match self {
            Self::Proposal(proposal) => proposal.encode(&mut out),
            Self::Approval(approval) => out.put_slice(&approval.encode()),
            Self::Certificate(certificate) => out.put_slice(&certificate.encode()),
            Self::Transaction(bytes) => out.put_slice(bytes),
        }
        out.freeze()
    }

    /// At least the bytes that the encoding needs, so that they are allocated once.
    fn encoded_len(&self) -> usize {
        match self {
            Self::Proposal(proposal) => {
                let body = proposal.body.as_ref().map_or(0, |body| body.0.len());
                MAX_GOSSIP_BYTES - MAX_BODY_BYTES + body
            }
            Self::Transaction(bytes) => 1 + bytes.len(),
            Self::Approval(_) | Self::Certificate(_) => self.topic().max_bytes(),
        }
    }
}

/// The name of a gossip message: SHA-256 over the bytes as published. Independent of topic and sender, so that a copy is a copy.
#[must_use]
pub fn message_id(data: &[u8]) -> [u8; 32] {
    alys_chain::sha256(&[data])
}
