//! The actors together: what a node is made of, and the order of its start.
//!
//! - **Owns**: the supervisor of the four actors, the wires between their mailboxes, and the pump that feeds the network its events.
//! - **In**: [`Parts`]: everything that differs between a node, a simulated node and a test.
//! - **Out**: a running [`Node`]: the mailboxes, the table of actors, the metrics.
//! - **On failure**: a start that cannot go on returns a [`StartError`] and leaves nothing behind. An actor that crashes is restarted alone, as
//!   the mailboxes outlive it; one that crashes too often is given up, which is logged and shown.
//!
//! The start is in the order chain, peer, network, sync: nobody hears of blocks before there is a chain to take them. The stop is in reverse:
//! nothing is fetched any more when the connections are left to the peer book, which writes itself down, and the chain ends last.

mod node;
mod parts;
mod watch;
mod wiring;

pub use node::{Node, start};
pub use parts::{Base, Connect, Parts, Settings, StartError};
