//! The payloads of frames: the request id, then the SSZ encoding of the content.

use alys_chain::{BlockId, Body, CertifiedHeader, FinalityProof, Height, Report};
use bytes::{BufMut, Bytes, BytesMut};

use super::{
    Frame, FrameKind, Refusal, Request, RequestFrame, RequestId, Response, ResponseFrame, RetryAfter, Status,
};
use crate::limits::{
    ACCOUNT_BYTES, BLOCK_ID_BYTES, FRAME_HEAD_BYTES, MAX_ACCOUNTS_PER_FRAME, MAX_BODIES_PER_REQUEST,
    MAX_HEADERS_PER_REQUEST, STATE_SUMS_BYTES,
};
use crate::malformed::Malformed;
use crate::ssz::{self, Fields};

/// Two heights and an offset.
const STATUS_FIXED_BYTES: u32 = 8 + 8 + 4;
/// Request id and block id.
const BODY_HEAD_BYTES: usize = 8 + BLOCK_ID_BYTES;

impl RequestFrame {
    /// What the asker wrote.
    ///
    /// # Errors
    /// The asker's fault, see [`Malformed`].
    pub fn decode(frame: &Frame) -> Result<Self, Malformed> {
        let mut fields = Fields::new("request", &frame.payload);
        let id = RequestId(fields.u64()?);
        let request = match frame.kind {
            FrameKind::Cancel => {
                fields.end()?;
                return Ok(Self::Cancel { id });
            }
            FrameKind::AskStatus => Request::Status,
            FrameKind::AskHeaders => decode_headers(&mut fields)?,
            FrameKind::AskBodies => {
                return decode_bodies(fields.rest()).map(|request| Self::Ask { id, request });
            }
            FrameKind::AskClaim => Request::Claim { nonce: fields.array()? },
            FrameKind::AskReport => Request::Report { nonce: fields.array()? },
            FrameKind::AskSnapshots => Request::Snapshots,
            FrameKind::AskStateSums => Request::StateSums { block: BlockId(fields.array()?) },
            FrameKind::AskAccounts => {
                Request::Accounts { block: BlockId(fields.array()?), bucket: fields.u8()? }
            }
            other => return Err(Malformed::Unknown { what: "request type", got: other.code() }),
        };
        fields.end()?;
        Ok(Self::Ask { id, request })
    }

    /// Appends the frame to `out`. The limits on counts are the caller's to keep: what exceeds them is refused at the other end.
    pub fn encode(&self, out: &mut BytesMut) {
        let (id, kind) = match self {
            Self::Cancel { id } => (id, FrameKind::Cancel),
            Self::Ask { id, request } => (id, request_kind(request)),
        };
        let head = begin(out, kind, *id);
        match self {
            Self::Cancel { .. } | Self::Ask { request: Request::Status | Request::Snapshots, .. } => {}
            Self::Ask { request: Request::Headers { from, count }, .. } => {
                out.put_u64_le(from.get());
                out.put_u32_le(*count);
            }
            Self::Ask { request: Request::Bodies { ids }, .. } => {
                ids.iter().for_each(|id| out.put_slice(id.as_bytes()));
            }
            Self::Ask { request: Request::Claim { nonce } | Request::Report { nonce }, .. } => {
                out.put_slice(nonce);
            }
            Self::Ask { request: Request::StateSums { block }, .. } => out.put_slice(block.as_bytes()),
            Self::Ask { request: Request::Accounts { block, bucket }, .. } => {
                out.put_slice(block.as_bytes());
                out.put_u8(*bucket);
            }
        }
        finish(out, head, 0);
    }
}

fn request_kind(request: &Request) -> FrameKind {
    match request {
        Request::Status => FrameKind::AskStatus,
        Request::Headers { .. } => FrameKind::AskHeaders,
        Request::Bodies { .. } => FrameKind::AskBodies,
        Request::Claim { .. } => FrameKind::AskClaim,
        Request::Report { .. } => FrameKind::AskReport,
        Request::Snapshots => FrameKind::AskSnapshots,
        Request::StateSums { .. } => FrameKind::AskStateSums,
        Request::Accounts { .. } => FrameKind::AskAccounts,
    }
}

