//! A handler for the benchmark: says when it was started, in nanoseconds of `CLOCK_MONOTONIC`, to the socket that its argument names.

use std::os::unix::net::UnixDatagram;

use reactor_sim::clock::monotonic_ns;

fn main() -> std::io::Result<()> {
    let started = monotonic_ns();
    let path = std::env::args_os().nth(1).unwrap_or_default();
    UnixDatagram::unbound()?.send_to(&started.to_ne_bytes(), path)?;
    Ok(())
}
