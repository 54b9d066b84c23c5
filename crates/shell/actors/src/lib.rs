//! The actors: network, peer, sync, chain, supervisor.
