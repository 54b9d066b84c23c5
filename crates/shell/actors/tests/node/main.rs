//! Whole nodes, as `alys_actors::start` makes them, on a simulated network in virtual time.

// The attributes tell clippy that all of this is test code.
#[cfg(test)]
mod kit;
#[cfg(test)]
mod snapshot;
#[cfg(test)]
mod stories;
