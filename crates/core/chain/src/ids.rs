//! The numbers and names of a chain, as types: a height is never a slot, a block id never a state root.

use core::fmt;

use serde::{Deserialize, Serialize};

macro_rules! number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl $name {
            /// The first of all: genesis has it.
            pub const ZERO: Self = Self(0);

            /// The number itself.
            #[must_use]
            pub const fn get(self) -> u64 {
                self.0
            }

            /// The next one; `None` past the greatest integer.
            #[must_use]
            pub const fn next(self) -> Option<Self> {
                match self.0.checked_add(1) {
                    Some(n) => Some(Self(n)),
                    None => None,
                }
            }

            /// The one before; `None` at zero.
            #[must_use]
            pub const fn prev(self) -> Option<Self> {
                match self.0.checked_sub(1) {
                    Some(n) => Some(Self(n)),
                    None => None,
                }
            }

            /// How far this one is ahead of `other`; zero when it is not.
            #[must_use]
            pub const fn ahead_of(self, other: Self) -> u64 {
                self.0.saturating_sub(other.0)
            }

            /// `n` further, or the greatest integer.
            #[must_use]
            pub const fn saturating_add(self, n: u64) -> Self {
                Self(self.0.saturating_add(n))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl From<u64> for $name {
            fn from(n: u64) -> Self {
                Self(n)
            }
        }
    };
}

number!(
    /// The number of blocks between genesis (height 0) and a block.
    Height
);
number!(
    /// A turn in time. Genesis is slot 0; slot `s` begins `s` slot lengths after the genesis time (see the schedule).
    Slot
);

/// The position of an authority set in the schedule; the set that starts at slot 0 is set 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SetId(pub u32);

impl fmt::Display for SetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The position of an authority in its set, below 15.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AuthorityIndex(pub u8);

impl fmt::Display for AuthorityIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

macro_rules! digest {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub [u8; 32]);

        impl $name {
            /// The 32 bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("0x")?;
                self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "0x{:02x}{:02x}{:02x}{:02x}", self.0[0], self.0[1], self.0[2], self.0[3])
            }
        }

        impl From<[u8; 32]> for $name {
            fn from(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }
        }
    };
}

digest!(
    /// The name of a block: the hash of its header. The id of the genesis header names the whole network.
    BlockId
);
digest!(
    /// Any other 32-byte digest: a body root, a state root, a transaction hash.
    Hash
);

/// A half-open range of heights: `start` belongs to it, `end` does not. Empty when `start >= end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct HeightRange {
    /// The first height of the range.
    pub start: Height,
    /// The height behind the last one.
    pub end: Height,
}

impl HeightRange {
    /// The heights from `start` up to, not including, `end`.
    #[must_use]
    pub const fn new(start: Height, end: Height) -> Self {
        Self { start, end }
    }

    /// How many heights it holds.
    #[must_use]
    pub const fn len(self) -> u64 {
        self.end.0.saturating_sub(self.start.0)
    }

    /// Whether it holds none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Whether `height` belongs to it.
    #[must_use]
    pub const fn contains(self, height: Height) -> bool {
        self.start.0 <= height.0 && height.0 < self.end.0
    }
}
