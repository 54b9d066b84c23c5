//! Mailboxes, supervision, restart policy, clock.
