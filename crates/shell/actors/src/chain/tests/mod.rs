mod consensus;
mod gossip;
mod import;
mod world;
