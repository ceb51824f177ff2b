//! Brings up a lab for people.
fn main() {}
