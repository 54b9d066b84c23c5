//! The parts of a node, put together from the data directory and the settings.

use core::time::Duration;
use std::num::{NonZeroU64, NonZeroUsize};
use std::sync::{Arc, Mutex, PoisonError};

use alys_actor::{Clock, Event, Fault, Pool, Randomness};
use alys_actors::chain::StorageState;
use alys_actors::chain::local::Network as ChainNetwork;
use alys_actors::peer::Book;
use alys_actors::supervisor::{Base, Connect, Node, Parts, StartError, start as start_actors};
use alys_actors::sync::CheckpointDesk;
use alys_actors::{peer, sync};
use alys_storage::Checkpoints;
use alys_transport::{
    BlockSource, ConnectionLimits, Events, Identity, StartError as TransportError, Transport,
};
use alys_wire::Address;
use tokio::sync::broadcast::error::RecvError;
use tracing::{error, info};

use super::view::View;
use crate::exit::{Exit, Failure};
use crate::home::{BOOK_FILE, FLIGHT_RECORDER, Home};
use crate::settings::{Network, Settings, SyncMode};

/// A node that runs.
pub struct Running {
    node: Node,
    view: View,
}

/// Starts everything but the RPC: keys, database, transport, actors, in this order, so that what is cheap to find out comes first.
///
/// # Errors
/// With the exit code of what is wrong; nothing runs then.
pub fn start(home: &Home, settings: &Settings) -> Result<Running, Failure> {
    let identity = home.identity()?;
    // Its record is in the database, put there by `init --new-key`; without one it waits for the others.
    let authority = if settings.production.enabled { home.authority(settings)? } else { None };
    if settings.sync.mode == SyncMode::Light && authority.is_some() {
        let message = "a light node knows no state and cannot produce, but this one has an authority's key: start it without --sync light, or with --set production.enabled=false";
        return Err(Failure::new(Exit::Settings, message));
    }
    let base = base(home, settings, &identity)?;
    let files = base.checkpoints.clone().expect("a node on disk has a place for them");
    let kept = base.settings.sync.checkpoints_kept;
    let checkpoints = CheckpointDesk::new(files, base.store.clone(), base.network.rules.clone(), kept);
    let view = |node: &Node| View {
        chain: node.chain.clone(),
        network: node.network.clone(),
        peers: node.peers.clone(),
        sync: node.sync.clone(),
        checkpoints: checkpoints.clone(),
        rules: base.network.rules.clone(),
        chain_id: base.network.ledger.chain_id,
        clock: base.clock.clone(),
    };
    let refused = Arc::new(Mutex::new(None));
    let connect = connect(transport_config(home, &settings.network), identity, refused.clone());
    let parts = Parts { base: base.clone(), connect, authority };
    let node = start_actors(parts).map_err(|error| {
        let reason = refused.lock().unwrap_or_else(PoisonError::into_inner).take();
        not_started(error, reason)
    })?;
    info!("peer id {}", base.local);
    let view = view(&node);
    Ok(Running { node, view })
}

fn base(home: &Home, settings: &Settings, identity: &Identity) -> Result<Base, Failure> {
    let cores = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let workers = NonZeroUsize::new(settings.sync.workers as usize).unwrap_or(cores);
    let pool = Pool::threads(workers)
        .map_err(|error| Failure::new(Exit::System, format!("cannot start {workers} threads: {error}")))?;
    Ok(Base {
        settings: actor_settings(settings, workers),
        network: ChainNetwork { light: settings.sync.mode == SyncMode::Light, ..home.network().clone() },
        store: Arc::new(home.store()?),
        checkpoints: Some(Arc::new(Checkpoints::open(&home.directory().checkpoints())?)),
        flight_recorder: Some(home.directory().root().join(FLIGHT_RECORDER).into()),
        book: Book::file(home.directory().peers().join(BOOK_FILE)),
        local: identity.peer(),
        clock: Clock::system(),
        pool,
        randomness: Randomness::system(),
    })
}

fn actor_settings(settings: &Settings, workers: NonZeroUsize) -> alys_actors::supervisor::Settings {
    let network = &settings.network;
    let peers = peer::Config {
        outbound: network.outbound as usize,
        max_peers: network.max_connections as usize,
        bootnodes: addresses(&network.bootnodes),
        ..peer::Config::default()
    };
    let mut sync = sync::Config { workers, ..sync::Config::default() };
    sync.machine.budget_bytes = settings.sync.budget_bytes;
    sync.machine.threshold_e4 = settings.production.threshold_e4;
    sync.checkpoint_interval =
        NonZeroU64::new(settings.sync.checkpoint_interval).expect("the settings were checked");
    sync.from_state = settings.sync.mode == SyncMode::Snapshot;
    sync.light = settings.sync.mode == SyncMode::Light;
    sync.checkpoints_kept = settings.sync.checkpoint_retention as usize;
    alys_actors::supervisor::Settings { peers, sync, ..Default::default() }
}

