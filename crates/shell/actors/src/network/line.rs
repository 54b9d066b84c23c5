//! What outlives an incarnation of the NetworkActor: the transport, and what it has told of the connections.
//!
//! The transport goes on while the actor is restarted, so the next incarnation must know what the last one knew: a connection is announced once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use alys_chain::{AuthorityIndex, Moment, SetId};
use alys_transport::{Direction, Transport};
use alys_wire::{Address, PeerId};
use tokio::sync::watch;

use super::ingress::{NetworkStatus, Present};

/// The transport and its connections. Clones are the same.
#[derive(Clone)]
pub struct Line(Arc<Shared>);

struct Shared {
    transport: Arc<dyn Transport>,
    known: Mutex<Known>,
    status: watch::Sender<NetworkStatus>,
}

/// What the transport has told.
pub(super) struct Known {
    /// Whether we take part.
    pub online: bool,
    pub listening: Vec<Address>,
    pub links: BTreeMap<PeerId, Link>,
    /// Who is explicit at the transport, connected or not.
    pub explicit: BTreeSet<PeerId>,
    /// The set that the proven claims are for; none before the first look at the clock.
    pub set: Option<SetId>,
    /// What sync was told: who can be asked, and for which authority it acts.
    pub told: BTreeMap<PeerId, Option<AuthorityIndex>>,
}

/// One connected peer.
pub(super) struct Link {
    pub address: Address,
    pub direction: Direction,
    pub claim: Claiming,
}

/// How far we are with a peer's claim to be an authority.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Claiming {
    /// It has not shown yet that it is of our network.
    Unidentified,
    /// To be asked at this time.
    Due(Moment),
    /// Asked.
    Asked,
    /// It acts for this authority of the present set.
    Proven(AuthorityIndex),
}

impl Link {
    pub const fn authority(&self) -> Option<AuthorityIndex> {
        match self.claim {
            Claiming::Proven(authority) => Some(authority),
            Claiming::Unidentified | Claiming::Due(_) | Claiming::Asked => None,
        }
    }

    pub fn identified(&self) -> bool {
        self.claim != Claiming::Unidentified
    }
}

impl Line {
    pub(super) fn new(transport: Arc<dyn Transport>) -> Self {
        let (status, _) = watch::channel(NetworkStatus::new(transport.local_peer()));
        let known = Known {
            online: true,
            listening: Vec::new(),
            links: BTreeMap::new(),
            explicit: BTreeSet::new(),
            set: None,
            told: BTreeMap::new(),
        };
        Self(Arc::new(Shared { transport, known: Mutex::new(known), status }))
    }

    pub(super) fn transport(&self) -> &dyn Transport {
        self.0.transport.as_ref()
    }

    pub(super) fn watch(&self) -> watch::Receiver<NetworkStatus> {
        self.0.status.subscribe()
    }

    /// Reads or changes what is known. `act` is short and calls nobody.
    pub(super) fn with<T>(&self, act: impl FnOnce(&mut Known) -> T) -> T {
        // One field changes at a time, so a panic elsewhere leaves nothing half done.
        act(&mut self.0.known.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Shows what has changed.
    pub(super) fn publish(&self) {
        self.0.status.send_replace(self.status());
    }

    pub(super) fn status(&self) -> NetworkStatus {
        let local = self.transport().local_peer();
        self.with(|known| NetworkStatus {
            local,
            online: known.online,
            listening: known.listening.clone(),
            present: known.present(),
        })
    }
}

impl Known {
    /// Everybody who is connected, by id.
    pub fn present(&self) -> Vec<Present> {
        let present = |(peer, link): (&PeerId, &Link)| Present {
            peer: *peer,
            address: link.address.clone(),
            direction: link.direction,
            identified: link.identified(),
            authority: link.authority(),
        };
        self.links.iter().map(present).collect()
    }

    /// Those whose claim is to be asked for now; they count as asked.
    pub fn take_due(&mut self, now: Moment) -> Vec<PeerId> {
        let due = |link: &Link| matches!(link.claim, Claiming::Due(at) if at <= now);
        let mut taken = Vec::new();
        for (peer, link) in self.links.iter_mut().filter(|(_, link)| due(link)) {
            link.claim = Claiming::Asked;
            taken.push(*peer);
        }
        taken
    }

    /// The tasks that waited for answers have ended with their incarnation.
    pub fn forget_questions(&mut self, now: Moment) {
        let asked = self.links.values_mut().filter(|link| link.claim == Claiming::Asked);
        asked.for_each(|link| link.claim = Claiming::Due(now));
    }

    /// What sync should know of a peer: nothing, or for which authority it acts.
    pub fn truth(&self, peer: PeerId) -> Option<Option<AuthorityIndex>> {
        self.links.get(&peer).filter(|link| link.identified()).map(Link::authority)
    }

    /// Those of whom sync does not know the truth.
    pub fn strangers_to_sync(&self) -> Vec<PeerId> {
        let all: BTreeSet<PeerId> = self.links.keys().chain(self.told.keys()).copied().collect();
        all.into_iter().filter(|peer| self.told.get(peer).copied() != self.truth(*peer)).collect()
    }
}
