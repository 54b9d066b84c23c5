//! The signals that end a node: the first one asks, the second one insists.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::console::note;
use crate::exit::{Exit, Failure};

/// Ctrl-C and what service managers send.
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// From now on these signals do not end the process by themselves.
    ///
    /// # Errors
    /// [`Exit::System`].
    pub fn listen() -> Result<Self, Failure> {
        let listen = |kind| {
            signal(kind).map_err(|error| Failure::new(Exit::System, format!("cannot hear signals: {error}")))
        };
        Ok(Self { interrupt: listen(SignalKind::interrupt())?, terminate: listen(SignalKind::terminate())? })
    }

    /// Waits for the next one.
    pub async fn next(&mut self) {
        tokio::select! {
            biased;
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }

    /// Ends the process at the next one. Nothing is lost: what was acknowledged is on disk, and every commit is whole or not there.
    pub fn end_at_next(mut self) {
        tokio::spawn(async move {
            self.next().await;
            note("stopped at once");
            std::process::exit(i32::from(Exit::Interrupted.code()));
        });
    }
}
