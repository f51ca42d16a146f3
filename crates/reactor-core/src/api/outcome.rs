//! How a handler went, as the wire has it.

use reactor_api::HandlerOutcome;

use crate::action::{HandlerEnd, HandlerReport, HandlerRun, Outcome};

/// The outcome of `run`; `None` if it is the outcome of something else than a handler.
pub fn outcome(run: &HandlerRun, outcome: &Outcome) -> Option<HandlerOutcome> {
    let Outcome::Handler(HandlerReport { end, took, stdout, stderr, output_cut_bytes }) = outcome else { return None };
    let mut wire = HandlerOutcome {
        rule: run.rule.clone(),
        resource: run.resource.to_string(),
        took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        stdout: stdout.clone(),
        stderr: stderr.clone(),
        output_cut_bytes: *output_cut_bytes,
        ..HandlerOutcome::default()
    };
    let word = match end {
        HandlerEnd::Exited(code) => {
            wire.exit_code = Some(*code);
            "exited"
        }
        HandlerEnd::Signalled(signal) => {
            wire.signal = Some(*signal);
            "signalled"
        }
        HandlerEnd::TimedOut => "timed-out",
        HandlerEnd::Aborted => "aborted",
        HandlerEnd::NotStarted { error } => {
            wire.error = Some(error.clone());
            "not-started"
        }
    };
    wire.end = word.to_owned();
    Some(wire)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::ids::ResourceName;
    use crate::settings::umh::HandlerStdin;

    #[test]
    fn every_end_has_its_word() {
        let run = HandlerRun {
            rule: "mail".to_owned(),
            resource: ResourceName::new("r0"),
            command: "true".to_owned(),
            env: Vec::new(),
            stdin: HandlerStdin::Null,
            document: None,
            timeout: Duration::from_secs(1),
            max_output_bytes: 10,
            ask: None,
        };
        let word = |end| {
            let took = Duration::from_millis(1500);
            let outcome = Outcome::Handler(HandlerReport {
                end,
                took,
                stdout: String::new(),
                stderr: String::new(),
                output_cut_bytes: 0,
            });
            let wire = super::outcome(&run, &outcome).expect("it is a handler");
            assert_eq!((wire.rule.as_str(), wire.took_ms), ("mail", 1500));
            (wire.end.clone(), wire.is_success())
        };
        assert_eq!(word(HandlerEnd::Exited(0)), ("exited".to_owned(), true));
        assert_eq!(word(HandlerEnd::Exited(4)), ("exited".to_owned(), false));
        assert_eq!(word(HandlerEnd::Signalled(9)), ("signalled".to_owned(), false));
        assert_eq!(word(HandlerEnd::TimedOut), ("timed-out".to_owned(), false));
        assert_eq!(word(HandlerEnd::Aborted), ("aborted".to_owned(), false));
        assert_eq!(word(HandlerEnd::NotStarted { error: "no".to_owned() }), ("not-started".to_owned(), false));
    }
}