fn decode_headers(fields: &mut Fields<'_>) -> Result<Request, Malformed> {
    let (from, count) = (Height(fields.u64()?), fields.u32()?);
    match count {
        0 => Err(Malformed::Empty { what: "request for headers" }),
        1..=MAX_HEADERS_PER_REQUEST => Ok(Request::Headers { from, count }),
        _ => Err(too_many("headers asked for", MAX_HEADERS_PER_REQUEST as usize, count as usize)),
    }
}

fn decode_bodies(list: &[u8]) -> Result<Request, Malformed> {
    let (ids, rest) = list.as_chunks::<BLOCK_ID_BYTES>();
    if !rest.is_empty() {
        return Err(Malformed::Trailing { what: "request for bodies", extra: rest.len() });
    }
    match ids.len() {
        0 => Err(Malformed::Empty { what: "request for bodies" }),
        1..=MAX_BODIES_PER_REQUEST => Ok(Request::Bodies { ids: ids.iter().copied().map(BlockId).collect() }),
        n => Err(too_many("bodies asked for", MAX_BODIES_PER_REQUEST, n)),
    }
}

fn too_many(what: &'static str, limit: usize, got: usize) -> Malformed {
    Malformed::TooMany { what, limit, got }
}

impl ResponseFrame {
    /// What the server wrote. A body shares the memory of the frame.
    ///
    /// # Errors
    /// The server's fault, see [`Malformed`].
    pub fn decode(frame: &Frame) -> Result<Self, Malformed> {
        let mut fields = Fields::new("response", &frame.payload);
        let id = RequestId(fields.u64()?);
        let content = || frame.payload.slice(8..);
        let response = match frame.kind {
            FrameKind::Status => Response::Status(Box::new(Status::decode(&content())?)),
            FrameKind::Header => Response::Header(Box::new(CertifiedHeader::decode(fields.rest())?)),
            FrameKind::Claim => Response::Claim(content()),
            FrameKind::Report => Response::Report(Report::decode(fields.rest())?),
            FrameKind::Snapshot => Response::Snapshot(Box::new(FinalityProof::decode(fields.rest())?)),
            FrameKind::StateSums => Response::StateSums(exactly("state sums", STATE_SUMS_BYTES, content())?),
            FrameKind::Accounts => Response::Accounts(accounts(content())?),
            FrameKind::Body => {
                let block = BlockId(fields.array()?);
                Response::Body { block, body: Body(frame.payload.slice(BODY_HEAD_BYTES..)) }
            }
            FrameKind::Missing | FrameKind::End | FrameKind::Refused => decode_short(frame.kind, fields)?,
            other => return Err(Malformed::Unknown { what: "response type", got: other.code() }),
        };
        Ok(Self { id, response })
    }

    /// Appends the frame to `out`, but for the bytes of a body or of a state: these are returned, to be sent next as they are (empty for every other frame).
    #[must_use = "a body's bytes follow the frame's head"]
    pub fn encode(&self, out: &mut BytesMut) -> Bytes {
        let head = begin(out, response_kind(&self.response), self.id);
        let mut tail = Bytes::new();
        match &self.response {
            Response::Status(status) => status.encode(out),
            Response::Header(certified) => out.put_slice(&certified.encode()),
            Response::Body { block, body } => {
                out.put_slice(block.as_bytes());
                tail = body.0.clone();
            }
            Response::StateSums(bytes) | Response::Accounts(bytes) => tail = bytes.clone(),
            Response::Snapshot(proof) => out.put_slice(&proof.encode()),
            Response::Missing { block } => out.put_slice(block.as_bytes()),
            Response::Claim(claim) => out.put_slice(claim),
            Response::Report(report) => out.put_slice(&report.encode()),
            Response::End { served } => out.put_u32_le(*served),
            Response::Refused { reason, retry_after } => {
                out.put_u8(reason.code());
                out.put_u32_le(retry_after.0);
            }
        }
        finish(out, head, tail.len());
        tail
    }
}

