//! What others saw a peer do. They report; only the peer book judges.

use core::fmt;
use core::time::Duration;

use serde::{Deserialize, Serialize};

/// One thing that a peer did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Observation {
    /// It delivered what was asked for, in time.
    Served {
        /// How much.
        bytes: u64,
        /// From the request to the first byte.
        first_byte: Duration,
        /// From the first byte to the last.
        transfer: Duration,
    },
    /// It delivered, but after the deadline or less than was asked for.
    Late,
    /// It delivered nothing within the deadline.
    TimedOut,
    /// Its connection broke during a request.
    Unreachable,
    /// It asked to be left alone for a while. No fault: it gets no work until then.
    Refused {
        /// For how long.
        retry_after: Duration,
    },
    /// A round trip, measured by ping.
    RoundTrip(Duration),
    /// It did what no correct node does, provable from bytes that it sent or signed.
    Offence(Offence),
}

/// What no correct node does. Each is provable from the bytes alone: neither a slow link nor an error of ours makes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Offence {
    /// Bytes that the wire format forbids.
    Malformed,
    /// An answer to nothing, or more than was asked for.
    Unrequested,
    /// A header that breaks a rule of the chain.
    BadHeader,
    /// A certificate or an approval whose signature is wrong.
    BadCertificate,
    /// A body that its header does not commit to.
    BadBody,
    /// A transaction that can never be valid.
    BadTransaction,
    /// A federation claim whose signature is wrong.
    BadClaim,
    /// A state, or a part of one, that its header does not commit to; or a proof of finality that proves nothing.
    BadState,
}

impl Offence {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Malformed,
        Self::Unrequested,
        Self::BadHeader,
        Self::BadCertificate,
        Self::BadBody,
        Self::BadTransaction,
        Self::BadClaim,
        Self::BadState,
    ];

    /// How many points of misbehaviour it costs; [`BAN_POINTS`](crate::score::BAN_POINTS) ban.
    #[must_use]
    pub const fn points(self) -> u32 {
        match self {
            // Hours of signing work cannot make these by accident, and each costs us a signature check or a download.
            Self::BadHeader | Self::BadCertificate | Self::BadBody | Self::BadClaim | Self::BadState => 60,
            // A version skew or a race may make one; three are none.
            Self::Malformed | Self::Unrequested | Self::BadTransaction => 40,
        }
    }
}

impl fmt::Display for Offence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "malformed bytes",
            Self::Unrequested => "an answer that nobody asked for",
            Self::BadHeader => "an invalid header",
            Self::BadCertificate => "an invalid certificate or approval",
            Self::BadBody => "a body that does not belong to its header",
            Self::BadTransaction => "an invalid transaction",
            Self::BadClaim => "an invalid federation claim",
            Self::BadState => "a state that does not belong to its header",
        })
    }
}
