//! The node's JSON-RPC.
