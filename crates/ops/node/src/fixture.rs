//! A federation for the tests of this crate.

use alys_chain::{Authority, Genesis, Schedule, SecretKey, UnixMillis};

/// A genesis of `n` authorities with slots of two seconds, and their keys.
pub(crate) fn federation(n: u8) -> (Genesis, Vec<SecretKey>) {
    let keys: Vec<_> = (1..=n).map(|seed| SecretKey::from_seed(&[seed; 32])).collect();
    let schedule = Schedule::constant(2_000, keys.iter().map(Authority::of).collect()).unwrap();
    let genesis = Genesis {
        chain_id: 212_121,
        time: UnixMillis(1_700_000_000_000),
        gas_limit: 30_000_000,
        schedule,
        allocations: [].into(),
    };
    (genesis, keys)
}
