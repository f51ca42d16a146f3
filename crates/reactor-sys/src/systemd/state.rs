//! From systemd's properties to [`UnitState`], and names of units as object paths.

use std::collections::HashMap;

use reactor_core::systemd::UnitState;
use zbus::{OwnedVariant, Variant};

/// Where the objects of units are.
pub(super) const UNIT_PATH: &str = "/org/freedesktop/systemd1/unit/";

/// The interface that every unit has.
pub(super) const UNIT: &str = "org.freedesktop.systemd1.Unit";

/// Object path of a unit: every byte that is not a letter or a digit is written `_xx`, a digit at the beginning too.
pub(super) fn path(unit: &str) -> String {
    let mut out = String::from(UNIT_PATH);
    for (at, byte) in unit.bytes().enumerate() {
        if byte.is_ascii_alphabetic() || (at > 0 && byte.is_ascii_digit()) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("_{byte:02x}"));
        }
    }
    out
}

/// The interface of a unit's type that has `Result`; `None` for types without one.
pub(super) fn result_interface(unit: &str) -> Option<&'static str> {
    Some(match unit.rsplit('.').next()? {
        "service" => "org.freedesktop.systemd1.Service",
        "mount" => "org.freedesktop.systemd1.Mount",
        "automount" => "org.freedesktop.systemd1.Automount",
        "socket" => "org.freedesktop.systemd1.Socket",
        "swap" => "org.freedesktop.systemd1.Swap",
        "timer" => "org.freedesktop.systemd1.Timer",
        "path" => "org.freedesktop.systemd1.Path",
        "scope" => "org.freedesktop.systemd1.Scope",
        _ => return None,
    })
}

/// Takes properties in; those that are not ours are passed over.
pub(super) fn patch(state: &mut UnitState, properties: &HashMap<String, OwnedVariant>) {
    for (name, value) in properties {
        match (name.as_str(), &**value) {
            ("LoadState", Variant::Str(word)) => state.load = word.as_str().into(),
            ("ActiveState", Variant::Str(word)) => state.active = word.as_str().into(),
            ("SubState", Variant::Str(word)) => state.sub = word.as_str().to_owned(),
            ("FreezerState", Variant::Str(word)) => state.freezer = word.as_str().into(),
            ("UnitFileState", Variant::Str(word)) => state.unit_file = word.as_str().to_owned(),
            ("Result", Variant::Str(word)) => state.result = Some(word.as_str().to_owned()),
            // Number and path; 0 is no job.
            ("Job", Variant::Structure(job)) => state.job = !matches!(job.fields().first(), Some(Variant::U32(0))),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use reactor_core::systemd::{ActiveState, FreezerState, LoadState};

    use super::*;

    #[test]
    fn paths_are_those_of_systemd() {
        assert_eq!(path("drbd-services@r0.target"), "/org/freedesktop/systemd1/unit/drbd_2dservices_40r0_2etarget");
        assert_eq!(path("0a.service"), "/org/freedesktop/systemd1/unit/_30a_2eservice");
    }

    #[test]
    fn properties_become_a_state() {
        let text = |word: &str| OwnedVariant::try_from(Variant::from(word.to_owned())).expect("a string");
        let job = |id: u32| {
            let path = zbus::ObjectPath::try_from("/").expect("a path");
            OwnedVariant::try_from(Variant::from((id, path))).expect("a structure")
        };
        let mut state = UnitState::default();
        let all = HashMap::from([
            ("LoadState".to_owned(), text("loaded")),
            ("ActiveState".to_owned(), text("active")),
            ("SubState".to_owned(), text("running")),
            ("FreezerState".to_owned(), text("frozen")),
            ("UnitFileState".to_owned(), text("static")),
            ("Job".to_owned(), job(7)),
            ("Description".to_owned(), text("ignored")),
        ]);
        patch(&mut state, &all);
        assert_eq!(
            (&state.load, &state.active, &state.freezer),
            (&LoadState::Loaded, &ActiveState::Active, &FreezerState::Frozen)
        );
        assert!(state.job);
        patch(&mut state, &HashMap::from([("Job".to_owned(), job(0)), ("ActiveState".to_owned(), text("odd"))]));
        assert!(!state.job);
        assert_eq!(state.active.as_str(), "odd");
        assert_eq!(result_interface("a.mount"), Some("org.freedesktop.systemd1.Mount"));
        assert_eq!(result_interface("a.target"), None);
    }
}
