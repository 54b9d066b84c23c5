//! The names under which peers speak to each other. Each carries the genesis, so that two networks share no protocol and no topic.

use alys_chain::BlockId;

/// The first part of every name.
const ROOT: &str = "/alys/";
/// The length of a genesis id in hex.
const GENESIS_CHARS: usize = 64;

/// A protocol name: `/alys/<genesis id, hex>/<name>/<version>`.
fn name(genesis: BlockId, rest: &str) -> String {
    format!("{ROOT}{}{rest}", hex(genesis))
}

/// The bulk protocol (see [`crate::bulk`]).
#[must_use]
pub fn bulk(genesis: BlockId) -> String {
    name(genesis, "/bulk/1")
}

/// Kademlia's protocol: the address book of this network only.
#[must_use]
pub fn discovery(genesis: BlockId) -> String {
    name(genesis, "/kad/1")
}

/// What identify announces as the protocol version. A peer of another network is recognised by it, and both genesis ids can be named.
#[must_use]
pub fn identify(genesis: BlockId) -> String {
    name(genesis, "/1")
}

/// The genesis id in a name of ours, whichever network it belongs to; `None` if it is no name of this protocol family.
#[must_use]
pub fn genesis_of(name: &str) -> Option<BlockId> {
    let rest = name.strip_prefix(ROOT)?;
    let digits = rest.as_bytes().get(..GENESIS_CHARS)?;
    let after = rest.as_bytes().get(GENESIS_CHARS);
    if after.is_some_and(|&byte| byte != b'/') {
        return None;
    }
    let mut id = [0; GENESIS_CHARS / 2];
    for (byte, pair) in id.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(BlockId(id))
}

/// A genesis id in lower-case hex, without a prefix.
pub(crate) fn hex(id: BlockId) -> String {
    id.to_string().split_off(2)
}

fn digit(char: u8) -> Option<u8> {
    match char {
        b'0'..=b'9' => Some(char - b'0'),
        b'a'..=b'f' => Some(char - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: BlockId = BlockId([0xab; 32]);

    #[test]
    fn every_name_carries_the_genesis() {
        for name in [bulk(OURS), discovery(OURS), identify(OURS)] {
            assert_eq!(genesis_of(&name), Some(OURS), "{name}");
        }
        assert!(bulk(OURS).starts_with("/alys/abababab") && bulk(OURS).ends_with("ab/bulk/1"));
    }

    #[test]
    fn a_foreign_network_can_be_named() {
        let theirs = BlockId([7; 32]);
        assert_eq!(genesis_of(&identify(theirs)), Some(theirs));
        assert_ne!(identify(theirs), identify(OURS));
    }

    #[test]
    fn other_protocols_have_no_genesis() {
        let long = format!("/alys/{}ff/bulk/1", hex(OURS));
        let upper = format!("/alys/{}/1", hex(OURS).to_uppercase());
        for name in ["", "/alys/", "/ipfs/id/1.0.0", "/alys/12/1", &long, &upper] {
            assert_eq!(genesis_of(name), None, "{name}");
        }
    }
}
