//! A developer tool.

fn main() {}
