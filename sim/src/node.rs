//! One node of the world: what outlives its process (identity, disk, peer book, the error of its clock), and the process while it runs.

use alys_actor::{Clock, Randomness, Skew};
use alys_actors::peer::Book;
use alys_chain::BlockRef;
use alys_storage::MemoryDisk;
use alys_storage::memory::Fault;
use alys_transport::simulated;
use std::time::Duration;
use tokio::time::Instant;

use crate::plan::{Plan, SharedKey, slot_at};
use crate::process::{Equipment, Process};
use crate::site::Site;
use crate::tap::Witness;

/// One node.
pub struct Node {
    /// Its number in the world.
    pub number: usize,
    disk: MemoryDisk,
    book: Book,
    /// The error of its clock in milliseconds, and the clock of its process.
    skew: (i64, Option<Skew>),
    disk_full: bool,
    /// How often it was started.
    lives: u64,
    born: Instant,
    planted: Option<SharedKey>,
    process: Option<Process>,
}

impl Node {
    /// A node that has never run. The world begins now.
    #[must_use]
    pub fn new(number: usize, plan: &Plan) -> Self {
        Self {
            number,
            disk: MemoryDisk::new(),
            book: Book::memory(),
            skew: (0, None),
            disk_full: false,
            lives: 0,
            born: Instant::now(),
            planted: plan.planted,
            process: None,
        }
    }

    /// Starts its process, from whatever is on its disk. One that runs goes on.
    ///
    /// # Panics
    /// When the disk cannot be opened: it is told to fail only while the node runs.
    pub fn start(&mut self, site: &Site, network: &simulated::Network, witness: &Witness) {
        if self.process.is_some() {
            return;
        }
        let (clock, skew) = Clock::simulated(Site::wall_time(self.born.elapsed()));
        skew.set(self.skew.0);
        self.skew.1 = Some(skew);
        self.lives += 1;
        let randomness =
            Randomness::seeded(site.seed).child(&format!("node {} life {}", self.number, self.lives));
        let equipment = Equipment {
            number: self.number,
            disk: self.disk.clone(),
            book: self.book.clone(),
            clock,
            randomness,
            fresh: self.lives == 1,
            key: self.key_of(),
            bootnodes: site.bootnodes(self.number),
        };
        self.process = Some(Process::start(equipment, site, network, witness));
    }

    /// Whose key it runs with.
    fn key_of(&self) -> usize {
        match self.planted {
            Some(SharedKey { node, authority }) if node == self.number => authority,
            _ => self.number,
        }
    }

    /// Whether it runs with a key that is not its own.
    #[must_use]
    pub fn has_planted_key(&self) -> bool {
        self.key_of() != self.number
    }

    /// Ends its process without a warning; the network must have been told before. With `power` its disk loses what was not synced.
    pub fn crash(&mut self, site: &Site, power: bool) {
        if power {
            self.disk.crash();
        } else {
            // Cuts the dying process off its disk, as the end of a real one would.
            drop(self.disk.open(site.network.rules.genesis_id()));
        }
        self.process = None;
        self.skew.1 = None;
    }

    /// Sets its clock wrong by so many milliseconds, or right.
    pub fn set_skew(&mut self, millis: i64) {
        self.skew.0 = millis;
        if let Some(skew) = &self.skew.1 {
            skew.set(millis);
        }
    }

    /// The slot that it lives in, by its own clock.
    #[must_use]
    pub fn slot(&self) -> u64 {
        let now = i64::try_from(self.born.elapsed().as_millis()).unwrap_or(i64::MAX) + self.skew.0;
        slot_at(Duration::from_millis(u64::try_from(now).unwrap_or(0)))
    }

    /// Fills its disk, or makes room.
    pub fn set_disk_full(&mut self, full: bool) {
        self.disk_full = full;
        self.keep_disk_full();
    }

    /// The disk refuses one commit at a time, so that a full one must be kept full. It fills up while the node runs: one that finds it full when it
    /// starts for the first time does not start, which its operator sees.
    pub fn keep_disk_full(&self) {
        if self.disk_full && self.process.is_some() {
            self.disk.fail_commit(1, Fault::DiskFull);
        }
    }

    /// Its process, if it runs.
    #[must_use]
    pub const fn running(&self) -> Option<&Process> {
        self.process.as_ref()
    }

    /// Where its chain stands, if it runs.
    #[must_use]
    pub fn head(&self) -> Option<BlockRef> {
        self.process.as_ref().map(|process| process.chain().watch().borrow().head)
    }
}
