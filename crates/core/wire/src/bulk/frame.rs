//! Frames on a byte stream: a type byte, the payload's length (u32, little-endian), the payload.

use bytes::Bytes;

use crate::limits::{
    ACCOUNT_BYTES, BLOCK_ID_BYTES, FRAME_HEAD_BYTES, MAX_ACCOUNTS_PER_FRAME, MAX_BODY_BYTES,
    MAX_CERTIFIED_HEADER_BYTES, MAX_CLAIM_BYTES, MAX_FINALITY_PROOF_BYTES, MAX_REPORT_BYTES,
    MAX_REQUEST_PAYLOAD_BYTES, MAX_STATUS_BYTES, NONCE_BYTES, STATE_SUMS_BYTES,
};
use crate::malformed::Malformed;

/// The request id that starts every payload.
const ID_BYTES: usize = 8;

/// What a frame holds. Requests have the top bit clear, responses have it set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FrameKind {
    /// [`Request::Status`](super::Request::Status).
    AskStatus,
    /// [`Request::Headers`](super::Request::Headers).
    AskHeaders,
    /// [`Request::Bodies`](super::Request::Bodies).
    AskBodies,
    /// [`Request::Claim`](super::Request::Claim).
    AskClaim,
    /// [`Request::Report`](super::Request::Report).
    AskReport,
    /// [`Request::Snapshots`](super::Request::Snapshots).
    AskSnapshots,
    /// [`Request::StateSums`](super::Request::StateSums).
    AskStateSums,
    /// [`Request::Accounts`](super::Request::Accounts).
    AskAccounts,
    /// [`RequestFrame::Cancel`](super::RequestFrame::Cancel).
    Cancel,
    /// [`Response::Status`](super::Response::Status).
    Status,
    /// [`Response::Header`](super::Response::Header).
    Header,
    /// [`Response::Body`](super::Response::Body).
    Body,
    /// [`Response::Missing`](super::Response::Missing).
    Missing,
    /// [`Response::Claim`](super::Response::Claim).
    Claim,
    /// [`Response::Report`](super::Response::Report).
    Report,
    /// [`Response::Snapshot`](super::Response::Snapshot).
    Snapshot,
    /// [`Response::StateSums`](super::Response::StateSums).
    StateSums,
    /// [`Response::Accounts`](super::Response::Accounts).
    Accounts,
    /// [`Response::End`](super::Response::End).
    End,
    /// [`Response::Refused`](super::Response::Refused).
    Refused,
}

impl FrameKind {
    /// All of them.
    pub const ALL: [Self; 20] = [
        Self::AskStatus,
        Self::AskHeaders,
        Self::AskBodies,
        Self::AskClaim,
        Self::AskReport,
        Self::AskSnapshots,
        Self::AskStateSums,
        Self::AskAccounts,
        Self::Cancel,
        Self::Status,
        Self::Header,
        Self::Body,
        Self::Missing,
        Self::Claim,
        Self::Report,
        Self::Snapshot,
        Self::StateSums,
        Self::Accounts,
        Self::End,
        Self::Refused,
    ];

