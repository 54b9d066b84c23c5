//! The `alys` binary.

fn main() {}
