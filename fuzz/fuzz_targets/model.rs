//! A stream of events2 lines into the whole core, as both dialects, with sources that die in between. In this build the core checks all of its
//! invariants after every step.
#![no_main]

use libfuzzer_sys::fuzz_target;
use reactor_core::core::Core;
use reactor_core::ids::Mono;
use reactor_core::input::{Dialect, Input, SourceEvent, SourceId};

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    for dialect in [Dialect::Drbd9, Dialect::Drbd84] {
        let mut core = Core::new();
        let mut out = Vec::new();
        // A form feed stands for a source that ended and was started again.
        for run in text.split('\x0c') {
            let started = SourceEvent::Started { command: "fuzz".to_owned(), dialect: Some(dialect) };
            core.step(Mono::ZERO, &Input::Source(SourceId::Drbd, started), &mut out);
            let mut lines = run.to_owned();
            lines.push('\n');
            core.step(Mono::ZERO, &Input::Lines(SourceId::Drbd, lines), &mut out);
            core.step(Mono::ZERO, &Input::BurstEnd(SourceId::Drbd), &mut out);
            core.step(Mono::ZERO, &Input::Source(SourceId::Drbd, SourceEvent::Ended { why: "fuzz".to_owned() }), &mut out);
        }
    }
});
