//! What the configuration takes for granted about this machine, checked off the loop.

use reactor_sys::control::{LeftoversReply, Peer};
use tokio::sync::oneshot;

use super::Daemon;

#[derive(Default)]
pub(super) struct Checking;

pub(super) enum News {}

impl Checking {
    pub(super) async fn next(&mut self) -> News {
        std::future::pending().await
    }
}

impl Daemon {
    pub(super) fn check_system(&mut self) {}
    pub(super) fn checked(&mut self, news: News) {
        match news {}
    }
    pub(super) fn leftovers(&mut self, _: Peer, _: bool, reply: oneshot::Sender<LeftoversReply>) {
        let _ = reply.send(LeftoversReply::default());
    }
}
