//! Whom to talk to: the peer book, scores, dialing, bans.
#![forbid(unsafe_code)]
