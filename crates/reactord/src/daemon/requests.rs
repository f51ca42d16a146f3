//! Answers to the clients of the control socket: one [`Answer`] for each verb, beside what it is about.

use reactor_api::for_each_verb;
use reactor_api::verbs::{self, Changes, Helper, HelperReply, Ping, PingReply, Reload, Status, Watch};
use reactor_core::action::{HelperAnswer, HelperCall};
use reactor_core::ids::Mono;
use reactor_core::input::Input;
use reactor_sys::control::{Asked, ControlRequest, Served};
use tracing::info;

use super::Daemon;

/// How the daemon answers a verb. It must not wait: what takes time takes `asked.reply` with it.
///
/// A client that has gone meanwhile is no concern of ours: its answer is dropped.
pub(super) trait Answer<V: Served> {
    /// Answers into `asked.reply`, or sees to it that somebody does.
    fn answer(&mut self, asked: Asked<V>);
}

macro_rules! answers {
    ($($verb:ident),+) => {
        impl Daemon {
            /// Answers one request.
            pub(super) fn request(&mut self, request: ControlRequest) {
                match request {
                    $(ControlRequest::$verb(asked) => Answer::<verbs::$verb>::answer(self, asked),)+
                }
            }
        }
    };
}
for_each_verb!(answers);

impl Answer<Status> for Daemon {
    fn answer(&mut self, asked: Asked<Status>) {
        let _ = asked.reply.send(self.snapshot());
    }
}

impl Answer<Watch> for Daemon {
    fn answer(&mut self, Asked { call, reply, .. }: Asked<Watch>) {
        let _ = reply.send(self.watched(call.resources.as_ref()));
    }
}

impl Answer<Changes> for Daemon {
    fn answer(&mut self, Asked { call, reply, .. }: Asked<Changes>) {
        let _ = reply.send(self.clients.changes(&call));
        // At once, so that no statistics are missed.
        self.core.set_follow(Some(self.clients.wants()));
    }
}

impl Answer<Ping> for Daemon {
    fn answer(&mut self, asked: Asked<Ping>) {
        let running = self.clock.now().since(Mono::ZERO).as_millis();
        let _ = asked.reply.send(Ok(PingReply {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id().into(),
            running_ms: u64::try_from(running).unwrap_or(u64::MAX),
        }));
    }
}

impl Answer<Reload> for Daemon {
    fn answer(&mut self, Asked { peer, reply, .. }: Asked<Reload>) {
        info!(uid = peer.uid, pid = peer.pid, "reading the configuration, as a client asked for");
        self.start_reload(Some(reply));
    }
}

impl Answer<Helper> for Daemon {
    fn answer(&mut self, Asked { call, reply, .. }: Asked<Helper>) {
        let request = self.clients.helper_waits(reply);
        self.step(&Input::HelperCall(HelperCall {
            request,
            helper: call.helper.0,
            object: call.object.0,
            env: call.env.0.into_iter().collect(),
            deadline: self.clock.now().after(call.timeout_ms.duration()),
        }));
    }
}

/// What the core says of a helper, as the wire has it.
pub(super) fn helper_reply(answer: HelperAnswer) -> HelperReply {
    match answer {
        HelperAnswer::Exit { code, rule } => HelperReply { exit: Some(code), rule: Some(rule), fallback: None },
        HelperAnswer::Fallback { why } => HelperReply { fallback: Some(why), ..HelperReply::default() },
    }
}
