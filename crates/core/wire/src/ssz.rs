//! The little of SSZ that the messages need: fixed fields in order, offsets to the variable parts, `Union[None, T]` for what may be absent.
//!
//! Source: SSZ specification, "serialization". Decoding is strict, so that a value has one encoding only.

use bytes::{BufMut, Bytes, BytesMut};

use crate::malformed::Malformed;

/// The selector of an absent value.
const NONE: u8 = 0;
/// The selector of a value that is there.
const SOME: u8 = 1;

/// Reads fixed-size fields off the front.
pub(crate) struct Fields<'a> {
    what: &'static str,
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    /// Starts at the front of `bytes`; `what` is named in errors.
    pub fn new(what: &'static str, bytes: &'a [u8]) -> Self {
        Self { what, rest: bytes }
    }

    /// The next `N` bytes.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (first, rest) = self.rest.split_first_chunk::<N>().ok_or(Malformed::TooShort {
            what: self.what,
            needed: N,
            got: self.rest.len(),
        })?;
        self.rest = rest;
        Ok(*first)
    }

    /// The next integer of 8 bits.
    pub fn u8(&mut self) -> Result<u8, Malformed> {
        self.array().map(|[byte]| byte)
    }

    /// The next integer of 32 bits, little-endian.
    pub fn u32(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_le_bytes)
    }

    /// The next integer of 64 bits, little-endian.
    pub fn u64(&mut self) -> Result<u64, Malformed> {
        self.array().map(u64::from_le_bytes)
    }

    /// What has not been read yet.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Nothing may be left.
    pub fn end(self) -> Result<(), Malformed> {
        match self.rest.len() {
            0 => Ok(()),
            extra => Err(Malformed::Trailing { what: self.what, extra }),
        }
    }
}

/// Where the variable parts of `bytes` lie: their offsets are the last `N` fields of the fixed part, which is `fixed` bytes long.
/// The parts share the memory of `bytes`.
pub(crate) fn parts<const N: usize>(
    what: &'static str,
    bytes: &Bytes,
    fixed: usize,
) -> Result<[Bytes; N], Malformed> {
    let short = Malformed::TooShort { what, needed: fixed, got: bytes.len() };
    let offsets = bytes.get(fixed - 4 * N..fixed).ok_or(short)?;
    let mut fields = Fields::new(what, offsets);
    let mut starts = [0; N];
    let mut least = fixed;
    for (i, start) in starts.iter_mut().enumerate() {
        let got = usize::try_from(fields.u32()?).unwrap_or(usize::MAX);
        let most = if i == 0 { fixed } else { bytes.len() };
        if got < least || got > most {
            return Err(Malformed::Offset { what, least, most, got });
        }
        (*start, least) = (got, got);
    }
    Ok(core::array::from_fn(|i| {
        let end = starts.get(i + 1).copied().unwrap_or(bytes.len());
        bytes.slice(starts[i]..end)
    }))
}

/// The value behind the selector of a `Union[None, T]`.
pub(crate) fn optional(what: &'static str, bytes: &Bytes) -> Result<Option<Bytes>, Malformed> {
    match bytes.first() {
        None => Err(Malformed::Empty { what }),
        Some(&SOME) => Ok(Some(bytes.slice(1..))),
        Some(&NONE) if bytes.len() == 1 => Ok(None),
        Some(&NONE) => Err(Malformed::Trailing { what, extra: bytes.len() - 1 }),
        Some(&got) => Err(Malformed::Unknown { what, got }),
    }
}

/// Appends a `Union[None, T]`.
pub(crate) fn put_optional(out: &mut BytesMut, value: Option<&[u8]>) {
    out.put_u8(if value.is_some() { SOME } else { NONE });
    out.put_slice(value.unwrap_or_default());
}

/// At most `limit` bytes.
pub(crate) fn at_most(what: &'static str, limit: usize, got: usize) -> Result<(), Malformed> {
    if got > limit { Err(Malformed::TooLong { what, limit, got }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two bytes of fixed part, two offsets, then `rest`.
    fn container(first: u32, second: u32, rest: &[u8]) -> Bytes {
        [&[1, 2][..], &first.to_le_bytes(), &second.to_le_bytes(), rest].concat().into()
    }

    fn split(bytes: &Bytes) -> Result<[Bytes; 2], Malformed> {
        parts("container", bytes, 10)
    }

    #[test]
    fn the_parts_lie_between_the_offsets() {
        let bytes = container(10, 13, b"abcde");
        assert_eq!(split(&bytes), Ok([Bytes::from("abc"), Bytes::from("de")]));
        assert_eq!(split(&container(10, 10, b"")), Ok([Bytes::new(), Bytes::new()]));
    }

    #[test]
    fn an_offset_stands_in_one_place_only() {
        let what = "container";
        for (bytes, least, most, got) in [
            (container(11, 13, b"abcde"), 10, 10, 11),
            (container(9, 13, b"abcde"), 10, 10, 9),
            (container(10, 9, b"abcde"), 10, 15, 9),
            (container(10, 16, b"abcde"), 10, 15, 16),
            (container(10, u32::MAX, b""), 10, 10, u32::MAX as usize),
        ] {
            assert_eq!(split(&bytes), Err(Malformed::Offset { what, least, most, got }));
        }
    }

    #[test]
    fn a_cut_off_fixed_part_is_named() {
        let short = container(10, 10, b"").slice(..9);
        assert_eq!(split(&short), Err(Malformed::TooShort { what: "container", needed: 10, got: 9 }));
    }

    #[test]
    fn an_absent_value_is_one_zero_byte() {
        let read = |bytes: &'static [u8]| optional("value", &Bytes::from_static(bytes));
        assert_eq!(read(&[0]), Ok(None));
        assert_eq!(read(&[1]), Ok(Some(Bytes::new())));
        assert_eq!(read(&[1, 7]), Ok(Some(Bytes::from_static(&[7]))));
        assert_eq!(read(&[]), Err(Malformed::Empty { what: "value" }));
        assert_eq!(read(&[0, 0]), Err(Malformed::Trailing { what: "value", extra: 1 }));
        assert_eq!(read(&[2]), Err(Malformed::Unknown { what: "value", got: 2 }));
    }
}
