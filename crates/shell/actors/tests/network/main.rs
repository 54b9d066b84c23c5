//! Stories of the NetworkActor and the PeerActor, in virtual time.

// The attributes tell clippy that all of this is test code.
#[cfg(test)]
mod kit;

#[cfg(test)]
mod book;
#[cfg(test)]
mod claims;
#[cfg(test)]
mod connections;
#[cfg(test)]
mod gossip;
#[cfg(test)]
mod restarts;
