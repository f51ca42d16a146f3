//! Facts for `reactorctl doctor`. The loop says where to look, and no more: who asks looks, beside it.

use reactor_api::verbs::Survey;
use reactor_sys::control::Asked;
use reactor_sys::survey::Places;

use super::Daemon;
use super::requests::Answer;
use super::status::node_name;

impl Answer<Survey> for Daemon {
    fn answer(&mut self, asked: Asked<Survey>) {
        let settings = self.configuration.settings();
        let _ = asked.reply.send((node_name(&settings.daemon), Places::of(settings)));
    }
}
