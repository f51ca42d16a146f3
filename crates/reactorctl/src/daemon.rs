//! The way to the daemon.

use std::path::PathBuf;
use std::time::Duration;

use reactor_api::SOCKET_NAME;
use reactor_api::client::Client;

use crate::cli::Place;
use crate::config;
use crate::exit::Failure;

/// Connects to the daemon of `place`.
pub(crate) fn connect(place: &Place, within: Duration) -> Result<Client, Failure> {
    Ok(Client::connect(&socket(place), within)?)
}

/// The socket that the user named, else the one in the runtime folder of the configuration.
fn socket(place: &Place) -> PathBuf {
    place.socket.clone().unwrap_or_else(|| config::runtime_dir(place).join(SOCKET_NAME))
}
