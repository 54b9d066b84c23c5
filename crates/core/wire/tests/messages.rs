//! Messages as they travel: what is sent arrives, and what is too large or wrong is named.

mod samples;

use core::time::Duration;

use alys_chain::{BlockId, Body, Certificate, Header, Height};
use alys_wire::limits::{
    ACCOUNT_BYTES, GOSSIP_VERSION, INLINE_BODY_BYTES, MAX_ACCOUNTS_PER_FRAME, MAX_BODIES_PER_REQUEST,
    MAX_BODY_BYTES, MAX_CLAIM_BYTES, MAX_GOSSIP_BYTES, MAX_HEADERS_PER_REQUEST, MAX_TRANSACTION_BYTES,
    STATE_SUMS_BYTES,
};
use alys_wire::{
    Frame, FrameDecoder, FrameKind, GossipMessage, Malformed, Proposal, Request, RequestFrame, RequestId,
    Response, ResponseFrame, RetryAfter, Status, Topic, message_id,
};
use bytes::{Bytes, BytesMut};

fn arrives(message: &GossipMessage) {
    let bytes = message.encode();
    assert!(bytes.len() <= message.topic().max_bytes());
    assert_eq!(GossipMessage::decode(message.topic(), &bytes).as_ref(), Ok(message));
}

fn refused(topic: Topic, bytes: impl Into<Bytes>) -> Malformed {
    GossipMessage::decode(topic, &bytes.into()).expect_err("no message")
}

#[test]
fn every_kind_of_gossip_arrives() {
    arrives(&GossipMessage::Approval(samples::approval()));
    arrives(&GossipMessage::Certificate(samples::certificate()));
    arrives(&GossipMessage::Certificate(samples::joint()));
    arrives(&GossipMessage::Transaction(Bytes::from_static(&[2, 3])));
    for parent in [None, Some(samples::certificate()), Some(samples::joint())] {
        for body in [None, Some(Body::default()), Some(samples::body())] {
            arrives(&samples::proposal(parent, body));
        }
    }
}

#[test]
fn the_largest_block_fits_a_gossip_message_exactly() {
    let largest = Body(vec![0xab; MAX_BODY_BYTES].into());
    let message = samples::proposal(Some(samples::joint()), Some(largest));
    assert_eq!(message.encode().len(), MAX_GOSSIP_BYTES);
    arrives(&message);
    let larger = [&message.encode()[..], &[0]].concat();
    let error = Malformed::TooLong { what: "blocks", limit: MAX_GOSSIP_BYTES, got: MAX_GOSSIP_BYTES + 1 };
    assert_eq!(refused(Topic::Blocks, larger), error);
}

#[test]
fn a_body_above_its_limit_is_refused_where_the_message_would_fit() {
    let body = Body(vec![0; MAX_BODY_BYTES + 1].into());
    let got = MAX_BODY_BYTES + 1;
    let error = refused(Topic::Blocks, samples::proposal(None, Some(body)).encode());
    assert_eq!(error, Malformed::TooLong { what: "body", limit: MAX_BODY_BYTES, got });
}

#[test]
fn the_largest_transaction_fits_and_an_empty_one_is_none() {
    arrives(&GossipMessage::Transaction(vec![2; MAX_TRANSACTION_BYTES].into()));
    let larger = GossipMessage::Transaction(vec![2; MAX_TRANSACTION_BYTES + 1].into()).encode();
    assert!(matches!(refused(Topic::Transactions, larger), Malformed::TooLong { .. }));
    assert_eq!(refused(Topic::Transactions, vec![GOSSIP_VERSION]), Malformed::Empty { what: "transaction" });
}

#[test]
fn a_large_body_is_left_out_of_the_gossip() {
    let propose = |size: usize| {
        let body = Body(vec![0; size].into());
        Proposal::new(samples::header(), None, samples::approval(), body).body
    };
    assert!(propose(INLINE_BODY_BYTES).is_some());
    assert!(propose(INLINE_BODY_BYTES + 1).is_none());
}

