//! Every fuzz target on the stable toolchain: over its corpus, and over generated inputs (valid ones, damaged ones, noise).
//!
//! The allocator refuses what a decoder may not take: twice the input and 64 KB. It is the process's, so this file has one test; if it
//! aborts with "memory allocation failed", the target named last is to blame, and the seed replays it.

mod samples;
#[path = "../../../../fuzz/src/targets.rs"]
mod targets;

use std::alloc::System;
use std::fs;
use std::io::{Write, stderr};
use std::path::PathBuf;

use alys_chain::checkpoint::{Checkpoint, Federation};
use alys_chain::{BlockId, Hash, Height, Lineage, SetId, Slot};
use alys_wire::GossipMessage;
use alys_wire::limits::INLINE_BODY_BYTES;
use bytes::Bytes;
use cap::Cap;
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use targets::{TARGETS, Target};

#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

const SEED: u64 = 0xa1_75;
const GENERATED: usize = 100_000;
/// Beyond twice the input: room for errors, boxes and the harness.
const SLACK: usize = 64 * 1024;

#[test]
fn no_input_breaks_a_decoder() {
    for (i, target) in (0..).zip(TARGETS) {
        let corpus = corpus(target.name);
        // Not captured: the last line before an abort counts.
        let _ = writeln!(stderr(), "fuzz {}: {} inputs, seed {}", target.name, corpus.len(), SEED + i);
        assert!(!corpus.is_empty(), "{} has a corpus", target.name);
        corpus.iter().for_each(|input| run(target, input));
        let mut rng = ChaCha8Rng::seed_from_u64(SEED + i);
        for _ in 0..GENERATED {
            let input = generate(&mut rng, &corpus);
            run(target, &input);
        }
    }
}

#[test]
#[ignore = "writes the corpus anew: for a change of the format, run alone"]
fn write_corpus() {
    for (target, inputs) in valid() {
        let folder = folder(target);
        fs::create_dir_all(&folder).expect("a folder can be made");
        for (i, input) in inputs.iter().enumerate() {
            fs::write(folder.join(format!("valid-{i:02}")), input).expect("a file can be written");
        }
    }
}

fn run(target: Target, input: &[u8]) {
    let budget = ALLOCATOR.allocated() + 2 * input.len() + SLACK;
    ALLOCATOR.set_limit(budget).expect("more than is in use");
    (target.decode)(input);
    ALLOCATOR.set_limit(usize::MAX).expect("more than is in use");
    (target.check)(input);
}

fn folder(target: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../fuzz/corpus").join(target)
}

/// The committed inputs, in the order of their names.
fn corpus(target: &str) -> Vec<Vec<u8>> {
    let entries = fs::read_dir(folder(target)).expect("the corpus is there");
    let mut files: Vec<_> = entries.map(|entry| entry.expect("readable").path()).collect();
    files.sort();
    files.iter().map(|file| fs::read(file).expect("readable")).collect()
}

/// Noise, a valid input, or (mostly) a damaged one.
fn generate(rng: &mut impl Rng, corpus: &[Vec<u8>]) -> Vec<u8> {
    let mut input = pick(rng, corpus).clone();
    match below(rng, 10) {
        0 => {
            let mut noise = vec![0; below(rng, 400)];
            rng.fill_bytes(&mut noise);
            return noise;
        }
        1 => return input,
        2 => input.extend_from_slice(pick(rng, corpus)),
        _ => {}
    }
    for _ in 0..=below(rng, 4) {
        damage(rng, &mut input);
    }
    input
}

fn damage(rng: &mut impl Rng, input: &mut Vec<u8>) {
    /// Counts and offsets where mistakes live.
    const EDGES: [u32; 8] = [0, 1, 4, 0x7f, 512, 0xffff, 0x7fff_ffff, u32::MAX];
    let at = below(rng, input.len() + 1);
    match below(rng, 6) {
        0 => input.truncate(at),
        1 => input.insert(at, rng.next_u32().to_le_bytes()[0]),
        2 if at < input.len() => drop(input.remove(at)),
        3 if at + 4 <= input.len() => {
            let value =
                if below(rng, 2) == 0 { EDGES[below(rng, EDGES.len())] } else { rng.next_u32() % 1_024 };
            input[at..at + 4].copy_from_slice(&value.to_le_bytes());
        }
        4 if at < input.len() => input[at] ^= 1 << below(rng, 8),
        _ if at < input.len() => input[at] = rng.next_u32().to_le_bytes()[0],
        _ => {}
    }
}

