//! What a panic costs: a part of the program that is wrong about one thing is built anew, and nothing else notices.
//!
//! ```text
//!  panic ─▶ the part is forgotten, counted, shown ─▶ built anew from its settings, what is remembered and the present
//!                                                     at once the first time, then after 1, 2, 4, ... 60 s
//!  a promoter that panics again and again          ─▶ the daemon ends, and systemd starts it again
//! ```

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use crate::ids::Mono;

/// First pause before a part is built anew once more; doubles.
const BASE: Duration = Duration::from_secs(1);
/// The longest pause.
const MAX: Duration = Duration::from_secs(60);
/// Panics count together that are not further apart.
const TOGETHER: Duration = Duration::from_secs(600);
/// So many together mean that building it anew does not help.
pub(crate) const HOPELESS: u32 = 6;

/// The panics of one part.
#[derive(Clone, Debug, Default)]
pub(crate) struct Panics {
    /// All of them.
    pub(crate) count: u64,
    together: u32,
    pub(crate) last: Option<Mono>,
    pub(crate) message: String,
}

impl Panics {
    /// One more. Gives when the part may be built anew.
    pub(crate) fn another(&mut self, now: Mono, message: String) -> Mono {
        let near = self.last.is_some_and(|last| now.since(last) < TOGETHER);
        self.together = if near { self.together.saturating_add(1) } else { 1 };
        self.count += 1;
        self.last = Some(now);
        self.message = message;
        match self.together {
            1 => now,
            times => now.after(BASE.saturating_mul(1u32.checked_shl(times - 2).unwrap_or(u32::MAX)).min(MAX)),
        }
    }

    /// Building it anew does not help.
    pub(crate) fn is_hopeless(&self) -> bool {
        self.together >= HOPELESS
    }
}

/// Panics of calls that change nothing, and so cannot mend anything either: they are taken up at the next step.
#[derive(Debug, Default)]
pub(crate) struct Trouble {
    message: RefCell<Option<String>>,
    any: Cell<bool>,
}

impl Trouble {
    /// Calls `f`; a panic in it is kept for [`take`](Self::take).
    pub(crate) fn guard<R>(&self, f: impl FnOnce() -> R) -> Option<R> {
        match catch(f) {
            Ok(result) => Some(result),
            Err(message) => {
                self.any.set(true);
                *self.message.borrow_mut() = Some(message);
                None
            }
        }
    }

    /// Whether there was one.
    pub(crate) fn is_any(&self) -> bool {
        self.any.get()
    }

    /// What it said, if there was one since the last call.
    pub(crate) fn take(&self) -> Option<String> {
        self.any.set(false);
        self.message.borrow_mut().take()
    }
}

/// Calls `f`; `Err` = it panicked, and said this.
pub(crate) fn catch<R>(f: impl FnOnce() -> R) -> Result<R, String> {
    catch_unwind(AssertUnwindSafe(f)).map_err(|payload| message(payload.as_ref()))
}

fn message(payload: &(dyn Any + Send)) -> String {
    match (payload.downcast_ref::<&str>(), payload.downcast_ref::<String>()) {
        (Some(text), _) => (*text).to_owned(),
        (_, Some(text)) => text.clone(),
        _ => "no message".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_time_at_once_then_later_and_later_until_it_is_hopeless() {
        let mut panics = Panics::default();
        let mut now = Mono::ZERO.after(Duration::from_secs(1));
        let mut pauses = Vec::new();
        for _ in 0..8 {
            let at = panics.another(now, String::new());
            pauses.push(at.since(now).as_secs());
            assert_eq!(panics.is_hopeless(), pauses.len() >= 6);
            now = at;
        }
        assert_eq!(pauses, [0, 1, 2, 4, 8, 16, 32, 60]);
        now = now.after(TOGETHER);
        assert_eq!(panics.another(now, String::new()), now);
        assert!(!panics.is_hopeless());
        assert_eq!(panics.count, 9);
    }
}
