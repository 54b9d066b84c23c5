//! What the database does in a second: durable commits of blocks with empty, small and large bodies, the same bytes into a plain file
//! as the ceiling, and the two reads that serve peers. `cargo bench -p alys-storage`.

#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a bench ends where its step fails; criterion's macros make undocumented items"
)]

use std::fs::File;
use std::io::Write;
use std::time::Duration;

use alys_chain::{
    AuthorityIndex, BlockId, Body, Certificate, Hash, Header, Height, Lineage, SetId, SetQuorum, Slot,
};
use alys_storage::{Batch, BlockKey, Durability, Limit, StateKey, Store, fjall};
use bytes::Bytes;
use criterion::{
    BatchSize, BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main, measurement::WallTime,
};

const GENESIS: BlockId = BlockId([7; 32]);
/// Name, blocks in a commit, bytes of a body. The import commits 256 blocks or 8 MB, whichever comes first; the last case shows what more
/// would cost in memory.
const CASES: [(&str, u64, usize); 4] = [
    ("256 empty", 256, 0),
    ("256 of 2 KB", 256, 2_000),
    ("80 of 100 KB", 80, 100_000),
    ("256 of 100 KB", 256, 100_000),
];

/// A chain that is made as it is needed.
struct Chain {
    next: u64,
    body: Body,
}

impl Chain {
    fn new(body_bytes: usize) -> Self {
        // An xorshift: nothing that compresses.
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let words = std::iter::repeat_with(|| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()
        });
        Self { next: 1, body: Body(words.flatten().take(body_bytes).collect::<Vec<u8>>().into()) }
    }

    /// The next blocks, each certified, with one account that it changes.
    fn batch(&mut self, blocks: u64) -> Batch {
        let mut batch = Batch::new();
        for height in self.next..self.next + blocks {
            let header = Header {
                height: Height(height),
                slot: Slot(height),
                parent: GENESIS,
                body_root: Hash([1; 32]),
                state_root: Hash([2; 32]),
                proposer: AuthorityIndex(0),
            };
            let id = header.id();
            let block = BlockKey::new(header.height, id);
            let quorum = SetQuorum { set: SetId(0), signers: 15, signature: [3; 48] };
            let mut address = [0; 20];
            address.copy_from_slice(&id.as_bytes()[..20]);
            batch
                .put_block(block, &header, Lineage::GENESIS, &self.body)
                .make_canonical(block)
                .set_head(block);
            batch.certify(&Certificate {
                slot: header.slot,
                height: header.height,
                block: id,
                quorum,
                joint: None,
            });
            batch.put_state(StateKey::Account(address), &[4; 24]);
        }
        self.next += blocks;
        batch
    }
}

fn group<'a>(criterion: &'a mut Criterion, name: &str) -> BenchmarkGroup<'a, WallTime> {
    let mut group = criterion.benchmark_group(name);
    group.sample_size(10).warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(4));
    group
}

fn commits(criterion: &mut Criterion) {
    let mut group = group(criterion, "durable commit");
    for (name, blocks, bytes) in CASES {
        let directory = tempfile::tempdir().unwrap();
        let store = fjall::open(directory.path(), GENESIS).unwrap();
        let mut chain = Chain::new(bytes);
        group.throughput(Throughput::Elements(blocks));
        group.bench_function(name, |bencher| {
            let commit = |batch| store.commit(batch, Durability::Durable).unwrap();
            bencher.iter_batched(|| chain.batch(blocks), commit, BatchSize::PerIteration);
        });
        eprintln!("{name}: {} blocks, {}", chain.next - 1, resident());
    }
    group.finish();
}

/// The same number of bytes, appended to a file and synced.
fn ceiling(criterion: &mut Criterion) {
    let mut group = group(criterion, "plain file");
    for (name, blocks, bytes) in CASES {
        let directory = tempfile::tempdir().unwrap();
        let mut file = File::create(directory.path().join("file")).unwrap();
        let block = vec![5; Chain::new(bytes).batch(blocks).bytes()];
        group.throughput(Throughput::Elements(blocks));
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                file.write_all(&block).unwrap();
                file.sync_data().unwrap();
            });
        });
    }
    group.finish();
}

fn reads(criterion: &mut Criterion) {
    let directory = tempfile::tempdir().unwrap();
    let store = fjall::open(directory.path(), GENESIS).unwrap();
    let mut chain = Chain::new(100_000);
    for _ in 0..60 {
        store.commit(chain.batch(80), Durability::Buffered).unwrap();
    }
    let mut group = group(criterion, "range read");
    let limit = Limit { count: 512, bytes: 1 << 30 };
    let mut from = 1;
    group.throughput(Throughput::Elements(512));
    group.bench_function("512 certified headers", |bencher| {
        bencher.iter(|| {
            let range = store.certified_headers(Height(from), limit).unwrap();
            assert_eq!(range.len(), 512);
            from = from % 3_000 + 512;
        });
    });
    let ids: Vec<BlockId> = store
        .certified_headers(Height(1), Limit { count: 160, ..limit })
        .unwrap()
        .iter()
        .map(|row| row.block.id)
        .collect();
    group.throughput(Throughput::Bytes(16 * 100_000));
    let mut at = 0;
    group.bench_function("16 bodies of 100 KB", |bencher| {
        bencher.iter(|| {
            let bodies = store.bodies(&ids[at..at + 16], limit).unwrap();
            assert_eq!(bodies.iter().flatten().map(Bytes::len).sum::<usize>(), 1_600_000);
            at = (at + 16) % 144;
        });
    });
    group.finish();
}

/// The most memory that the process had so far.
fn resident() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find(|line| line.starts_with("VmHWM"));
    peak.map_or_else(|| "no figure for memory here".to_owned(), |line| line.replace("VmHWM:", "peak memory"))
}

criterion_group!(benches, commits, ceiling, reads);
criterion_main!(benches);
