//! A node that syncs is killed again and again, some times with its power: what was acknowledged is there, nothing of it is fetched again, and it
//! goes on at once.
//!
//! - **Decides**: whether a death cost more than what was in flight. **In**: a seed. **Out**: a [`Siege`] whose peers are not to blame.
//! - **On failure**: a violation names its time and rule; the seed replays it.

use std::collections::BTreeSet;
use std::time::Duration;

use alys_actor::{Randomness, Stream};
use alys_chain::{BlockId, Height};
use tokio::time::{Instant, sleep, timeout};

use super::field::{Field, NODE};
use super::run::{LIMIT, in_virtual_time};
use super::{Ground, Siege};
use crate::faults::Dice;
use crate::invariants::Rule;
use crate::process::Process;
use crate::trace::{Log, Place};

/// The name of this scenario.
pub const NAME: &str = "kills";
/// How often the node is killed at most.
const MOST_KILLS: u64 = 8;
/// How long it is down at most.
const LONGEST_DOWN: Duration = Duration::from_secs(2);
/// So long after its start it imports again.
const IMPORTS_WITHIN: Duration = Duration::from_secs(3);

/// Syncs from the honest peer of a seed, with kills.
///
/// # Panics
/// If the node fails to start, which is a defect.
#[must_use]
pub fn run(seed: u64, clean: Duration, log: Log) -> Siege {
    in_virtual_time(async {
        let mut kills = Kills::new(Ground::shared(), seed, log);
        let took = kills.live(clean).await;
        kills.end(seed, clean, took)
    })
}

struct Kills<'a> {
    field: Field<'a>,
    dice: Dice<Stream>,
    process: Option<Process>,
    /// What was on the disk when this life began.
    durable: BTreeSet<BlockId>,
}

impl<'a> Kills<'a> {
    fn new(ground: &'a Ground, seed: u64, log: Log) -> Self {
        let mut field = Field::new(ground, None, seed, log);
        let process = Some(field.start());
        let dice = Dice(Randomness::seeded(seed).stream(NAME));
        Self { field, dice, process, durable: BTreeSet::new() }
    }

    /// Lives and dies until the node has everything; how long that took.
    async fn live(&mut self, clean: Duration) -> Option<Duration> {
        let start = Instant::now();
        let kills = 1 + self.dice.below(MOST_KILLS);
        let life = clean * 2 / u32::try_from(kills).unwrap_or(1);
        for _ in 0..kills {
            let length = self.dice.time(life);
            if self.syncs_within(length).await {
                break;
            }
            self.die().await;
        }
        self.syncs_within(LIMIT).await.then(|| start.elapsed())
    }

    /// Whether the node has everything within this time. Beside that it is to import soon.
    async fn syncs_within(&self, time: Duration) -> bool {
        let Some(process) = &self.process else { return false };
        let from = self.stored(process);
        let tip = self.field.ground.history.tip().header.height;
        let mut view = process.chain().watch();
        let soon = time.min(IMPORTS_WITHIN);
        let is_late = timeout(soon, view.wait_for(|view| view.head.height > from)).await.is_err();
        if is_late && soon == IMPORTS_WITHIN && from < tip {
            self.broken(Rule::Recovery, format!("nothing is imported above {from} within {soon:?}"));
        }
        timeout(time - soon, view.wait_for(|view| view.head.height >= tip)).await.is_ok()
    }

    /// Kills the node, and starts it again a while later.
    async fn die(&mut self) {
        let Some(process) = self.process.take() else { return };
        self.look(&process);
        let acknowledged = process.chain().watch().borrow().head.height;
        let power = self.dice.percent(50);
        self.field.witness.lock().note(Place::World, if power { "the power fails" } else { "a kill" });
        self.field.kill(process, power);
        sleep(self.dice.time(LONGEST_DOWN)).await;
        self.field.witness.lock().asked.clear();
        let process = self.field.start();
        let stored = self.stored(&process);
        if stored < acknowledged {
            self.broken(Rule::Durable, format!("{acknowledged} was acknowledged, {stored} is there"));
        }
        let headers = self.field.ground.history.headers.iter();
        let below = headers.take_while(|header| header.header.height <= stored);
        self.durable = below.map(|header| header.certificate.block).collect();
        self.process = Some(process);
    }

    /// The height of what is on the disk.
    fn stored(&self, process: &Process) -> Height {
        process.store.head().map_or(Height::ZERO, |head| head.height)
    }

    /// Looks through what the node holds, and what it has asked for in this life.
    fn look(&self, process: &Process) {
        let mut told = self.field.witness.lock();
        let at = told.now();
        told.judge.inspect(at, NODE, process.store.as_ref());
        told.judge.queues(at, NODE, &process.actors());
        told.judge.peers(at, NODE, &process.peers().peers);
        told.judge.budget(at, NODE, &process.sync().watch().borrow());
        let wanted = told.asked.values().flat_map(|asked| &asked.wanted);
        let again = wanted.filter(|id| self.durable.contains(*id)).count();
        if again > 0 {
            told.broken(Place::Node(NODE), Rule::Durable, format!("{again} durable bodies are asked for"));
        }
    }

    fn broken(&self, rule: Rule, how: String) {
        self.field.witness.lock().broken(Place::Node(NODE), rule, how);
    }

    fn end(mut self, seed: u64, clean: Duration, took: Option<Duration>) -> Siege {
        if let Some(process) = self.process.take() {
            self.look(&process);
        }
        if took.is_none() {
            self.broken(Rule::InTime, format!("not synced after {LIMIT:?}"));
        }
        let violations = self.field.witness.lock().judge.violations().to_vec();
        let trace = self.field.witness.clone().into_trace();
        Siege {
            name: NAME,
            seed,
            clean,
            besieged: took,
            offences: 0,
            leases: 0,
            digest: trace.digest(),
            violations,
            log: trace.into_log(),
        }
    }
}
