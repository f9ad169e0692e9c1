//! The `unnoise` command.
fn main() {}
