//! The pauses between stops of a resource, and `drbdsetup secondary --force`, which goes before some of them.

use crate::ids::{ActionId, Mono};

use super::plan::StopCause;
use super::repeat::{self, Pace, Repeat};

/// See the module's head.
#[derive(Clone, Debug)]
pub(super) struct Stops {
    /// Those after which something still ran.
    repeat: Repeat,
    pace: Pace,
    /// Why it was stopped last.
    cause: Option<StopCause>,
    /// `drbdsetup secondary --force` that has not ended: with I/O that hangs it may take its time, and a second one would wait beside it.
    forcing: Option<ActionId>,
}

impl Default for Stops {
    fn default() -> Self {
        Self { repeat: Repeat::default(), pace: repeat::starts_and_stops(), cause: None, forcing: None }
    }
}

impl Stops {
    /// Until when a stop has to wait; `None` = it may be asked for.
    pub(super) fn wait(&self, now: Mono, cause: &StopCause) -> Option<Mono> {
        // What DRBD demands does not wait because something else did not work.
        let again = self.cause.as_ref() == Some(cause);
        let wait = if again { self.repeat.until(now) } else { self.repeat.until_for_another_reason(now) };
        wait.max(self.pace.until(now))
    }

    /// The same for the commands of the shell runner, whatever the cause; a start after them waits, too.
    pub(super) fn wait_for_commands(&self, now: Mono) -> Option<Mono> {
        self.repeat.until(now).max(self.pace.until(now))
    }

    /// How often it was stopped lately.
    pub(super) fn pace(&self) -> &Pace {
        &self.pace
    }

    /// It was stopped so often lately, before it was taken out of the configuration and put back.
    pub(super) fn go_on(&mut self, pace: Pace) {
        self.pace = pace;
    }

    /// A stop was asked for.
    pub(super) fn asked(&mut self, now: Mono, cause: &StopCause) {
        self.pace.done(now);
        self.cause = Some(cause.clone());
    }

    /// The stop commands of the shell runner are run.
    pub(super) fn commands_run(&mut self, now: Mono) {
        self.pace.done(now);
    }

    /// Whether the last stop did not help, and nothing has worked since.
    pub(super) fn have_failed(&self) -> bool {
        self.repeat.times() > 0
    }

    /// A stop, asked for or at its end at that time, did not help, or may not have.
    pub(super) fn did_not_help(&mut self, at: Mono) {
        self.repeat.tried(at);
    }

    /// Nothing runs any more, or nothing has to stop: the next time is the first one.
    pub(super) fn worked(&mut self) {
        self.repeat.worked();
    }

    /// Whether `drbdsetup secondary --force` runs.
    pub(super) fn is_forcing(&self) -> bool {
        self.forcing.is_some()
    }

    /// `drbdsetup secondary --force` was asked for.
    pub(super) fn forces(&mut self, id: ActionId) {
        self.forcing = Some(id);
    }

    /// An action of DRBD's tools has ended.
    pub(super) fn tool_ended(&mut self, id: ActionId) {
        self.forcing.take_if(|forcing| *forcing == id);
    }

    /// The same for a machine that is built anew.
    pub(super) fn after_a_panic(mut self, is_sent: impl Fn(ActionId) -> bool) -> Self {
        self.forcing.take_if(|id| !is_sent(*id));
        self
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const CAUSE: StopCause = StopCause::Failure;

    fn second(s: u64) -> Mono {
        Mono::ZERO.after(Duration::from_secs(s))
    }

    #[test]
    fn one_that_did_not_help_waits_and_less_for_another_reason() {
        let mut stops = Stops::default();
        stops.asked(second(10), &CAUSE);
        assert_eq!((stops.wait(second(10), &CAUSE), stops.have_failed()), (None, false));
        stops.did_not_help(second(10));
        assert!(stops.have_failed());
        assert_eq!(stops.wait(second(11), &CAUSE), Some(second(15)));
        assert_eq!(stops.wait_for_commands(second(11)), Some(second(15)));
        assert_eq!(stops.wait(second(11), &StopCause::Drbd), None);
        assert_eq!(stops.wait(second(10), &StopCause::Drbd), Some(second(10).after(Duration::from_millis(500))));
        stops.worked();
        assert_eq!((stops.wait(second(11), &CAUSE), stops.have_failed()), (None, false));
    }

    #[test]
    fn ten_in_a_minute_are_enough_also_by_commands_and_before_it_was_taken_out() {
        let mut asked = Stops::default();
        let mut run = Stops::default();
        for _ in 0..10 {
            assert_eq!((asked.wait(second(1), &CAUSE), run.wait_for_commands(second(1))), (None, None));
            asked.asked(second(1), &CAUSE);
            run.commands_run(second(1));
        }
        let mut put_back = Stops::default();
        put_back.go_on(asked.pace().clone());
        for stops in [&asked, &run, &put_back] {
            assert_eq!(stops.wait(second(2), &CAUSE), Some(second(61)));
            assert_eq!(stops.wait_for_commands(second(2)), Some(second(61)));
            assert!(!stops.have_failed());
        }
    }

    #[test]
    fn one_forced_secondary_at_a_time() {
        let mut stops = Stops::default();
        stops.forces(ActionId(7));
        stops.tool_ended(ActionId(8));
        assert!(stops.is_forcing());
        assert!(stops.clone().after_a_panic(|id| id == ActionId(7)).is_forcing());
        assert!(!stops.clone().after_a_panic(|_| false).is_forcing(), "it was never asked for");
        stops.tool_ended(ActionId(7));
        assert!(!stops.is_forcing());
    }
}
