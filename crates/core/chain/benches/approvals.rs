//! What checking a block's certificate costs, on one core: one by one, and in batches of 256 with few and many signer sets.
//!
//! `cargo bench -p alys-chain --bench approvals`; each line ends with the milliseconds a block.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::Duration;

use alys_chain::batch::{self, Entry, Search};
use alys_chain::{
    Authority, BlockId, Body, Certificate, Genesis, Hash, Height, Required, Rules, Schedule, SecretKey,
    SetId, SetQuorum, Signature, Slot, UnixMillis,
};
use criterion::measurement::{Measurement, WallTime};
use criterion::{Criterion, criterion_group, criterion_main};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

const BLOCKS: u64 = 256;
const SEED: u64 = 7;
const REQUIRED: Required = Required { own: SetId(0), old: None };

struct Federation {
    rules: Rules,
    keys: Vec<SecretKey>,
}

fn federation(n: u8) -> Federation {
    let keys: Vec<SecretKey> = (0..n).map(|i| SecretKey::from_seed(&[i + 1; 32])).collect();
    let schedule =
        Schedule::constant(2_000, keys.iter().map(Authority::of).collect()).expect("a valid schedule");
    let genesis =
        Genesis { chain_id: 1, time: UnixMillis(0), gas_limit: 1, schedule, allocations: BTreeMap::new() };
    Federation { rules: Rules::new(&genesis, Hash::default()), keys }
}

impl Federation {
    fn certificate(&self, height: u64, signers: u16) -> Certificate {
        let (slot, height) = (Slot(height), Height(height));
        let block = BlockId(Body::empty_root().0);
        let message = self.rules.domain().approval_message(SetId(0), slot, height, block);
        let members = self.keys.iter().enumerate().filter(|(i, _)| signers >> i & 1 == 1);
        let signatures: Vec<Signature> = members.map(|(_, key)| key.sign(&message)).collect();
        let signature = Signature::aggregate(&signatures).expect("somebody signs").to_bytes();
        Certificate {
            slot,
            height,
            block,
            quorum: SetQuorum { set: SetId(0), signers, signature },
            joint: None,
        }
    }

    /// Certificates whose signers are one of so many sets.
    fn certificates(&self, sets: usize) -> Vec<Certificate> {
        let set = self.rules.schedule().set_at(Slot(0));
        let mut rng = ChaCha20Rng::seed_from_u64(SEED);
        let mut all: Vec<u16> = Vec::new();
        while all.len() < sets {
            let signers = u16::try_from(rng.next_u32() & u32::from(set.mask())).expect("a mask of 16 bits");
            if set.quorum().reached_by(signers.count_ones() as usize) && !all.contains(&signers) {
                all.push(signers);
            }
        }
        let pick = |height: u64| all[usize::try_from(height).expect("a small number") % sets];
        (1..=BLOCKS).map(|height| self.certificate(height, pick(height))).collect()
    }
}

#[expect(clippy::print_stdout, reason = "the figure is what this program is for")]
fn measure(c: &mut Criterion, name: &str, certificates: &[Certificate], check: impl Fn(&[Certificate])) {
    let (mut total, mut blocks) = (Duration::ZERO, 0u64);
    c.bench_function(name, |b| {
        b.iter_custom(|rounds| {
            let start = WallTime.start();
            (0..rounds).for_each(|_| check(black_box(certificates)));
            let took = WallTime.end(start);
            total += took;
            blocks += rounds * certificates.len() as u64;
            took
        });
    });
    if blocks > 0 {
        println!("{name}: {:.4} ms a block", total.as_secs_f64() * 1_000.0 / blocks as f64);
    }
}

fn approvals(c: &mut Criterion) {
    let federation = federation(15);
    let one = federation.certificates(16);
    measure(c, "one by one", &one[..16], |all| {
        all.iter().for_each(|certificate| certificate.verify(&federation.rules, REQUIRED).expect("valid"));
    });
    for sets in [1, 4, 16, 32, 64, 128, 256] {
        let certificates = federation.certificates(sets);
        let name = format!("batch of {BLOCKS}, signer sets: {sets}");
        measure(c, &name, &certificates, |all| {
            let entries: Vec<Entry<'_>> =
                all.iter().map(|certificate| Entry { certificate, required: REQUIRED }).collect();
            let mut rng = ChaCha20Rng::seed_from_u64(SEED);
            assert!(batch::verify(&federation.rules, &entries, Search::All, &mut rng).faults.is_empty());
        });
    }
}

fn config() -> Criterion {
    Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(2))
}

criterion_group! { name = benches; config = config(); targets = approvals }
criterion_main!(benches);
