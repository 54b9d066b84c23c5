//! Well-formed values of every kind, the awkward ones included.

use alys_chain::{
    Approval, AuthorityIndex, Best, BlockId, Body, Certificate, CertifiedHeader, FinalityProof, Hash, Header,
    Height, Report, Seat, SetId, SetQuorum, Slot,
};
use alys_wire::{
    GossipMessage, Proposal, Refusal, Request, RequestFrame, RequestId, Response, ResponseFrame, RetryAfter,
    Status,
};
use bytes::{Bytes, BytesMut};

pub fn header() -> Header {
    Header {
        height: Height(7),
        slot: Slot(9),
        parent: BlockId([1; 32]),
        body_root: Hash([2; 32]),
        state_root: Hash([3; 32]),
        proposer: AuthorityIndex(4),
    }
}

pub fn approval() -> Approval {
    Approval {
        set: SetId(1),
        slot: Slot(9),
        height: Height(7),
        block: header().id(),
        authority: AuthorityIndex(4),
        signature: [0x85; 48],
    }
}

pub fn certificate() -> Certificate {
    let quorum = SetQuorum { set: SetId(1), signers: 0b1111, signature: [0x95; 48] };
    Certificate { slot: Slot(9), height: Height(7), block: header().id(), quorum, joint: None }
}

/// One with the quorums of two sets.
pub fn joint() -> Certificate {
    let joint = SetQuorum { set: SetId(0), signers: 0b111, signature: [0xa5; 48] };
    Certificate { joint: Some(joint), ..certificate() }
}

pub fn certified() -> CertifiedHeader {
    CertifiedHeader { header: header(), certificate: certificate() }
}

pub fn report() -> Report {
    let seat = Seat { set: SetId(1), authority: AuthorityIndex(4) };
    Report { seat, best: Best { slot: Slot(9), block: header().id() }, signature: [0xb5; 48] }
}

/// As long as the shortest; it proves nothing.
pub fn proof() -> FinalityProof {
    let bytes = [&[2][..], &certified().encode().repeat(4)].concat();
    FinalityProof::decode(&bytes).expect("the sizes are right")
}

pub fn body() -> Body {
    Body::encode(&[&[1; 30][..], &[2; 1], &[3; 100]]).expect("three small transactions")
}

pub fn proposal(parent: Option<Certificate>, body: Option<Body>) -> GossipMessage {
    GossipMessage::Proposal(Box::new(Proposal {
        header: header(),
        parent_certificate: parent,
        approval: approval(),
        body,
    }))
}

pub fn requests() -> Vec<RequestFrame> {
    let ask = |id, request| RequestFrame::Ask { id: RequestId(id), request };
    vec![
        ask(1, Request::Status),
        ask(2, Request::Headers { from: Height(1), count: 512 }),
        ask(u64::MAX, Request::Headers { from: Height(u64::MAX), count: 1 }),
        ask(3, Request::Bodies { ids: vec![BlockId([1; 32]), BlockId([2; 32])] }),
        ask(4, Request::Claim { nonce: [9; 32] }),
        RequestFrame::Cancel { id: RequestId(3) },
        ask(5, Request::Report { nonce: [8; 32] }),
        ask(6, Request::Snapshots),
        ask(7, Request::StateSums { block: BlockId([1; 32]) }),
        ask(8, Request::Accounts { block: BlockId([1; 32]), bucket: 255 }),
    ]
}

pub fn statuses() -> Vec<Status> {
    let head = CertifiedHeader { certificate: joint(), ..certified() };
    [None, Some(certified()), Some(head)]
        .into_iter()
        .map(|head| Status { head, finalized: Height(5), earliest: Height::ZERO })
        .collect()
}

pub fn responses() -> Vec<ResponseFrame> {
    let block = header().id();
    let mut pieces: Vec<_> =
        statuses().into_iter().map(|status| Response::Status(Box::new(status))).collect();
    pieces.extend(Refusal::ALL.map(|reason| Response::Refused { reason, retry_after: RetryAfter(250) }));
    pieces.extend([
        Response::Header(Box::new(certified())),
        Response::Body { block, body: body() },
        Response::Body { block, body: Body::default() },
        Response::Missing { block },
        Response::Claim(Bytes::from_static(&[5; 61])),
        Response::End { served: 3 },
        Response::Report(report()),
        Response::Snapshot(Box::new(proof())),
        Response::Accounts(Bytes::from_static(&[6; 120])),
    ]);
    (1..).zip(pieces).map(|(id, response)| ResponseFrame { id: RequestId(id), response }).collect()
}

pub fn encode_request(request: &RequestFrame) -> Vec<u8> {
    let mut out = BytesMut::new();
    request.encode(&mut out);
    out.to_vec()
}

pub fn encode_response(response: &ResponseFrame) -> Vec<u8> {
    let mut out = BytesMut::new();
    let tail = response.encode(&mut out);
    [&out[..], &tail[..]].concat()
}

pub fn encode_status(status: &Status) -> Vec<u8> {
    let mut out = BytesMut::new();
    status.encode(&mut out);
    out.to_vec()
}