#[test]
fn a_gossiped_body_is_not_copied() {
    let bytes = samples::proposal(None, Some(samples::body())).encode();
    let Ok(GossipMessage::Proposal(proposal)) = GossipMessage::decode(Topic::Blocks, &bytes) else {
        unreachable!("it was just encoded")
    };
    let body = proposal.body.expect("it was sent").0;
    assert!(bytes.as_ptr_range().contains(&body.as_ptr()));
}

#[test]
fn foreign_versions_and_empty_messages_are_named() {
    for topic in Topic::ALL {
        assert_eq!(refused(topic, Bytes::new()), Malformed::Empty { what: topic.label() });
        assert_eq!(refused(topic, vec![9, 1, 2]), Malformed::Version { expected: GOSSIP_VERSION, got: 9 });
        if topic != Topic::Transactions {
            assert!(GossipMessage::decode(topic, &Bytes::from_static(&[GOSSIP_VERSION, 1, 2])).is_err());
        }
    }
}

#[test]
fn a_message_of_one_topic_is_none_of_another() {
    let approval = GossipMessage::Approval(samples::approval()).encode();
    for topic in [Topic::Blocks, Topic::Certificates] {
        assert!(GossipMessage::decode(topic, &approval).is_err());
    }
    assert!(matches!(
        refused(Topic::Approvals, GossipMessage::Certificate(samples::joint()).encode()),
        Malformed::TooLong { .. }
    ));
}

#[test]
fn a_topic_has_one_name_in_each_network() {
    let (ours, theirs) = (BlockId([1; 32]), BlockId([2; 32]));
    for topic in Topic::ALL {
        let name = topic.name(ours);
        assert_eq!(name, format!("/alys/{}/{}/1", "01".repeat(32), topic.label()));
        assert_eq!(Topic::from_name(&name, ours), Some(topic));
        assert_eq!(Topic::from_name(&name, theirs), None);
    }
}

#[test]
fn a_message_is_named_by_its_bytes() {
    // SHA-256 of "abc": FIPS 180-4, example B.1.
    assert_eq!(message_id(b"abc")[..4], [0xba, 0x78, 0x16, 0xbf]);
    assert_ne!(message_id(b"abc"), message_id(b"abd"));
}

#[test]
fn every_request_and_response_arrives_over_one_stream() {
    let requests = samples::requests();
    let bytes: Vec<u8> = requests.iter().flat_map(samples::encode_request).collect();
    let mut decoder = FrameDecoder::for_requests();
    let mut input = &bytes[..];
    for request in &requests {
        let frame = decoder.next_frame(&mut input).unwrap().unwrap();
        assert_eq!(RequestFrame::decode(&frame).as_ref(), Ok(request));
    }
    let responses = samples::responses();
    let bytes: Vec<u8> = responses.iter().flat_map(samples::encode_response).collect();
    let mut decoder = FrameDecoder::for_responses();
    let mut input = &bytes[..];
    for response in &responses {
        let frame = decoder.next_frame(&mut input).unwrap().unwrap();
        assert_eq!(ResponseFrame::decode(&frame).as_ref(), Ok(response));
    }
    assert!(input.is_empty() && decoder.buffered() == 0);
}

#[test]
fn the_largest_body_fits_a_frame_exactly_and_is_sent_as_it_is_stored() {
    let body = Body(vec![0xcd; MAX_BODY_BYTES].into());
    let response = Response::Body { block: BlockId([1; 32]), body: body.clone() };
    let frame = ResponseFrame { id: RequestId(1), response };
    let mut head = BytesMut::new();
    let tail = frame.encode(&mut head);
    assert_eq!(tail.as_ptr(), body.0.as_ptr(), "not copied");
    assert_eq!(head.len() + tail.len(), 5 + FrameKind::Body.max_payload());
    let bytes = [&head[..], &tail[..]].concat();
    let got = FrameDecoder::for_responses().next_frame(&mut &bytes[..]).unwrap().unwrap();
    assert_eq!(ResponseFrame::decode(&got), Ok(frame));
}

