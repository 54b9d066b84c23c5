//! The fuzz targets, one a decoder: `cargo +nightly fuzz run <name>`.

pub mod targets;

use targets::TARGETS;

/// Runs the target of this name.
pub fn run(name: &str, data: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name).expect("a target of this name exists");
    (target.decode)(data);
    (target.check)(data);
}