    /// The type byte.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::AskStatus => 0x01,
            Self::AskHeaders => 0x02,
            Self::AskBodies => 0x03,
            Self::AskClaim => 0x04,
            Self::Cancel => 0x05,
            Self::AskReport => 0x06,
            Self::AskSnapshots => 0x07,
            Self::AskStateSums => 0x08,
            Self::AskAccounts => 0x09,
            Self::Status => 0x81,
            Self::Header => 0x82,
            Self::Body => 0x83,
            Self::Missing => 0x84,
            Self::Claim => 0x85,
            Self::End => 0x86,
            Self::Refused => 0x87,
            Self::Report => 0x88,
            Self::Snapshot => 0x89,
            Self::StateSums => 0x8a,
            Self::Accounts => 0x8b,
        }
    }

    /// Whether the server writes it.
    #[must_use]
    pub const fn is_response(self) -> bool {
        self.code() & 0x80 != 0
    }

    /// The longest payload in bytes.
    #[must_use]
    pub const fn max_payload(self) -> usize {
        ID_BYTES
            + match self {
                Self::AskStatus | Self::AskSnapshots | Self::Cancel => 0,
                Self::AskHeaders => 8 + 4,
                Self::AskBodies => MAX_REQUEST_PAYLOAD_BYTES - ID_BYTES,
                Self::AskClaim | Self::AskReport => NONCE_BYTES,
                Self::AskStateSums => BLOCK_ID_BYTES,
                Self::AskAccounts => BLOCK_ID_BYTES + 1,
                Self::Status => MAX_STATUS_BYTES,
                Self::Header => MAX_CERTIFIED_HEADER_BYTES,
                Self::Body => BLOCK_ID_BYTES + MAX_BODY_BYTES,
                Self::Missing => BLOCK_ID_BYTES,
                Self::Claim => MAX_CLAIM_BYTES,
                Self::Report => MAX_REPORT_BYTES,
                Self::Snapshot => MAX_FINALITY_PROOF_BYTES,
                Self::StateSums => STATE_SUMS_BYTES,
                Self::Accounts => MAX_ACCOUNTS_PER_FRAME * ACCOUNT_BYTES,
                Self::End => 4,
                Self::Refused => 1 + 4,
            }
    }

    fn from_code(code: u8, responses: bool) -> Result<Self, Malformed> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.code() == code && kind.is_response() == responses)
            .ok_or(Malformed::Unknown { what: "frame type", got: code })
    }
}

/// One whole frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// What it holds.
    pub kind: FrameKind,
    /// The payload, in memory of its own: keeping a body keeps nothing else alive.
    pub payload: Bytes,
}

/// Cuts a byte stream into frames.
///
/// Holds at most one unfinished frame. Its length is checked before anything is allocated for it, and memory grows with what has arrived,
/// never ahead of it by more than a factor of two: announcing a frame costs the announcer as much as it costs us.
#[derive(Debug)]
pub struct FrameDecoder {
    responses: bool,
    head: [u8; FRAME_HEAD_BYTES],
    head_len: usize,
    partial: Option<Partial>,
}

#[derive(Debug)]
struct Partial {
    kind: FrameKind,
    len: usize,
    payload: Vec<u8>,
}

impl FrameDecoder {
    /// For the server's end of a stream.
    #[must_use]
    pub const fn for_requests() -> Self {
        Self::new(false)
    }

    /// For the asker's end of a stream.
    #[must_use]
    pub const fn for_responses() -> Self {
        Self::new(true)
    }

    const fn new(responses: bool) -> Self {
        Self { responses, head: [0; FRAME_HEAD_BYTES], head_len: 0, partial: None }
    }

    /// Takes bytes off the front of `input` up to the end of a frame. `Ok(None)` means that all of `input` is taken and more is needed;
    /// call again after a frame, there may be another one behind it.
    ///
    /// # Errors
    /// The sender's fault, see [`Malformed`]. The stream cannot be read any further: close it.
    pub fn next_frame(&mut self, input: &mut &[u8]) -> Result<Option<Frame>, Malformed> {
        let mut partial = match self.partial.take() {
            Some(partial) => partial,
            None => match self.take_head(input)? {
                Some(partial) => partial,
                None => return Ok(None),
            },
        };
        partial.fill(input);
        if partial.payload.len() < partial.len {
            self.partial = Some(partial);
            return Ok(None);
        }
        Ok(Some(Frame { kind: partial.kind, payload: partial.payload.into() }))
    }

    /// How many bytes of an unfinished frame are held.
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.head_len + self.partial.as_ref().map_or(0, |partial| FRAME_HEAD_BYTES + partial.payload.len())
    }

    fn take_head(&mut self, input: &mut &[u8]) -> Result<Option<Partial>, Malformed> {
        let rest = &mut self.head[self.head_len..];
        let n = rest.len().min(input.len());
        let (taken, left) = input.split_at(n);
        rest[..n].copy_from_slice(taken);
        *input = left;
        self.head_len += n;
        if self.head_len < FRAME_HEAD_BYTES {
            return Ok(None);
        }
        self.head_len = 0;
        let [code, a, b, c, d] = self.head;
        let kind = FrameKind::from_code(code, self.responses)?;
        let len = usize::try_from(u32::from_le_bytes([a, b, c, d])).unwrap_or(usize::MAX);
        if len > kind.max_payload() {
            return Err(Malformed::TooLong { what: "frame", limit: kind.max_payload(), got: len });
        }
        Ok(Some(Partial { kind, len, payload: Vec::new() }))
    }
}

