//! `alys node`: runs a node until it is told to stop.
//!
//! - **Owns**: the one place where the parts of a node meet, and their order: directory, keys, database, transport, actors, RPC.
//! - **In**: flags, environment, the data directory. **Out**: a running node; a line about its state now and then.
//! - **On failure** at the start: nothing runs, and the exit code says why. Later the supervisor restarts what fails; what it cannot restart
//!   ends the node, with a code of its own.

mod flags;
mod lines;
mod log;
mod parts;
mod signals;
mod view;

use std::net::SocketAddr;
use std::sync::Arc;

use alys_rpc::{Server, ServerError};
use tracing::info;

use crate::exit::{Exit, Failure};
use crate::home::Home;
use crate::settings::{Rpc, Settings};

pub use flags::Node;
use parts::Running;
use signals::Signals;
use view::View;

/// Runs the command.
///
/// # Errors
/// Why the node did not start, or why it could not go on.
pub fn run(command: &Node) -> Result<(), Failure> {
    let home = Home::open(&command.at.data_dir, command.genesis.as_deref())?;
    let settings = command.settings(home.layers()?, flags::environment())?;
    log::start(&settings.log)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::System, format!("cannot start threads: {error}")))?;
    runtime.block_on(live(&home, &settings))
}

/// The life of a node, from its start to the signal that ends it.
async fn live(home: &Home, settings: &Settings) -> Result<(), Failure> {
    let mut signals = Signals::listen()?;
    introduce(home);
    let running = parts::start(home, settings)?;
    running.ready().await;
    let rpc = serve(&settings.rpc, running.view()).await?;
    let ended = tokio::select! {
        biased;
        () = signals.next() => Ok(()),
        failure = running.failed() => Err(failure),
        () = lines::tell(running.view()) => Ok(()),
    };
    info!("stopping; once more to stop at once");
    signals.end_at_next();
    stop(running, rpc).await;
    info!("stopped");
    ended
}

fn introduce(home: &Home) {
    let root = home.directory().root();
    let root = std::path::absolute(root).unwrap_or_else(|_| root.to_owned());
    info!("alys {}, data directory {}", env!("CARGO_PKG_VERSION"), root.display());
    info!("network {}", home.network().rules.genesis_id());
}

async fn serve(settings: &Rpc, view: &View) -> Result<Option<Server>, Failure> {
    if !settings.enabled {
        return Ok(None);
    }
    let address: SocketAddr = settings.listen.parse().expect("the settings were checked");
    let server = Server::start(address, Arc::new(view.clone())).await.map_err(no_rpc)?;
    info!("RPC at http://{}", server.address());
    Ok(Some(server))
}

fn no_rpc(error: ServerError) -> Failure {
    let taken = error.source.kind() == std::io::ErrorKind::AddrInUse;
    Failure::new(if taken { Exit::PortInUse } else { Exit::Settings }, error.to_string())
}

/// RPC first, so that nobody asks a node that is going.
async fn stop(running: Running, rpc: Option<Server>) {
    if let Some(server) = rpc {
        server.stop().await;
    }
    running.stop().await;
}
