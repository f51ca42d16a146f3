//! The tool `lab`.

fn main() {}