#[test]
fn requests_beyond_the_limits_are_refused() {
    let decode = |request: Request| {
        let bytes = samples::encode_request(&RequestFrame::Ask { id: RequestId(1), request });
        let frame = FrameDecoder::for_requests().next_frame(&mut &bytes[..])?;
        RequestFrame::decode(&frame.expect("whole"))
    };
    let headers = |count| decode(Request::Headers { from: Height(1), count });
    assert!(headers(MAX_HEADERS_PER_REQUEST).is_ok());
    let what = "headers asked for";
    assert_eq!(headers(513), Err(Malformed::TooMany { what, limit: 512, got: 513 }));
    assert_eq!(headers(0), Err(Malformed::Empty { what: "request for headers" }));

    let bodies = |n| decode(Request::Bodies { ids: vec![BlockId([1; 32]); n] });
    assert!(bodies(MAX_BODIES_PER_REQUEST).is_ok());
    assert!(matches!(bodies(MAX_BODIES_PER_REQUEST + 1), Err(Malformed::TooLong { what: "frame", .. })));
    assert_eq!(bodies(0), Err(Malformed::Empty { what: "request for bodies" }));
}

/// A frame as it may come from elsewhere than our decoder.
fn frame(kind: FrameKind, payload: &[u8]) -> Frame {
    Frame { kind, payload: Bytes::copy_from_slice(payload) }
}

#[test]
fn payloads_that_are_none_are_named() {
    let id = [0; 8];
    let with = |rest: &[u8]| [&id[..], rest].concat();
    let request = |kind, payload: &[u8]| RequestFrame::decode(&frame(kind, payload)).expect_err("malformed");
    assert!(matches!(request(FrameKind::AskStatus, &id[..7]), Malformed::TooShort { needed: 8, got: 7, .. }));
    assert!(matches!(request(FrameKind::AskStatus, &with(&[1])), Malformed::Trailing { extra: 1, .. }));
    assert!(matches!(request(FrameKind::Cancel, &with(&[1])), Malformed::Trailing { extra: 1, .. }));
    assert!(matches!(request(FrameKind::AskBodies, &with(&[1; 33])), Malformed::Trailing { extra: 1, .. }));
    let many = with(&vec![1; 32 * (MAX_BODIES_PER_REQUEST + 1)]);
    assert!(matches!(request(FrameKind::AskBodies, &many), Malformed::TooMany { .. }));
    assert!(matches!(request(FrameKind::End, &with(&[])), Malformed::Unknown { got: 0x86, .. }));

    let response =
        |kind, payload: &[u8]| ResponseFrame::decode(&frame(kind, payload)).expect_err("malformed");
    assert!(matches!(response(FrameKind::AskStatus, &with(&[])), Malformed::Unknown { got: 1, .. }));
    assert!(matches!(
        response(FrameKind::Refused, &with(&[9, 0, 0, 0, 0])),
        Malformed::Unknown { got: 9, .. }
    ));
    assert!(matches!(response(FrameKind::End, &with(&[0; 5])), Malformed::Trailing { extra: 1, .. }));
    assert!(matches!(response(FrameKind::Header, &with(&[0; 100])), Malformed::Chain(_)));
    assert!(matches!(response(FrameKind::Report, &with(&[0; 92])), Malformed::Chain(_)));
    assert!(matches!(request(FrameKind::AskReport, &with(&[0; 33])), Malformed::Trailing { extra: 1, .. }));
    assert!(matches!(response(FrameKind::Body, &with(&[0; 31])), Malformed::TooShort { needed: 32, .. }));
    assert!(matches!(response(FrameKind::Status, &with(&[0; 19])), Malformed::TooShort { needed: 20, .. }));
}

