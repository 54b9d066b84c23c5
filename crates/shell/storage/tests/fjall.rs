//! The database on disk: the conformance suite.

#![allow(clippy::unwrap_used, reason = "a test ends where its step fails")]

mod conformance;

#[test]
fn the_database_on_disk_conforms() {
    conformance::all(&|path, genesis| Ok(Box::new(alys_storage::fjall::open(path, genesis)?)));
}