fn below(rng: &mut impl Rng, n: usize) -> usize {
    usize::try_from(rng.next_u32()).unwrap_or(0) % n.max(1)
}

fn pick<'a>(rng: &mut impl Rng, corpus: &'a [Vec<u8>]) -> &'a Vec<u8> {
    &corpus[below(rng, corpus.len())]
}

/// What the corpus is made of.
fn valid() -> Vec<(&'static str, Vec<Vec<u8>>)> {
    let mut all = valid_gossip();
    all.extend(valid_bulk());
    all.extend([
        ("status", samples::statuses().iter().map(samples::encode_status).collect()),
        ("body", vec![Vec::new(), samples::body().0.to_vec()]),
        ("header", vec![samples::header().encode().to_vec()]),
        ("certified_header", vec![samples::certified().encode().to_vec()]),
        ("certificate", vec![samples::certificate().encode().to_vec(), samples::joint().encode().to_vec()]),
        ("approval", vec![samples::approval().encode().to_vec()]),
        ("report", vec![samples::report().encode().to_vec()]),
        ("finality_proof", vec![samples::proof().encode()]),
        ("address", addresses()),
        ("checkpoint", checkpoints()),
    ]);
    all
}

fn valid_gossip() -> Vec<(&'static str, Vec<Vec<u8>>)> {
    let encode =
        |messages: &[GossipMessage]| messages.iter().map(|message| message.encode().to_vec()).collect();
    let (certificate, joint) = (samples::certificate(), samples::joint());
    let proposals = [
        samples::proposal(Some(certificate), Some(samples::body())),
        samples::proposal(Some(joint), None),
        samples::proposal(None, Some(alys_chain::Body::default())),
        samples::proposal(None, Some(alys_chain::Body(vec![7; 2_000].into()))),
    ];
    let transactions = [Bytes::from_static(&[1]), vec![2; 300].into()].map(GossipMessage::Transaction);
    vec![
        ("gossip_blocks", encode(&proposals)),
        ("gossip_approvals", encode(&[GossipMessage::Approval(samples::approval())])),
        ("gossip_certificates", encode(&[certificate, joint].map(GossipMessage::Certificate))),
        ("gossip_transactions", encode(&transactions)),
    ]
}

fn valid_bulk() -> Vec<(&'static str, Vec<Vec<u8>>)> {
    let requests: Vec<_> = samples::requests().iter().map(samples::encode_request).collect();
    let responses: Vec<_> = samples::responses().iter().map(samples::encode_response).collect();
    // A payload behind its type byte, without the length.
    let single =
        |frames: &[Vec<u8>]| frames.iter().map(|frame| [&frame[..1], &frame[5..]].concat()).collect();
    let large = samples::encode_response(&alys_wire::ResponseFrame {
        id: alys_wire::RequestId(1),
        response: alys_wire::Response::Body {
            block: samples::header().id(),
            body: alys_chain::Body(vec![1; INLINE_BODY_BYTES / 8].into()),
        },
    });
    vec![
        ("request", single(&requests)),
        ("response", single(&responses)),
        ("request_stream", vec![requests.concat(), requests[3].clone()]),
        ("response_stream", vec![responses.concat(), large]),
    ]
}

fn addresses() -> Vec<Vec<u8>> {
    const ID: &str = "12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA";
    [
        "/ip4/127.0.0.1/tcp/30300".to_owned(),
        format!("/ip6/::ffff:10.0.0.1/udp/30300/quic-v1/p2p/{ID}"),
        format!("/dns4/node.example/tcp/30300/p2p/{ID}"),
        format!("/ip4/10.0.0.1/tcp/1/p2p/{ID}/p2p-circuit/p2p/{ID}"),
    ]
    .map(String::into_bytes)
    .to_vec()
}

fn checkpoints() -> Vec<Vec<u8>> {
    let federation = Federation { set: SetId(1), lineage: Lineage::GENESIS };
    let at = Checkpoint {
        genesis: BlockId([8; 32]),
        height: Height(7),
        slot: Slot(9),
        block: samples::header().id(),
        state_root: Hash([3; 32]),
        certificate: Some(samples::certificate()),
        federation,
        peers: Bytes::from_static(b"peers"),
    };
    let genesis = Checkpoint {
        height: Height::ZERO,
        slot: Slot::ZERO,
        block: at.genesis,
        certificate: None,
        peers: Bytes::new(),
        ..at.clone()
    };
    [at, genesis].iter().map(|checkpoint| checkpoint.encode().expect("small")).collect()
}
