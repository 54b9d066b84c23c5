//! One run of a siege: the node starts with nothing, the peers are there, and time passes until it has everything.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use alys_sync::Report;
use alys_wire::PeerId;
use tokio::time::{Instant, sleep, timeout};

use super::field::{Field, NODE};
use super::peer::Peer;
use super::{AUTHORITIES, Attack, End, Ground, Siege};
use crate::invariants::Rule;
use crate::process::Process;
use crate::trace::{Log, Place};

/// How often the node is looked at.
const LOOK: Duration = Duration::from_millis(500);
/// When we give up on it.
pub const LIMIT: Duration = Duration::from_secs(600);
/// So many offences, and not more, has a peer that is no authority.
const OFFENCES: u64 = 3;
/// How long the peer book takes at most to hear of what was seen, and to show what follows from it.
const SETTLE: Duration = Duration::from_secs(2);

/// How long sync takes with the honest peer alone; `None` if it does not end.
pub fn alone(ground: &Ground, seed: u64) -> Option<Duration> {
    in_virtual_time(async {
        let mut siege = Run::new(ground, None, seed, Log::Drop);
        siege.live().await
    })
}

/// A run under attack.
pub fn besieged(ground: &Ground, attack: &Attack, seed: u64, clean: Duration, log: Log) -> Siege {
    in_virtual_time(async {
        let mut siege = Run::new(ground, Some(attack), seed, log);
        let took = siege.live().await;
        // What was seen last is on its way to the peer book.
        sleep(SETTLE).await;
        let verdicts = siege.verdicts().await;
        siege.judge(attack, (clean, took), &verdicts);
        siege.end(attack, seed, (clean, took), &verdicts)
    })
}

pub fn in_virtual_time<T>(run: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime without threads and sockets needs nothing but memory").block_on(run)
}

/// What became of a liar.
#[derive(Debug)]
struct Verdict {
    /// False answers, those that were on their way when it was banned included.
    lies: u64,
    /// What it was reported to the peer book for.
    offences: u64,
    /// Leases that brought nothing of use.
    leases: u64,
    is_banned: bool,
    is_authority: bool,
}

impl Verdict {
    const fn is_wrong(&self, end: End) -> bool {
        match end {
            End::Banned => {
                let is_late = self.offences > OFFENCES || self.offences == OFFENCES && !self.is_banned;
                let is_excused = self.lies > OFFENCES && !self.is_banned;
                !self.is_authority && (is_late || is_excused)
            }
            End::NoMoreWork(leases) => self.leases > leases,
        }
    }
}

struct Run<'a> {
    field: Field<'a>,
    process: Process,
    start: Instant,
}

impl<'a> Run<'a> {
    fn new(ground: &'a Ground, attack: Option<&Attack>, seed: u64, log: Log) -> Self {
        let mut field = Field::new(ground, attack, seed, log);
        let process = field.start();
        Self { field, process, start: Instant::now() }
    }

    /// Runs until the node has everything; how long that took.
    async fn live(&mut self) -> Option<Duration> {
        let tip = self.field.ground.history.tip().header.height;
        let mut view = self.process.chain().watch();
        while self.start.elapsed() < LIMIT {
            let there = timeout(LOOK, view.wait_for(|view| view.head.height >= tip)).await.is_ok();
            self.look();
            if there {
                return Some(self.start.elapsed());
            }
        }
        None
    }

    fn look(&self) {
        let mut told = self.field.witness.lock();
        let at = told.now();
        told.judge.queues(at, NODE, &self.process.actors());
        told.judge.peers(at, NODE, &self.process.peers().peers);
        told.judge.budget(at, NODE, &self.process.sync().watch().borrow());
    }

    fn judge(&self, attack: &Attack, (clean, took): (Duration, Option<Duration>), verdicts: &[Verdict]) {
        let mut told = self.field.witness.lock();
        let at = told.now();
        told.judge.inspect(at, NODE, self.process.store.as_ref());
        let most = clean * attack.within_permille / 1_000;
        if took.is_none_or(|took| took > most) {
            let how = format!("{} took {took:?}, clean {clean:?}, at most {most:?}", attack.name);
            told.broken(Place::World, Rule::InTime, how);
        }
        for ((number, peer), verdict) in self.liars().zip(verdicts) {
            let how = format!("peer {number} ({:?}): {verdict:?}", peer.lie);
            told.note(Place::World, &how);
            if verdict.is_wrong(attack.end) {
                told.broken(Place::Node(NODE), Rule::GuiltyPeers, how);
            }
        }
    }

    /// What became of each liar.
    async fn verdicts(&self) -> Vec<Verdict> {
        let explained = self.process.sync().get_explain().await;
        let reports = explained.map(|explained| explained.recorder).unwrap_or_default();
        let blamed = |id: PeerId| {
            let is_theirs = |report: &Report| matches!(report, Report::Blamed { peer, .. } if *peer == id);
            reports.iter().filter(|entry| is_theirs(&entry.report)).count() as u64
        };
        let (told, book) = (self.field.witness.lock(), self.process.peers());
        let verdict = |(number, peer): (usize, &Arc<Peer>)| {
            let id = self.field.ground.site.peers[number];
            Verdict {
                lies: peer.lies.load(Ordering::Relaxed),
                offences: blamed(id),
                leases: told.asked.get(&(NODE, id)).map_or(0, |asked| peer.in_vain(asked)),
                is_banned: book.peers.iter().any(|known| known.peer == id && known.ban.is_some()),
                is_authority: number < AUTHORITIES,
            }
        };
        self.liars().map(verdict).collect()
    }

    fn liars(&self) -> impl Iterator<Item = (usize, &Arc<Peer>)> {
        self.field.peers.iter().filter(|(_, peer)| peer.lie.is_some()).map(|(number, peer)| (*number, peer))
    }

    fn end(
        self,
        attack: &Attack,
        seed: u64,
        (clean, besieged): (Duration, Option<Duration>),
        verdicts: &[Verdict],
    ) -> Siege {
        let commoners = verdicts.iter().filter(|verdict| !verdict.is_authority);
        let offences = commoners.map(|verdict| verdict.offences).max().unwrap_or(0);
        let leases = verdicts.iter().map(|verdict| verdict.leases).max().unwrap_or(0);
        let violations = self.field.witness.lock().judge.violations().to_vec();
        let trace = self.field.witness.clone().into_trace();
        Siege {
            name: attack.name,
            seed,
            clean,
            besieged,
            offences,
            leases,
            digest: trace.digest(),
            violations,
            log: trace.into_log(),
        }
    }
}
