//! Facts for `reactorctl doctor`, looked at by a task: the loop does not wait.

use reactor_api::parameter::Described;
use reactor_api::verbs::{Survey, SurveyReply};
use reactor_sys::control::Asked;
use reactor_sys::survey::{Places, look};

use super::Daemon;
use super::requests::Answer;
use super::status::node_name;

impl Answer<Survey> for Daemon {
    fn answer(&mut self, asked: Asked<Survey>) {
        let settings = self.configuration.settings();
        let (places, node) = (Places::of(settings), node_name(&settings.daemon));
        tokio::spawn(async move {
            let facts = Described::of(&look(&node, &places).await);
            let _ = asked.reply.send(Ok(SurveyReply { facts }));
        });
    }
}
