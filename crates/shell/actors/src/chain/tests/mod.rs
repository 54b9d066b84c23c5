mod consensus;
mod gossip;
mod import;
mod parts;
mod transactions;
mod world;