impl Partial {
    fn fill(&mut self, input: &mut &[u8]) {
        let missing = self.len - self.payload.len();
        let (taken, left) = input.split_at(missing.min(input.len()));
        let needed = self.payload.len() + taken.len();
        if needed > self.payload.capacity() {
            let grown = needed.max(2 * self.payload.len()).min(self.len);
            self.payload.reserve_exact(grown - self.payload.len());
        }
        self.payload.extend_from_slice(taken);
        *input = left;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: FrameKind, payload: &[u8]) -> Vec<u8> {
        let len = u32::try_from(payload.len()).unwrap();
        [&[kind.code()][..], &len.to_le_bytes(), payload].concat()
    }

    #[test]
    fn codes_are_distinct_and_tell_the_side() {
        for (i, a) in FrameKind::ALL.iter().enumerate() {
            assert!(FrameKind::ALL[i + 1..].iter().all(|b| b.code() != a.code()), "{a:?}");
            assert_eq!(FrameKind::from_code(a.code(), a.is_response()), Ok(*a));
            assert!(FrameKind::from_code(a.code(), !a.is_response()).is_err());
        }
    }

    #[test]
    fn two_frames_in_one_read_are_two_frames() {
        let bytes = [frame(FrameKind::Missing, &[1; 40]), frame(FrameKind::End, &[2; 12])].concat();
        let mut decoder = FrameDecoder::for_responses();
        let mut input = &bytes[..];
        let first = decoder.next_frame(&mut input).unwrap().unwrap();
        let second = decoder.next_frame(&mut input).unwrap().unwrap();
        assert_eq!((first.kind, &first.payload[..]), (FrameKind::Missing, &[1; 40][..]));
        assert_eq!((second.kind, &second.payload[..]), (FrameKind::End, &[2; 12][..]));
        assert_eq!(decoder.next_frame(&mut input), Ok(None));
        assert_eq!(decoder.buffered(), 0);
    }

    #[test]
    fn a_frame_may_arrive_byte_by_byte() {
        let bytes = frame(FrameKind::AskStatus, &7u64.to_le_bytes());
        let mut decoder = FrameDecoder::for_requests();
        for (i, byte) in bytes.iter().enumerate() {
            let got = decoder.next_frame(&mut &[*byte][..]).unwrap();
            assert_eq!(got.is_some(), i == bytes.len() - 1, "byte {i}");
        }
    }

    #[test]
    fn a_length_beyond_the_limit_of_its_kind_is_refused_at_the_head() {
        for kind in FrameKind::ALL {
            let decode = |len: usize| {
                let head = [&[kind.code()][..], &u32::try_from(len).unwrap().to_le_bytes()].concat();
                FrameDecoder::new(kind.is_response()).next_frame(&mut &head[..])
            };
            let limit = kind.max_payload();
            assert_eq!(decode(limit), Ok(None), "{kind:?} at its limit");
            assert_eq!(decode(limit + 1), Err(Malformed::TooLong { what: "frame", limit, got: limit + 1 }));
        }
    }

    #[test]
    fn a_response_is_no_request() {
        let bytes = frame(FrameKind::End, &[0; 12]);
        let got = FrameDecoder::for_requests().next_frame(&mut &bytes[..]);
        assert_eq!(got, Err(Malformed::Unknown { what: "frame type", got: FrameKind::End.code() }));
    }

    #[test]
    fn announcing_a_great_frame_reserves_nothing() {
        let head = [&[FrameKind::Body.code()][..], &2_000_000u32.to_le_bytes(), &[0; 10]].concat();
        let mut decoder = FrameDecoder::for_responses();
        assert_eq!(decoder.next_frame(&mut &head[..]), Ok(None));
        assert_eq!(decoder.buffered(), 15);
        assert!(decoder.partial.unwrap().payload.capacity() <= 20);
    }
}
