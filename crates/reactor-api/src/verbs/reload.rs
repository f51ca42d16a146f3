//! Reading the configuration again.

use crate::parameter::object;
use crate::status::ReloadResult;
use crate::verb::{ByLoop, Caller, Limit, Verb};

object! {
    /// Asks the daemon to read its configuration again.
    Reload {}
}

object! {
    /// The answer to [`Reload`], when the new configuration runs or was refused.
    ReloadReply {
        /// Whether everything was taken.
        ok: bool,
        /// What became of it, in a word.
        result: ReloadResult,
        /// What is wrong with the files: one line each.
        findings: Vec<String>,
        /// The same for people: with the lines of the files and a caret.
        report: String,
    }
}

impl ReloadReply {
    /// It is ok if everything was taken.
    pub fn new(result: ReloadResult, findings: Vec<String>, report: String) -> Self {
        Self { ok: result == ReloadResult::Ok, result, findings, report }
    }
}

impl Verb for Reload {
    const NAME: &'static str = "Reload";
    const ABOUT: &'static str = "\
        Read the configuration again. findings has one line each, report the same with the lines of the files and a caret.";
    const CALLER: Caller = Caller::Root;
    type Reply = ReloadReply;
    type Answered = ByLoop;

    fn limit(&self) -> Limit {
        Limit::Long
    }
}