fn response_kind(response: &Response) -> FrameKind {
    match response {
        Response::Status(_) => FrameKind::Status,
        Response::Header(_) => FrameKind::Header,
        Response::Body { .. } => FrameKind::Body,
        Response::Missing { .. } => FrameKind::Missing,
        Response::Claim(_) => FrameKind::Claim,
        Response::Report(_) => FrameKind::Report,
        Response::Snapshot(_) => FrameKind::Snapshot,
        Response::StateSums(_) => FrameKind::StateSums,
        Response::Accounts(_) => FrameKind::Accounts,
        Response::End { .. } => FrameKind::End,
        Response::Refused { .. } => FrameKind::Refused,
    }
}

/// Bytes of a size that is known.
fn exactly(what: &'static str, size: usize, bytes: Bytes) -> Result<Bytes, Malformed> {
    match bytes.len() {
        got if got < size => Err(Malformed::TooShort { what, needed: size, got }),
        got if got > size => Err(Malformed::Trailing { what, extra: got - size }),
        _ => Ok(bytes),
    }
}

/// Whole accounts, at least one.
fn accounts(bytes: Bytes) -> Result<Bytes, Malformed> {
    let what = "accounts";
    match bytes.len() / ACCOUNT_BYTES {
        _ if !bytes.len().is_multiple_of(ACCOUNT_BYTES) => {
            Err(Malformed::Trailing { what, extra: bytes.len() % ACCOUNT_BYTES })
        }
        0 => Err(Malformed::Empty { what }),
        1..=MAX_ACCOUNTS_PER_FRAME => Ok(bytes),
        n => Err(too_many(what, MAX_ACCOUNTS_PER_FRAME, n)),
    }
}

fn decode_short(kind: FrameKind, mut fields: Fields<'_>) -> Result<Response, Malformed> {
    let response = match kind {
        FrameKind::Missing => Response::Missing { block: BlockId(fields.array()?) },
        FrameKind::End => Response::End { served: fields.u32()? },
        _ => {
            let reason = decode_reason(fields.u8()?)?;
            Response::Refused { reason, retry_after: RetryAfter(fields.u32()?) }
        }
    };
    fields.end()?;
    Ok(response)
}

fn decode_reason(code: u8) -> Result<Refusal, Malformed> {
    let unknown = Malformed::Unknown { what: "reason of a refusal", got: code };
    Refusal::ALL.into_iter().find(|reason| reason.code() == code).ok_or(unknown)
}

impl Status {
    /// The status that `bytes` consist of.
    ///
    /// # Errors
    /// The sender's fault, see [`Malformed`].
    pub fn decode(bytes: &Bytes) -> Result<Self, Malformed> {
        let [head] = ssz::parts("status", bytes, STATUS_FIXED_BYTES as usize)?;
        let mut fields = Fields::new("status", bytes);
        let (finalized, earliest) = (Height(fields.u64()?), Height(fields.u64()?));
        let head = ssz::optional("head of a status", &head)?;
        let head = head.map(|bytes| CertifiedHeader::decode(&bytes)).transpose()?;
        Ok(Self { head, finalized, earliest })
    }

    /// Appends the encoding to `out`.
    pub fn encode(&self, out: &mut BytesMut) {
        out.put_u64_le(self.finalized.get());
        out.put_u64_le(self.earliest.get());
        out.put_u32_le(STATUS_FIXED_BYTES);
        let head = self.head.as_ref().map(CertifiedHeader::encode);
        ssz::put_optional(out, head.as_ref().map(|bytes| &bytes[..]));
    }
}

/// Starts a frame whose length is not known yet; returns where it starts.
fn begin(out: &mut BytesMut, kind: FrameKind, id: RequestId) -> usize {
    let start = out.len();
    out.put_u8(kind.code());
    out.put_u32_le(0);
    out.put_u64_le(id.0);
    start
}

/// Writes the length of the frame that starts at `start`, `tail` more bytes of which follow later.
fn finish(out: &mut BytesMut, start: usize, tail: usize) {
    let len = out.len() - start - FRAME_HEAD_BYTES + tail;
    let len = u32::try_from(len).unwrap_or(u32::MAX).to_le_bytes();
    out[start + 1..start + FRAME_HEAD_BYTES].copy_from_slice(&len);
}
