//! Completion as a person has it: the installed script in a real shell, and names that a daemon knows.

#![expect(clippy::print_stdout, reason = "says what was skipped")]

use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Stdio};

use reactor_api::status::ReloadResult;

use crate::daemon::{Daemon, KILLED, reloaded};

/// What bash offers for a command line at its end, as the installed script says it. `None` = there is no bash.
fn offered(line: &str) -> Option<Vec<String>> {
    offered_with(&std::env::temp_dir().join("reactorctl-no-home"), line)
}

/// The same with the contexts of this folder.
fn offered_with(home: &Path, line: &str) -> Option<Vec<String>> {
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

/// Whoever steers a cluster from a machine that is no node of it.
#[test]
fn without_a_daemon_here_names_are_those_of_the_nodes() {
    let daemon = Daemon::start(KILLED, reloaded(ReloadResult::Ok, &[]));
    let home = daemon.folder.join("home");
    std::fs::create_dir_all(home.join("reactorctl")).unwrap();
    let socket = daemon.folder.join(reactor_sys::control::SOCKET_NAME);
    let context = format!("[nodes.far-2]\nsocket = \"{}\"\n[nodes.far-3]\nsocket = \"/nowhere/s\"\n", socket.display());
    std::fs::write(home.join("reactorctl/default.toml"), context).unwrap();
    let nobody = "--socket /nowhere/control.sock";
    for (line, names) in [
        (format!("reactorctl {nobody} move r"), ["r1"].as_slice()),
        ("reactorctl --node far-2 hold r".to_owned(), &["r1"]),
        ("reactorctl --node far-3 hold r".to_owned(), &[]),
    ] {
        let Some(offered) = offered_with(&home, &line) else { return };
        assert_eq!(offered, names, "{line}");
    }
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
