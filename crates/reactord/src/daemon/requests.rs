//! Answers to the clients of the control socket.

use reactor_core::action::{HelperCall, HelperRequestId};
use reactor_core::input::Input;
use reactor_sys::control::ControlRequest;
use tracing::info;

use super::Daemon;

impl Daemon {
    /// A client that has gone meanwhile is no concern of ours: its answer is dropped.
    pub(super) fn request(&mut self, request: ControlRequest) {
        match request {
            ControlRequest::Status { reply } => {
                let _ = reply.send(self.picture());
            }
            ControlRequest::Reload { peer, reply } => {
                info!(uid = peer.uid, pid = peer.pid, "reading the configuration, as a client asked for");
                self.start_reload(Some(reply));
            }
            ControlRequest::Changes { detail, last, follow, reply } => {
                let _ = reply.send(self.hub.subscribe(detail, last, follow));
                // At once, so that no statistics are missed.
                self.core.set_follow(Some(self.hub.wants()));
            }
            ControlRequest::Why { resource, reply } => {
                let _ = reply.send(self.why(&resource));
            }
            ControlRequest::Operator { peer, resource, verb, reply } => self.operator(peer, resource, verb, reply),
            ControlRequest::Leftovers { peer, remove, even, reply } => self.leftovers(peer, remove, even, reply),
            ControlRequest::Helper { request, reply } => {
                self.next_request += 1;
                let id = HelperRequestId(self.next_request);
                self.waiting.insert(id, reply);
                self.step(&Input::HelperCall(HelperCall {
                    request: id,
                    helper: request.helper,
                    object: request.object,
                    env: request.env,
                    deadline: self.clock.now().after(request.timeout),
                }));
            }
        }
    }
}
