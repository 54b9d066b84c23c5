//! The network as a trait; libp2p stops here.