#[test]
fn a_status_says_what_it_stands_for() {
    for status in samples::statuses() {
        let bytes: Bytes = samples::encode_status(&status).into();
        assert_eq!(Status::decode(&bytes), Ok(status));
    }
}

#[test]
fn an_answer_ends_once_and_a_wait_is_bounded() {
    let last = samples::responses().iter().filter(|frame| frame.response.is_last()).count();
    assert_eq!(last, 4, "three refusals and an end");
    assert_eq!(RetryAfter(250).wait(), Duration::from_millis(250));
    assert_eq!(RetryAfter(u32::MAX).wait(), Duration::from_secs(60));
}

#[test]
fn a_claim_fits_its_frame() {
    let claim = Response::Claim(vec![1; MAX_CLAIM_BYTES].into());
    let bytes = samples::encode_response(&ResponseFrame { id: RequestId(1), response: claim });
    assert!(FrameDecoder::for_responses().next_frame(&mut &bytes[..]).unwrap().is_some());
}

#[test]
fn errors_name_the_limit_and_the_value() {
    for (error, text) in [
        (Malformed::TooLong { what: "body", limit: 1, got: 2 }, "body is 2 bytes long, the limit is 1"),
        (
            Malformed::TooShort { what: "status", needed: 3, got: 2 },
            "status ends after 2 bytes, 3 are needed",
        ),
        (Malformed::TooMany { what: "bodies", limit: 1, got: 2 }, "bodies are 2, the limit is 1"),
        (Malformed::Empty { what: "transaction" }, "transaction is empty"),
        (Malformed::Trailing { what: "status", extra: 4 }, "status has 4 bytes behind its end"),
        (Malformed::Version { expected: 1, got: 2 }, "version 2 of a message, this node speaks 1"),
        (Malformed::Unknown { what: "frame type", got: 9 }, "frame type 9 does not exist"),
        (
            Malformed::Offset { what: "x", least: 1, most: 2, got: 3 },
            "an offset in x is 3, it must be from 1 to 2",
        ),
    ] {
        assert_eq!(error.to_string(), text);
    }
    let chain = Certificate::decode(&[]).map_err(Malformed::from).expect_err("empty");
    assert_eq!(chain.to_string(), "certificate takes 157 bytes, got 0");
    assert_eq!(Header::SIZE, 113);
}

/// What arrives of a response.
fn response_arrives(response: Response) -> Result<Response, Malformed> {
    let bytes = samples::encode_response(&ResponseFrame { id: RequestId(1), response });
    let frame = FrameDecoder::for_responses().next_frame(&mut &bytes[..])?.expect("a whole frame");
    ResponseFrame::decode(&frame).map(|frame| frame.response)
}

#[test]
fn a_state_arrives_in_pieces_of_known_sizes() {
    let sums = |size: usize| response_arrives(Response::StateSums(vec![3; size].into()));
    assert_eq!(sums(STATE_SUMS_BYTES), Ok(Response::StateSums(vec![3; STATE_SUMS_BYTES].into())));
    assert!(
        matches!(sums(STATE_SUMS_BYTES - 1), Err(Malformed::TooShort { got, .. }) if got == STATE_SUMS_BYTES - 1)
    );
    assert!(matches!(sums(STATE_SUMS_BYTES + 1), Err(Malformed::TooLong { .. })));
    let accounts = |size: usize| response_arrives(Response::Accounts(vec![4; size].into()));
    let most = ACCOUNT_BYTES * MAX_ACCOUNTS_PER_FRAME;
    assert_eq!(accounts(most), Ok(Response::Accounts(vec![4; most].into())));
    assert_eq!(accounts(0), Err(Malformed::Empty { what: "accounts" }));
    assert_eq!(accounts(61), Err(Malformed::Trailing { what: "accounts", extra: 1 }));
    assert!(matches!(accounts(most + ACCOUNT_BYTES), Err(Malformed::TooLong { .. })));
}
