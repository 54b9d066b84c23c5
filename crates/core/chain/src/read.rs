//! Reading fixed-size fields from bytes that nobody vouches for.

use crate::error::Invalid;

/// What is left of an encoding.
pub(crate) struct Reader<'a> {
    what: &'static str,
    total: usize,
    left: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(what: &'static str, bytes: &'a [u8]) -> Self {
        Self { what, total: bytes.len(), left: bytes }
    }

    /// For types of one size only.
    pub(crate) fn sized(what: &'static str, bytes: &'a [u8], expected: usize) -> Result<Self, Invalid> {
        if bytes.len() == expected {
            Ok(Self::new(what, bytes))
        } else {
            Err(Invalid::Length { what, expected, got: bytes.len() })
        }
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<&'a [u8; N], Invalid> {
        let Some((head, tail)) = self.left.split_first_chunk::<N>() else {
            let read = self.total - self.left.len();
            return Err(Invalid::Length { what: self.what, expected: read + N, got: self.total });
        };
        self.left = tail;
        Ok(head)
    }

    pub(crate) fn bytes(&mut self, n: usize) -> Result<&'a [u8], Invalid> {
        let Some((head, tail)) = self.left.split_at_checked(n) else {
            let expected = (self.total - self.left.len()).saturating_add(n);
            return Err(Invalid::Length { what: self.what, expected, got: self.total });
        };
        self.left = tail;
        Ok(head)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Invalid> {
        self.array::<1>().map(|b| b[0])
    }

    pub(crate) fn u16(&mut self) -> Result<u16, Invalid> {
        self.array().map(|b| u16::from_le_bytes(*b))
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Invalid> {
        self.array().map(|b| u32::from_le_bytes(*b))
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Invalid> {
        self.array().map(|b| u64::from_le_bytes(*b))
    }

    /// A number of items that take at least `size` bytes each: refused when it is above the limit or the items cannot be there.
    pub(crate) fn count(&mut self, limit: usize, size: usize) -> Result<usize, Invalid> {
        let got = usize::try_from(self.u32()?).unwrap_or(usize::MAX);
        if got > limit {
            return Err(Invalid::TooMany { what: self.what, limit, got });
        }
        if self.left.len() < got * size {
            let expected = self.total - self.left.len() + got * size;
            return Err(Invalid::Length { what: self.what, expected, got: self.total });
        }
        Ok(got)
    }

    /// Nothing may be left.
    pub(crate) fn end(self) -> Result<(), Invalid> {
        if self.left.is_empty() {
            return Ok(());
        }
        let expected = self.total - self.left.len();
        Err(Invalid::Length { what: self.what, expected, got: self.total })
    }
}
