//! Completion as a person has it: the installed script in a real shell, and names that a daemon knows.

#![expect(clippy::print_stdout, reason = "says what was skipped")]

use std::os::unix::net::UnixListener;
use std::process::{Command, Stdio};

use reactor_api::status::ReloadResult;

use crate::daemon::{Daemon, KILLED, reloaded};

/// What bash offers for a command line at its end, as the installed script says it. `None` = there is no bash.
fn offered(line: &str) -> Option<Vec<String>> {
    let script = format!(
        r#"reactorctl() {{ {program} "$@"; }}
        . "$1"
        COMP_LINE='{line}' COMP_POINT=${{#COMP_LINE}} COMP_TYPE=9
        read -ra COMP_WORDS <<< "$COMP_LINE"
        case "$COMP_LINE" in *' ') COMP_WORDS+=('') ;; esac
        COMP_CWORD=$(( ${{#COMP_WORDS[@]}} - 1 ))
        complete -p reactorctl > /dev/null || exit 9
        function=$(complete -p reactorctl | sed 's/.*-F \([^ ]*\).*/\1/')
        "$function" reactorctl "${{COMP_WORDS[COMP_CWORD]}}" "${{COMP_WORDS[COMP_CWORD-1]}}"
        printf '%s\n' "${{COMPREPLY[@]}}""#,
        program = env!("CARGO_BIN_EXE_reactorctl"),
    );
    let folder = std::env::temp_dir().join(format!("reactorctl-completion-{}-{}", std::process::id(), line.len()));
    std::fs::write(&folder, reactorctl::completion::script("bash").unwrap()).unwrap();
    let home = std::env::temp_dir().join("reactorctl-no-home");
    let output = Command::new("bash")
        .args(["--norc", "-c", &script, "bash"])
        .arg(&folder)
        .env("XDG_CONFIG_HOME", home)
        .stdin(Stdio::null())
        .output();
    std::fs::remove_file(&folder).unwrap();
    match output {
        Ok(output) => {
            assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
            let text = String::from_utf8(output.stdout).unwrap();
            Some(text.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect())
        }
        Err(error) => {
            println!("SKIPPED: bash: {error}");
            None
        }
    }
}

#[test]
fn a_shell_offers_commands_and_the_names_that_the_daemon_knows() {
    let daemon = Daemon::start(KILLED, reloaded(ReloadResult::Ok, &[]));
    let socket = daemon.folder.join(reactor_sys::control::SOCKET_NAME);
    let socket = socket.display();
    let Some(commands) = offered("reactorctl und") else { return };
    assert_eq!(commands, ["undrain"]);
    assert_eq!(
        offered(&format!("reactorctl --socket {socket} hold ")).unwrap().first().map(String::as_str),
        Some("r1")
    );
    for show in ["status r", "status -r r", "mon r"] {
        assert_eq!(offered(&format!("reactorctl --socket {socket} {show}")).unwrap(), ["r1"], "{show}");
    }
    assert_eq!(offered(&format!("reactorctl --socket {socket} move r1 --to n")).unwrap(), ["n1", "n3"]);
    assert_eq!(offered(&format!("reactorctl --socket {socket} why x")).unwrap(), Vec::<String>::new());
}

/// Whoever presses Tab beside a daemon that hangs goes on typing.
#[test]
fn a_daemon_that_hangs_gives_no_names_and_no_error() {
    let socket = std::env::temp_dir().join(format!("reactorctl-hangs-{}.sock", std::process::id()));
    let _hangs = UnixListener::bind(&socket).unwrap();
    let names = offered(&format!("reactorctl --socket {} hold r", socket.display()));
    std::fs::remove_file(&socket).unwrap();
    assert_eq!(names.unwrap_or_default(), Vec::<String>::new());
}
