//! What every decoder promises for any bytes at all: it does not panic; what it accepts is encoded to the same bytes again, and those
//! decode to the same value; it takes no more memory than the bytes are worth.
//!
//! libfuzzer runs [`Target::check`] on the nightly toolchain; `crates/core/wire/tests/fuzz_corpus.rs` includes this file, and runs it on
//! the stable one, over the corpus and generated inputs, with an allocator that refuses to give more than is promised.

use alys_chain::checkpoint::Checkpoint;
use alys_chain::{Approval, Body, Certificate, CertifiedHeader, FinalityProof, Header, Invalid, Report};
use alys_wire::{
    Address, Frame, FrameDecoder, FrameKind, GossipMessage, Malformed, PeerId, RequestFrame, ResponseFrame,
    Status, Topic,
};
use bytes::{Bytes, BytesMut};

/// One decoder.
#[derive(Clone, Copy)]
pub struct Target {
    /// Its name, and that of its corpus.
    pub name: &'static str,
    /// Decodes and drops. May allocate twice the input and 64 KB.
    pub decode: fn(&[u8]),
    /// Checks everything else.
    pub check: fn(&[u8]),
}

/// All of them.
pub const TARGETS: [Target; 18] = [
    Target {
        name: "gossip_blocks",
        decode: |data| decode_gossip(Topic::Blocks, data),
        check: |data| gossip(Topic::Blocks, data),
    },
    Target {
        name: "gossip_approvals",
        decode: |data| decode_gossip(Topic::Approvals, data),
        check: |data| gossip(Topic::Approvals, data),
    },
    Target {
        name: "gossip_certificates",
        decode: |data| decode_gossip(Topic::Certificates, data),
        check: |data| gossip(Topic::Certificates, data),
    },
    Target {
        name: "gossip_transactions",
        decode: |data| decode_gossip(Topic::Transactions, data),
        check: |data| gossip(Topic::Transactions, data),
    },
    Target { name: "request_stream", decode: decode_requests, check: request_stream },
    Target { name: "response_stream", decode: decode_responses, check: response_stream },
    Target { name: "request", decode: |data| drop(decode_request(data)), check: request },
    Target { name: "response", decode: |data| drop(decode_response(data)), check: response },
    Target {
        name: "status",
        decode: |data| drop(Status::decode(&Bytes::copy_from_slice(data))),
        check: status,
    },
    Target { name: "body", decode: decode_body, check: body },
    Target { name: "header", decode: |data| drop(Header::decode(data)), check: header },
    Target {
        name: "certified_header",
        decode: |data| drop(CertifiedHeader::decode(data)),
        check: certified_header,
    },
    Target { name: "certificate", decode: |data| drop(Certificate::decode(data)), check: certificate },
    Target { name: "approval", decode: |data| drop(Approval::decode(data)), check: approval },
    Target { name: "report", decode: |data| drop(Report::decode(data)), check: report },
    Target {
        name: "finality_proof",
        decode: |data| drop(FinalityProof::decode(data)),
        check: finality_proof,
    },
    Target { name: "address", decode: |data| drop(parse_address(data)), check: address },
    Target { name: "checkpoint", decode: |data| drop(Checkpoint::decode(data)), check: checkpoint },
];

fn decode_gossip(topic: Topic, data: &[u8]) {
    drop(GossipMessage::decode(topic, &Bytes::copy_from_slice(data)));
}

fn gossip(topic: Topic, data: &[u8]) {
    let Ok(message) = GossipMessage::decode(topic, &Bytes::copy_from_slice(data)) else { return };
    assert_eq!(message.topic(), topic);
    assert_eq!(message.encode(), data, "one value, one encoding");
    assert_eq!(GossipMessage::decode(topic, &message.encode()), Ok(message));
}

/// Feeds `data` in pieces of `piece` bytes, and hands on each frame. Returns the number of frames, and the error that ended the stream.
fn frames(
    mut decoder: FrameDecoder,
    data: &[u8],
    piece: usize,
    mut each: impl FnMut(Frame),
) -> (usize, Option<Malformed>) {
    let mut count = 0;
    for mut input in data.chunks(piece.max(1)) {
        loop {
            match decoder.next_frame(&mut input) {
                Ok(Some(frame)) => each(frame),
                Ok(None) => break,
                Err(error) => return (count, Some(error)),
            }
            count += 1;
        }
    }
    (count, None)
}

fn decode_requests(data: &[u8]) {
    frames(FrameDecoder::for_requests(), data, 1_400, |frame| drop(RequestFrame::decode(&frame)));
}

fn decode_responses(data: &[u8]) {
    frames(FrameDecoder::for_responses(), data, 1_400, |frame| drop(ResponseFrame::decode(&frame)));
}

/// However the bytes are cut into reads, the frames are the same.
fn stream(decoder: fn() -> FrameDecoder, data: &[u8]) -> Vec<Frame> {
    let (mut whole, mut cut) = (Vec::new(), Vec::new());
    let piece = usize::from(data.first().copied().unwrap_or(1)) % 16 + 1;
    let at_once = frames(decoder(), data, data.len(), |frame| whole.push(frame));
    let in_pieces = frames(decoder(), data, piece, |frame| cut.push(frame));
    assert_eq!((at_once, &whole), (in_pieces, &cut), "in pieces of {piece}");
    whole
}

