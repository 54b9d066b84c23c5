//! What a siege takes place on: the peers, their lines, and the node between its lives.
//!
//! - **Owns**: the simulated network, the sources on it, the disk and the peer book of the node.
//! - **In**: a seed, and what the peers do. **Out**: processes, each begun from what is on the disk.
//! - **On failure**: nothing can fail that is not a defect of this program.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use alys_actor::{Clock, Randomness};
use alys_actors::peer::Book;
use alys_chain::{AuthorityIndex, Seat, SetId, UnixMillis};
use alys_storage::MemoryDisk;
use alys_transport::simulated::{self, Link, SimulatedTransport};
use alys_transport::{BlockSource, Config, Events};
use tokio::time::Instant;

use super::history::BLOCKS;
use super::peer::{Line, Member, Peer};
use super::{AUTHORITIES, Attack, Ground, Lie, PEERS};
use crate::faults::Dice;
use crate::plan::start_of;
use crate::process::{Equipment, Process};
use crate::site::Site;
use crate::tap::Witness;
use crate::trace::Log;

/// The number of the node under siege.
pub const NODE: usize = PEERS;

/// What the seed decides of a peer.
struct Draw {
    number: usize,
    link: Link,
    is_honest: bool,
}

/// The ten peers of a seed; the same, whatever the attack.
fn draw(randomness: &Randomness) -> Vec<Draw> {
    let mut dice = Dice(randomness.stream("peers"));
    let honest = dice.index(PEERS);
    let draws = (0..PEERS).map(|number| {
        let is_honest = number == honest;
        // The honest one is no faster than the least of the others.
        let bandwidth =
            if is_honest { 500_000 + dice.below(1_000_000) } else { 1_500_000 + dice.below(8_500_000) };
        let latency = Duration::from_millis(5 + dice.below(95));
        let jitter = Duration::from_millis(dice.below(20));
        Draw {
            number,
            is_honest,
            link: Link { latency, jitter, bandwidth: Some(bandwidth), ..Link::default() },
        }
    });
    draws.collect()
}

/// See the [module](self).
pub struct Field<'a> {
    /// What is the same for every seed.
    pub ground: &'a Ground,
    /// The peers, by number.
    pub peers: Vec<(usize, Arc<Peer>)>,
    /// What is known of the run.
    pub witness: Witness,
    /// What keeps the peers on the network.
    _present: Vec<(SimulatedTransport, Events)>,
    network: simulated::Network,
    randomness: Randomness,
    disk: MemoryDisk,
    book: Book,
    lives: u64,
    began: Instant,
}

impl<'a> Field<'a> {
    /// The ten peers of a seed with their lies; without an attack the honest one alone.
    pub fn new(ground: &'a Ground, attack: Option<&Attack>, seed: u64, log: Log) -> Self {
        let site = &ground.site;
        let randomness = Randomness::seeded(seed);
        let names = site.peers.iter().enumerate().map(|(node, &peer)| (peer, node)).collect();
        let mut field = Self {
            ground,
            peers: Vec::new(),
            witness: Witness::new(site.network.rules.clone(), names, log),
            _present: Vec::new(),
            network: simulated::Network::new(seed),
            randomness,
            disk: MemoryDisk::new(),
            book: Book::memory(),
            lives: 0,
            began: Instant::now(),
        };
        let mut lies = Dice(randomness.stream("lies"));
        for draw in draw(&randomness).into_iter().filter(|draw| draw.is_honest || attack.is_some()) {
            let lie = attack.filter(|_| !draw.is_honest).map(|attack| (attack.lie)(&mut lies));
            field.join(&draw, lie);
        }
        field
    }

    fn join(&mut self, draw: &Draw, lie: Option<Lie>) {
        let (site, number) = (&self.ground.site, draw.number);
        let is_authority = number < AUTHORITIES;
        if lie.is_some() {
            self.witness.lock().judge.expect_lies(site.peers[number], is_authority);
        }
        let ends = (site.peers[number], site.peers[NODE]);
        self.network.set_link(ends.0, ends.1, draw.link);
        let peer = Arc::new(Peer {
            history: self.ground.history.clone(),
            lie,
            line: Line { network: self.network.clone(), ends, link: draw.link },
            member: is_authority.then(|| member(site, number, &self.clock())),
            dice: Mutex::new(Dice(self.randomness.stream(&format!("liar {number}")))),
            lies: AtomicU64::new(0),
            asked: AtomicU64::new(0),
        });
        self._present.push(join(site, &self.network, number, peer.clone()));
        self.peers.push((number, peer));
    }

    /// The time: that of a node which comes in the slot after the last block's.
    fn clock(&self) -> Clock {
        let beginning = Site::wall_time(start_of(BLOCKS + 1));
        let since = u64::try_from(self.began.elapsed().as_millis()).expect("a siege lasts for minutes");
        Clock::simulated(UnixMillis(beginning.0 + since)).0
    }

    /// Starts the node, from what is on its disk.
    pub fn start(&mut self) -> Process {
        self.lives += 1;
        let site = &self.ground.site;
        let equipment = Equipment {
            number: NODE,
            disk: self.disk.clone(),
            book: self.book.clone(),
            clock: self.clock(),
            randomness: self.randomness.child(&format!("besieged, life {}", self.lives)),
            fresh: self.lives == 1,
            key: NODE,
            bootnodes: self.peers.iter().map(|(number, _)| Site::address(*number)).collect(),
        };
        self.witness.lock().judge.restarted(NODE);
        Process::start(equipment, site, &self.network, &self.witness)
    }

    /// Kills the node. With `power` its disk loses what was not synced.
    pub fn kill(&self, process: Process, power: bool) {
        self.network.crash(self.ground.site.peers[NODE]);
        if power {
            self.disk.crash();
        } else {
            // Cuts the dying process off its disk, as the end of a real one would.
            drop(self.disk.open(self.ground.site.network.rules.genesis_id()));
        }
        drop(process);
    }
}

fn member(site: &Site, number: usize, clock: &Clock) -> Member {
    let authority = AuthorityIndex(u8::try_from(number).expect("one of a few"));
    Member {
        seat: Seat { set: SetId(0), authority },
        key: site.keys[number].clone(),
        rules: site.network.rules.clone(),
        clock: clock.clone(),
    }
}

fn join(
    site: &Site,
    network: &simulated::Network,
    number: usize,
    source: Arc<dyn BlockSource>,
) -> (SimulatedTransport, Events) {
    let config =
        Config { listen: vec![Site::address(number)], ..Config::new(site.network.rules.genesis_id()) };
    network.rejoin(site.peers[number], &config, source)
}
