//! The `partfs` program.
fn main() {}
