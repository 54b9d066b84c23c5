//! `bench approvals`: what checking a block's certificate costs, by the size of the batch and the number of signer sets in it, and how it
//! scales over cores; beside the bars that it has to keep.

use std::time::Duration;

use alys_actor::Randomness;
use alys_chain::batch::{self, Entry, Search};
use alys_chain::{AuthorityIndex, Body, Certificate, Hash, Header, Height, Required, Rules, SetId, Slot};
use alys_figure::Figure;
use anyhow::Result;
use clap::Args;
use tokio::time::Instant;

use crate::cores;
use crate::federation::Federation;

/// The sizes of batches that are measured; the node takes ranges of 512.
const BATCHES: [usize; 4] = [16, 64, 256, 512];
/// The size that the bars are for.
const BARRED_BATCH: usize = 256;
/// The numbers of signer sets that are measured: everybody always there, to every block another set.
const SIGNER_SETS: [usize; 4] = [1, 16, 64, 256];
/// The most milliseconds of one core a block in a batch of that size: with up to 16 signer sets, and with any mix of them.
const BARS: [(usize, f64); 2] = [(16, 0.11), (usize::MAX, 0.14)];
/// How many times as fast as one core four must be.
const FOUR_CORES_BAR: f64 = 3.4;
/// How long each figure is measured at least.
const AT_LEAST: Duration = Duration::from_millis(700);
/// Certificates for the scaling over cores: so many batches that no core waits long for the last one.
const SCALING_BATCHES: usize = 32;
/// The federation has one set, from the first slot on.
const REQUIRED: Required = Required { own: SetId(0), old: None };

/// The arguments of `bench approvals`.
#[derive(Debug, Args)]
pub struct Approvals {
    /// How many authorities there are.
    #[arg(long, default_value_t = 15)]
    authorities: u8,
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(command: &Approvals) -> Result<()> {
    let one = Certificates::new(command.authorities, 16, 64)?;
    let single = one.milliseconds(|all| {
        all.iter().for_each(|certificate| certificate.verify(&one.rules, REQUIRED).expect("it is valid"));
    });
    Figure::new("approvals/one_by_one", single, "ms/block").print(command.json);
    for size in BATCHES {
        for sets in SIGNER_SETS.into_iter().filter(|sets| *sets <= size) {
            let these = Certificates::new(command.authorities, sets, size)?;
            let milliseconds = these.milliseconds(|all| check(&these.rules, all));
            let name = format!("approvals/batch_{size}/signer_sets_{sets}");
            let mut figure = Figure::new(name, milliseconds, "ms/block");
            // How many times as fast: less time is more.
            figure.baseline_ratio = Some(single / milliseconds);
            figure = figure.column("batch", size).column("signer_sets", sets);
            let bar = BARS.into_iter().find(|(up_to, _)| sets <= *up_to);
            if let Some((_, bar)) = bar.filter(|_| size == BARRED_BATCH) {
                figure = figure.column("bar_ms", bar).pass(milliseconds <= bar);
            }
            figure.print(command.json);
        }
    }
    scaling(command)
}

/// Blocks a second over one core, two, and so on.
fn scaling(command: &Approvals) -> Result<()> {
    let these = Certificates::new(command.authorities, 16, BARRED_BATCH * SCALING_BATCHES)?;
    let batches: Vec<&[Certificate]> = these.certificates.chunks(BARRED_BATCH).collect();
    let mut alone = None;
    for count in 1..=cores::available() {
        let milliseconds =
            these.milliseconds(|_| cores::each(count, &batches, |batch| check(&these.rules, batch)));
        let rate = 1_000.0 / milliseconds;
        let alone = *alone.get_or_insert(rate);
        let mut figure = Figure::new(format!("approvals/cores_{count}"), rate, "blocks/s").against(alone);
        if count == 4 {
            figure = figure.column("bar", FOUR_CORES_BAR).pass(rate >= FOUR_CORES_BAR * alone);
        }
        figure.column("cores", count).print(command.json);
    }
    Ok(())
}

fn check(rules: &Rules, certificates: &[Certificate]) {
    let entries: Vec<Entry<'_>> =
        certificates.iter().map(|certificate| Entry { certificate, required: REQUIRED }).collect();
    let mut weights = Randomness::system().stream("certificate weights");
    let verdict = batch::verify(rules, &entries, Search::First, &mut weights);
    assert!(verdict.faults.is_empty(), "all of them are valid");
}

struct Certificates {
    rules: Rules,
    certificates: Vec<Certificate>,
}

impl Certificates {
    fn new(authorities: u8, signer_sets: usize, count: usize) -> Result<Self> {
        let federation = Federation::new(authorities, signer_sets)?;
        let rules = Rules::new(&federation.genesis, Hash::default());
        let certificates = (1..).take(count).map(|height| certificate(&federation, &rules, height)).collect();
        Ok(Self { rules, certificates })
    }

    /// Milliseconds a block of doing `work` with all of them, the fastest of the rounds: what disturbs a round only ever slows it down.
    fn milliseconds(&self, work: impl Fn(&[Certificate])) -> f64 {
        let begin = Instant::now();
        let mut best = Duration::MAX;
        while begin.elapsed() < AT_LEAST {
            let round = Instant::now();
            work(&self.certificates);
            best = best.min(round.elapsed());
        }
        #[expect(clippy::cast_precision_loss, reason = "some thousands")]
        let blocks = self.certificates.len() as f64;
        best.as_secs_f64() * 1_000.0 / blocks
    }
}

fn certificate(federation: &Federation, rules: &Rules, height: u64) -> Certificate {
    let (height, slot) = (Height(height), Slot(height));
    let header = Header {
        height,
        slot,
        parent: rules.genesis_id(),
        body_root: Body::empty_root(),
        state_root: Hash::default(),
        proposer: AuthorityIndex(0),
    };
    federation.certify(rules, &header, header.id())
}
