//! Whom to talk to: the peer book, scores, dialing, bans.
//!
//! - **Decides**: which peers are dialled, kept, dropped, banned; how good each is for a kind of work.
//! - **In**: [`Event`]s (connections, discoveries, [`Observation`]s, commands of the operator), each with the time.
//! - **Out**: [`Action`]s for the transport and the disk; answers to [`PeerMachine::best`] and [`PeerMachine::explain`].
//! - **On failure**: nothing here fails. A damaged snapshot is refused ([`SnapshotError`]) and the book starts empty.
//!
//! Two axes, never mixed. **Performance** chooses work and never bans. **Misbehaviour** counts provable offences only, fades, and bans;
//! authorities and trusted peers are spared, for who bans them harms the chain or the operator. All scores live here and nowhere else.
#![forbid(unsafe_code)]

mod bans;
mod book;
mod dialing;
mod event;
mod judge;
mod machine;
mod observation;
mod score;
mod settings;
mod snapshot;
mod suspicion;
mod view;

pub use bans::BanReason;
pub use book::Class;
pub use event::{Action, Direction, DisconnectReason, Event};
pub use machine::PeerMachine;
pub use observation::{Observation, Offence};
pub use score::Operation;
pub use settings::Settings;
pub use snapshot::SnapshotError;
pub use view::{Explanation, Ranked, Totals};
