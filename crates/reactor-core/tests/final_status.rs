//! The state at the end of a recording against what `drbdsetup status` said on that node at that moment.

#![expect(clippy::disallowed_methods, reason = "a test reads its recordings")]

use std::path::{Path, PathBuf};

use reactor_core::api::drbdsetup_status::{self, Resource};
use reactor_core::core::Core;
use reactor_core::ids::Mono;
use reactor_core::input::{Dialect, Input, SourceEvent, SourceId};

/// Every status file of every DRBD 9 recording.
fn status_files() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/recordings/drbd9");
    let folders = std::fs::read_dir(root).expect("the recordings are part of the project").flatten();
    let files = folders.flat_map(|folder| std::fs::read_dir(folder.path()).into_iter().flatten().flatten());
    let mut found: Vec<_> =
        files.map(|file| file.path()).filter(|path| path.to_string_lossy().ends_with(".status.json")).collect();
    found.sort();
    found
}

/// What the model knows after all lines of `recording`, in drbdsetup's form.
fn end_of(recording: &Path) -> Vec<Resource> {
    let text = std::fs::read_to_string(recording).expect("a status file has its recording");
    let mut core = Core::new();
    let started = SourceEvent::Started { command: "a recording".to_owned(), dialect: Some(Dialect::Drbd9) };
    for input in
        [Input::Source(SourceId::Drbd, started), Input::Lines(SourceId::Drbd, text), Input::BurstEnd(SourceId::Drbd)]
    {
        core.step(Mono::ZERO, &input, &mut Vec::new());
    }
    drbdsetup_status::of_node(core.node())
}

#[test]
fn every_recording_ends_in_the_state_that_drbdsetup_shows() {
    let files = status_files();
    assert!(files.len() >= 60, "only {} status files", files.len());
    let mut wrong = Vec::new();
    for file in &files {
        let theirs: Vec<Resource> = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
        let stem = file.to_string_lossy().replace(".status.json", "");
        let recordings = [".events2", ".events2-ts"].map(|ending| (ending, PathBuf::from(format!("{stem}{ending}"))));
        assert!(recordings.iter().any(|(_, path)| path.exists()), "{stem}: a status file has its recording");
        for (ending, recording) in recordings.into_iter().filter(|(_, path)| path.exists()) {
            let differences = drbdsetup_status::compare(&end_of(&recording), &theirs);
            // DRBD prints no line when only the write ordering changes; a poll shows it, and this recording has no polls.
            let unseen = |line: &&String| ending == ".events2-ts" && line.contains(": write-ordering ");
            wrong.extend(
                differences.iter().filter(|line| !unseen(line)).map(|line| format!("{}: {line}", recording.display())),
            );
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
