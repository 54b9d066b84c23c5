//! The heads of yamux frames: version, type, flags, stream and length, big-endian.

/// The bytes of a head.
pub(super) const HEAD_BYTES: usize = 12;

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// As many bytes of a stream as its length says follow.
    Data,
    /// The peer may send as many more bytes as its length says.
    Window,
    /// An echo is asked for or given; its length is what is to be echoed.
    Ping,
    /// The connection ends; its length is the reason.
    GoAway,
}

/// The stream begins.
pub(super) const SYN: u16 = 1;
/// The beginning is noted; the echo of a ping.
pub(super) const ACK: u16 = 2;
/// Nothing more comes on this stream.
pub(super) const FIN: u16 = 4;
/// The stream is broken off.
pub(super) const RST: u16 = 8;

/// Reasons to go away.
pub(super) const NORMAL: u32 = 0;
pub(super) const VIOLATED: u32 = 1;

/// A head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub kind: Kind,
    pub flags: u16,
    pub stream: u32,
    pub length: u32,
}

impl Head {
    pub fn encode(self) -> [u8; HEAD_BYTES] {
        let kind = match self.kind {
            Kind::Data => 0,
            Kind::Window => 1,
            Kind::Ping => 2,
            Kind::GoAway => 3,
        };
        let ([f0, f1], [s0, s1, s2, s3], [l0, l1, l2, l3]) =
            (self.flags.to_be_bytes(), self.stream.to_be_bytes(), self.length.to_be_bytes());
        [0, kind, f0, f1, s0, s1, s2, s3, l0, l1, l2, l3]
    }

    /// Nothing if the version or the type is unknown.
    pub fn decode(bytes: [u8; HEAD_BYTES]) -> Option<Self> {
        let [version, kind, f0, f1, s0, s1, s2, s3, l0, l1, l2, l3] = bytes;
        let kind = match (version, kind) {
            (0, 0) => Kind::Data,
            (0, 1) => Kind::Window,
            (0, 2) => Kind::Ping,
            (0, 3) => Kind::GoAway,
            _ => return None,
        };
        let (stream, length) = (u32::from_be_bytes([s0, s1, s2, s3]), u32::from_be_bytes([l0, l1, l2, l3]));
        Some(Self { kind, flags: u16::from_be_bytes([f0, f1]), stream, length })
    }

    pub fn has(self, flag: u16) -> bool {
        self.flags & flag != 0
    }
}
