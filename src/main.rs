//! The gsctl program.

fn main() {}