fn transport_config(home: &Home, settings: &Network) -> alys_transport::Config {
    let established = settings.max_connections;
    // A fifth is kept for peers of our own choice, as by default.
    let inbound = established.saturating_sub(established / 5);
    alys_transport::Config {
        listen: addresses(&settings.listen),
        quic: settings.quic,
        mdns: settings.mdns,
        connect_timeout: Duration::from_millis(settings.connect_timeout_ms),
        connections: ConnectionLimits { established, inbound, ..ConnectionLimits::default() },
        ..alys_transport::Config::new(home.network().rules.genesis_id())
    }
}

fn addresses(texts: &[String]) -> Vec<Address> {
    texts.iter().map(|text| Address(text.clone())).collect()
}

/// Makes the transport when the actors ask for it. Why it refused is kept in `refused`, since it decides the exit code.
fn connect(
    config: alys_transport::Config,
    identity: Identity,
    refused: Arc<Mutex<Option<TransportError>>>,
) -> Connect {
    Box::new(move |source: Arc<dyn BlockSource>| {
        let (transport, events): (_, Events) =
            alys_transport::start(&config, &identity, source).map_err(|error| {
                let fault = Fault::from(error.to_string());
                *refused.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                fault
            })?;
        Ok((Arc::new(transport) as Arc<dyn Transport>, events))
    })
}

fn not_started(error: StartError, refused: Option<TransportError>) -> Failure {
    match (error, refused) {
        (StartError::Record(error), _) => error.into(),
        (_, Some(TransportError::PortTaken { port, address })) => {
            let message = format!(
                "port {port} is taken by another process ({address}): choose another one with --listen, such as --listen /ip4/0.0.0.0/tcp/{}",
                port.wrapping_add(1).max(1024)
            );
            Failure::new(Exit::PortInUse, message)
        }
        (_, Some(error @ TransportError::Listen { .. })) => {
            Failure::new(Exit::Settings, format!("{error}: change it with --listen"))
        }
        (error, _) => Failure::new(Exit::System, error.to_string()),
    }
}

impl Running {
    /// The node, seen from outside.
    pub const fn view(&self) -> &View {
        &self.view
    }

    /// Resolves when every actor has been started: before, there is nothing to tell.
    pub async fn ready(&self) {
        self.node.running().await;
    }

    /// Resolves when the node cannot go on: its disk has failed, or an actor was given up.
    pub async fn failed(&self) -> Failure {
        let mut chain = self.view.chain.watch();
        let storage = chain.wait_for(|view| matches!(view.storage, StorageState::Failed(_)));
        tokio::select! {
            biased;
            failed = storage => match failed.map(|view| view.storage.clone()) {
                Ok(StorageState::Failed(reason)) => Failure::new(Exit::Storage, reason),
                _ => Failure::new(Exit::System, "the chain has ended"),
            },
            failure = self.given_up() => failure,
        }
    }

    async fn given_up(&self) -> Failure {
        let mut events = self.node.supervisor().events();
        loop {
            match events.recv().await {
                Ok(Event::Escalated { actor, reason }) => {
                    error!("the {actor} actor was given up: {reason}");
                    let message = format!(
                        "the {actor} actor crashed too often ({reason}): look at the log, then restart the node"
                    );
                    return Failure::new(Exit::System, message);
                }
                Ok(_) | Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return Failure::new(Exit::System, "the supervisor has ended"),
            }
        }
    }

    /// Stops the actors and leaves the network.
    pub async fn stop(self) {
        self.node.stop().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(error: TransportError) -> Failure {
        not_started(StartError::Transport(Fault::from(error.to_string())), Some(error))
    }

    #[test]
    fn a_taken_port_is_named_with_the_flag_that_changes_it() {
        let address = Address("/ip4/0.0.0.0/tcp/30300".into());
        let failure = refused(TransportError::PortTaken { port: 30_300, address: address.clone() });
        assert_eq!(failure.exit, Exit::PortInUse);
        assert!(failure.message.contains("--listen /ip4/0.0.0.0/tcp/30301"), "{failure}");
        let failure = refused(TransportError::Listen { address, reason: "not ours".into() });
        assert_eq!(failure.exit, Exit::Settings);
        let failure = refused(TransportError::Mdns("off".into()));
        assert_eq!(failure.exit, Exit::System);
    }

    #[test]
    fn settings_reach_those_who_follow_them() {
        let mut settings = Settings::default();
        settings.sync.budget_bytes = 32 << 20;
        settings.sync.checkpoint_retention = 3;
        settings.production.threshold_e4 = 9_999;
        settings.network.outbound = 4;
        settings.sync.mode = SyncMode::Snapshot;
        settings.network.bootnodes = vec!["/ip4/1.2.3.4/tcp/1/p2p/x".into()];
        let actors = actor_settings(&settings, NonZeroUsize::MIN);
        assert_eq!(actors.sync.machine.budget_bytes, 32 << 20);
        assert_eq!(actors.sync.machine.threshold_e4, 9_999);
        assert_eq!((actors.sync.checkpoints_kept, actors.sync.workers), (3, NonZeroUsize::MIN));
        assert!(actors.sync.from_state && !actors.sync.light);
        assert_eq!((actors.peers.outbound, actors.peers.bootnodes.len()), (4, 1));
    }
}
