//! Which kernel the nodes run: one that does not run here is set aside, and the next one is taken, also where both would.

#![expect(clippy::print_stdout, reason = "what is skipped is said aloud")]

#[path = "common/image.rs"]
mod image;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use lab::image::{Image, Runner, UmlStart};
use lab::kernel::{Candidate, Outcome, first_that_boots};

/// What the nodes run here, as a candidate; nothing where that is no User-Mode Linux.
fn real() -> Option<(Candidate, PathBuf)> {
    match image::image() {
        Ok(Image { kernel, modules, base, runner: Runner::Uml(start) }) => {
            Some((Candidate { start, ..candidate("real", &kernel, &modules) }, base))
        }
        Ok(image) => {
            println!("SKIPPED: User-Mode Linux does not run here, the nodes run {}", image.kernel.display());
            None
        }
        Err(missing) => {
            assert!(std::env::var_os("CI").is_none(), "{missing}");
            println!("SKIPPED: {missing}");
            None
        }
    }
}

fn candidate(name: &str, program: &Path, modules: &Path) -> Candidate {
    Candidate {
        origin: name.to_owned(),
        of: "of a test".to_owned(),
        way: "ptrace".to_owned(),
        version: "1".to_owned(),
        program: program.to_owned(),
        modules: modules.to_owned(),
        start: UmlStart::default(),
    }
}

#[test]
fn a_kernel_that_dies_at_once_is_set_aside_and_the_next_one_is_taken() {
    let Some((real, base)) = real() else { return };
    let folder = std::env::temp_dir().join(format!("lab-kernels-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let panics = folder.join("panics");
    let script =
        "#!/bin/sh\necho 'Kernel panic - not syncing: Attempted to kill init! exitcode=0x0000000b'\nkill -ABRT $$\n";
    fs::write(&panics, script).unwrap();
    fs::set_permissions(&panics, Permissions::from_mode(0o755)).unwrap();
    let no_program = folder.join("no-program");
    fs::write(&no_program, "not a program").unwrap();
    let mut said = Vec::new();
    let candidates = [
        candidate("panics", &panics, &real.modules),
        candidate("nothing", &no_program, &real.modules),
        real.clone(),
        candidate("later", &panics, &real.modules),
    ];
    let (chosen, tried) = first_that_boots(candidates, &base, &mut |text| said.push(text.to_owned())).unwrap();
    fs::remove_dir_all(folder).unwrap();
    assert_eq!(chosen.expect("one boots").program, real.program);
    let names: Vec<&str> = tried.iter().map(|tried| tried.name.as_str()).collect();
    assert_eq!(names, ["panics-ptrace", "nothing-ptrace", "real-ptrace"], "nothing after the one that boots is tried");
    let Outcome::SetAside { why } = &tried[0].outcome else { panic!("{tried:?}") };
    assert_eq!(
        why,
        "crashed (kernel panic), and its console ends with \"Attempted to kill init! exitcode=0x0000000b\""
    );
    let Outcome::SetAside { .. } = &tried[1].outcome else { panic!("{tried:?}") };
    let Outcome::Boots { .. } = tried[2].outcome else { panic!("{tried:?}") };
    assert!(said.iter().all(|text| !text.contains('\n')), "a sentence each: {said:?}");
}
