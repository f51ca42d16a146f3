//! What the core does about plugins that panic.

use std::path::PathBuf;
use std::time::Duration;

use super::*;
use crate::ids::ResourceName;
use crate::isolation::HOPELESS;
use crate::settings::promoter::PromotedResource;
use crate::settings::{Mode, PluginSettings, PromoterSettings};

pub(super) fn promoter_of_r0() -> Settings {
    let resources = BTreeMap::from([(ResourceName::new("r0"), PromotedResource::default())]);
    Settings::of_plugins(
        Mode::Native,
        vec![PluginEntry {
            file: PathBuf::from("test.toml"),
            line: 1,
            settings: PluginSettings::Promoter(PromoterSettings { resources }),
        }],
    )
}

/// As if the promoter had just panicked.
fn panic(core: &mut Core, now: Mono) {
    let mut instance = core.instances.pop().unwrap();
    core.panicked(&mut instance, now, "out of paper".to_owned());
    core.instances.push(instance);
}

#[test]
fn a_promoter_that_panics_is_built_anew_with_what_was_remembered_until_that_is_hopeless() {
    let (mut core, mut now, mut out) = (Core::new(), Mono(1), Vec::new());
    let hold = Hold { who: "root".to_owned(), why: String::new(), since: 1, ..Hold::default() };
    let memory = Memory { hold: Some(hold.clone()), ..Memory::default() };
    core.step(now, &Input::Remembered(vec![(ResourceName::new("r0"), memory)]), &mut out);
    core.configure(now, &promoter_of_r0(), &mut out);
    for panics in 1..=HOPELESS {
        assert_eq!(core.beyond_repair(), None);
        panic(&mut core, now);
        assert_eq!(core.counters().panics, u64::from(panics));
        let due = core.next_deadline().expect("it is built anew");
        assert_eq!(due <= now, panics == 1, "at once the first time only");
        now = due.max(now);
        core.step(now, &Input::Tick, &mut out);
        assert_eq!(core.instances()[0].state, InstanceState::Running);
        assert_eq!(core.promoted(now)[0].hold, Some(hold.clone()));
        assert!(core.instances()[0].status().contains(&("last panic", "out of paper".to_owned())));
    }
    assert!(core.beyond_repair().is_some_and(|why| why.contains("out of paper")));
    // Long ago is over.
    now = now.after(Duration::from_secs(3600));
    panic(&mut core, now);
    assert_eq!(core.beyond_repair(), None);
}
