//! The program inside a node that runs commands for the host.

fn main() {}