fn request_stream(data: &[u8]) {
    let mut read = 0;
    for frame in stream(FrameDecoder::for_requests, data) {
        let size = 5 + frame.payload.len();
        if let Ok(request) = RequestFrame::decode(&frame) {
            assert_eq!(encode_request(&request), data[read..read + size]);
        }
        read += size;
    }
}

fn response_stream(data: &[u8]) {
    let mut read = 0;
    for frame in stream(FrameDecoder::for_responses, data) {
        let size = 5 + frame.payload.len();
        if let Ok(response) = ResponseFrame::decode(&frame) {
            assert_eq!(encode_response(&response), data[read..read + size]);
        }
        read += size;
    }
}

fn encode_request(request: &RequestFrame) -> Vec<u8> {
    let mut out = BytesMut::new();
    request.encode(&mut out);
    out.to_vec()
}

fn encode_response(response: &ResponseFrame) -> Vec<u8> {
    let mut out = BytesMut::new();
    let tail = response.encode(&mut out);
    [&out[..], &tail[..]].concat()
}

/// A frame without the checks of the stream: the first byte says the kind, the rest is the payload.
fn frame(data: &[u8]) -> Option<Frame> {
    let (code, payload) = data.split_first()?;
    let kind = FrameKind::ALL.into_iter().find(|kind| kind.code() == *code)?;
    Some(Frame { kind, payload: Bytes::copy_from_slice(payload) })
}

fn decode_request(data: &[u8]) -> Option<RequestFrame> {
    RequestFrame::decode(&frame(data)?).ok()
}

fn decode_response(data: &[u8]) -> Option<ResponseFrame> {
    ResponseFrame::decode(&frame(data)?).ok()
}

fn request(data: &[u8]) {
    let Some(request) = decode_request(data) else { return };
    let encoded = encode_request(&request);
    assert_eq!((encoded[0], &encoded[5..]), (data[0], &data[1..]));
}

fn response(data: &[u8]) {
    let Some(response) = decode_response(data) else { return };
    let encoded = encode_response(&response);
    assert_eq!((encoded[0], &encoded[5..]), (data[0], &data[1..]));
}

fn status(data: &[u8]) {
    let Ok(status) = Status::decode(&Bytes::copy_from_slice(data)) else { return };
    let mut out = BytesMut::new();
    status.encode(&mut out);
    assert_eq!(&out[..], data);
}

fn decode_body(data: &[u8]) {
    let body = Body(Bytes::copy_from_slice(data));
    if let Ok(transactions) = body.transactions() {
        let bytes: usize = transactions.map(<[u8]>::len).sum();
        assert!(bytes <= data.len());
    }
}

fn body(data: &[u8]) {
    let body = Body(Bytes::copy_from_slice(data));
    let Ok(transactions) = body.transactions() else {
        return assert!(body.root().is_err(), "what cannot be read has no root");
    };
    let list: Vec<&[u8]> = transactions.collect();
    assert_eq!(Body::encode(&list), Ok(body.clone()));
    assert!(body.root().is_ok());
}

/// What decodes is encoded to the same bytes.
fn fixed<T, const N: usize>(decoded: Result<T, Invalid>, encode: fn(&T) -> [u8; N], data: &[u8]) {
    if let Ok(value) = decoded {
        assert_eq!(encode(&value)[..], *data);
    }
}

fn header(data: &[u8]) {
    fixed(Header::decode(data), Header::encode, data);
}

fn certified_header(data: &[u8]) {
    fixed(CertifiedHeader::decode(data), CertifiedHeader::encode, data);
}

fn certificate(data: &[u8]) {
    fixed(Certificate::decode(data), Certificate::encode, data);
}

fn approval(data: &[u8]) {
    fixed(Approval::decode(data), Approval::encode, data);
}

fn report(data: &[u8]) {
    fixed(Report::decode(data), Report::encode, data);
}

fn finality_proof(data: &[u8]) {
    if let Ok(proof) = FinalityProof::decode(data) {
        assert_eq!(proof.encode(), data);
        assert_eq!(proof.header(), &proof.subject().header);
    }
}

fn parse_address(data: &[u8]) -> Option<Address> {
    core::str::from_utf8(data).ok()?.parse().ok()
}

fn address(data: &[u8]) {
    let Ok(text) = core::str::from_utf8(data) else { return };
    let Ok(address) = text.parse::<Address>() else {
        // Text from peers: nothing may panic, whatever it is.
        let odd = Address(text.to_owned());
        return assert!(odd.port().is_none() && odd.ip().is_none() && odd.transport().is_none());
    };
    assert_eq!(address.0, text);
    assert!(address.port().is_some());
    assert_eq!(address.ip().map(alys_wire::IpPrefix::of), address.prefix());
    let peer = PeerId::from_bytes(&[7; 38]).expect("38 bytes are an id");
    assert_eq!(address.with_peer(peer).split_peer(), (address.split_peer().0, Some(peer)));
}

/// The checksum is put right, or the fuzzer would never get past it.
fn checkpoint(data: &[u8]) {
    const SUM: core::ops::Range<usize> = 14..18;
    let mut data = data.to_vec();
    if let Some(payload) = data.get(SUM.end..) {
        let sum = crc32c::crc32c(payload).to_le_bytes();
        data[SUM].copy_from_slice(&sum);
    }
    let Ok(checkpoint) = Checkpoint::decode(&data) else { return };
    let encoded = checkpoint.encode().expect("what was read can be written");
    assert_eq!(Checkpoint::decode(&encoded), Ok(checkpoint));
}
