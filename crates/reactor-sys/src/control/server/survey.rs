//! Facts about this node: looked at by whoever asks, beside the loop. Neither the loop nor other readers wait for a program that hangs.

use reactor_api::call::{CallError, reply};
use reactor_api::parameter::Described;
use reactor_api::verb::Verb as _;
use reactor_api::verbs::{Survey, SurveyReply};
use serde_json::json;
use tokio::time::timeout;

use super::{Connection, Fault};
use crate::survey::{Reader, look};

impl Connection {
    /// The whole answer.
    pub(super) async fn survey(&self, call: Survey) -> Result<Vec<u8>, Fault> {
        let shared = &self.shared;
        let within = shared.limits.of(call.limit());
        let (turns, reader) = if self.privileged {
            (&shared.surveys_for_privileged, Reader::Root)
        } else {
            (&shared.surveys, Reader::Other)
        };
        let looked = async {
            let _turn = turns.acquire().await.ok();
            let (node, places) = self.request(call).await?;
            Ok(look(&node, &places, reader).await)
        };
        // What still runs then is ended: nobody waits for it.
        let late = CallError::TimedOut { seconds: within.as_secs() };
        let facts = timeout(within, looked).await.unwrap_or(Err(late))?;
        // Of a thousand resources it is long.
        let text = move || reply(&json!(SurveyReply { facts: Described::of(&facts) }), false);
        Ok(self.beside_the_loop(text).await?)
    }
}
