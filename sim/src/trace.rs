//! What has happened, as one number: two runs are the same run if, and only if, their digests are the same.
//!
//! - **In**: events with their time, as text. **Out**: a digest over all of them in their order, and, on request, the events themselves, kept or told at once.
//! - **On failure**: nothing can fail.

use core::fmt;
use std::time::Duration;

use alys_chain::sha256;

/// A digest of everything that has happened.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Digest(pub [u8; 32]);

impl fmt::Display for Digest {
    /// The first eight bytes: enough to tell runs apart by eye.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0[..8].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Where in the world something happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// At the node of this number.
    Node(usize),
    /// Between the nodes.
    World,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node(node) => write!(f, "node {node:<2}"),
            Self::World => f.write_str("world  "),
        }
    }
}

/// What becomes of the events of a run beside their digest.
#[derive(Clone, Copy, Debug)]
pub enum Log {
    /// Nothing.
    Drop,
    /// They are kept to be read.
    Keep,
    /// Each is told as it happens, among whatever else is said meanwhile.
    Tell(fn(&str)),
}

/// The events of one run.
pub struct Trace {
    digest: Digest,
    events: u64,
    log: Log,
    kept: Vec<String>,
}

impl Trace {
    /// Nothing has happened.
    #[must_use]
    pub const fn new(log: Log) -> Self {
        Self { digest: Digest([0; 32]), events: 0, log, kept: Vec::new() }
    }

    /// Something happened at this time since the beginning.
    pub fn note(&mut self, at: Duration, place: Place, what: &str) {
        let place_text = place.to_string();
        self.digest = Digest(sha256(&[
            &self.digest.0,
            &at.as_nanos().to_le_bytes(),
            place_text.as_bytes(),
            what.as_bytes(),
        ]));
        self.events += 1;
        match self.log {
            Log::Drop => {}
            Log::Keep => self.kept.push(line(at, place, what)),
            Log::Tell(tell) => tell(&line(at, place, what)),
        }
    }

    /// Over everything so far.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// How much has happened.
    #[must_use]
    pub const fn events(&self) -> u64 {
        self.events
    }

    /// The events, if they were kept.
    #[must_use]
    pub fn into_log(self) -> Vec<String> {
        self.kept
    }
}

/// An event as people read it.
fn line(at: Duration, place: Place, what: &str) -> String {
    format!("{:>10.4} {place} {what}", at.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn traced(events: &[(u64, Place, &str)]) -> Trace {
        let mut trace = Trace::new(Log::Keep);
        for (at, place, what) in events {
            trace.note(Duration::from_millis(*at), *place, what);
        }
        trace
    }

    #[test]
    fn time_place_content_and_order_all_count() {
        let (a, b) = ((1, Place::Node(0), "a"), (1, Place::World, "b"));
        let digest = traced(&[a, b]).digest();
        assert_eq!(digest, traced(&[a, b]).digest());
        for other in [vec![b, a], vec![a], vec![(2, a.1, a.2), b], vec![(1, Place::Node(1), "a"), b]] {
            assert_ne!(digest, traced(&other).digest());
        }
        assert_ne!(digest.to_string(), format!("{:?}", Trace::new(Log::Drop).digest()));
    }

    #[test]
    fn what_is_kept_can_be_read() {
        let trace = traced(&[(1_500, Place::Node(3), "publishes")]);
        assert_eq!(trace.events(), 1);
        assert_eq!(trace.into_log(), ["    1.5000 node 3  publishes"]);
    }
}
