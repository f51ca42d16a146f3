//! The `[Service]` of an entry that is a command: a container, or a script with `start` and `stop`.

use crate::settings::promoter::{Command, Engine};

/// The lines below `[Service]`.
pub(super) fn lines(command: &Command) -> Vec<String> {
    let own = match command {
        Command::Container { name, engine } => container(name, *engine),
        Command::App { script, within } => app(script, within.as_ref().map(|(name, engine)| (name.as_str(), *engine))),
    };
    // The template has one, or systemd would not load it.
    ["ExecStop=".to_owned()].into_iter().chain(own).collect()
}

/// What runs a container: it is stopped in its own way when the unit is stopped, and that is a good end. If it ends by itself the service is gone,
/// whatever its exit code is, and that is a failure.
const ATTACHED: &str = "trap '\"$$1\" stop \"$$2\"; exit 0' TERM; \"$$1\" start --attach \"$$2\" & wait $$!; \
                        echo \"the container has ended by itself, with exit code $$?\"; exit 1";

/// A container that exists: the unit is active while it runs.
fn container(name: &str, engine: Engine) -> Vec<String> {
    let program = match engine {
        Engine::Docker => "docker",
        Engine::Podman | Engine::Lxc | Engine::Nspawn | Engine::Openvz => "podman",
    };
    vec![
        "Type=exec".to_owned(),
        // The template is for scripts, which leave something behind. A container that has ended is not active.
        "RemainAfterExit=no".to_owned(),
        // TERM is for the shell, which stops the container.
        "KillMode=mixed".to_owned(),
        format!("ExecStart=/bin/sh -c \"{}\" sh {}", in_quotes(ATTACHED), words(&[program, name])),
    ]
}

/// A script that starts something and ends. A container has started long before anything in it answers.
fn app(script: &str, within: Option<(&str, Engine)>) -> Vec<String> {
    let prefix = within.map(|(container, engine)| engine.exec(container)).unwrap_or_default();
    let call = |last: &[&str]| words(&[prefix.iter().map(String::as_str).collect(), last.to_vec()].concat());
    let mut out = vec!["Type=oneshot".to_owned(), "RemainAfterExit=yes".to_owned()];
    if within.is_some() {
        let until = "until \"$$@\" >/dev/null 2>&1; do sleep 1; done";
        out.push(format!("ExecStartPre=/bin/sh -c '{until}' sh {}", call(&["true"])));
    }
    out.push(format!("ExecStart={}", call(&[script, "start"])));
    out.push(format!("ExecStop={}", call(&[script, "stop"])));
    // systemd has no limit for the start of such a unit.
    out.push("TimeoutStartSec=90s".to_owned());
    out
}

/// A command line as systemd takes it apart again.
fn words(words: &[&str]) -> String {
    words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
}

/// A text of ours within double quotes, whose `$` are doubled already.
fn in_quotes(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

/// One word: quoted if it has to be, with what systemd expands doubled.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-=:@,+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    let mut out = String::from("\"");
    for c in word.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '%' | '$' => out.extend([c, c]),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_systemd_would_expand_reaches_the_command_as_it_is() {
        assert_eq!(words(&["podman", "exec", "ct-1"]), "podman exec ct-1");
        assert_eq!(quoted("a b"), "\"a b\"");
        assert_eq!(quoted("50%$HOME\\\"x\""), "\"50%%$$HOME\\\\\\\"x\\\"\"");
        assert_eq!(quoted(""), "\"\"");
    }

    #[test]
    fn a_container_that_ends_by_itself_is_no_longer_active() {
        let lines = lines(&Command::Container { name: "ct1".to_owned(), engine: Engine::Podman }).join("\n");
        assert!(
            lines.contains("\nRemainAfterExit=no\nKillMode=mixed\nExecStart=/bin/sh -c \"trap '\\\"$$1\\\" stop "),
            "{lines}"
        );
        assert!(lines.ends_with("; exit 1\" sh podman ct1"), "{lines}");
    }

    #[test]
    fn a_script_runs_in_its_container_when_that_answers() {
        let app =
            Command::App { script: "/etc/init.d/S10foo".to_owned(), within: Some(("ct1".to_owned(), Engine::Podman)) };
        assert_eq!(
            lines(&app).join("\n"),
            "ExecStop=\nType=oneshot\nRemainAfterExit=yes\n\
             ExecStartPre=/bin/sh -c 'until \"$$@\" >/dev/null 2>&1; do sleep 1; done' sh podman exec ct1 true\n\
             ExecStart=podman exec ct1 /etc/init.d/S10foo start\nExecStop=podman exec ct1 /etc/init.d/S10foo stop\n\
             TimeoutStartSec=90s"
        );
        let here = Command::App { script: "/srv/my app".to_owned(), within: None };
        assert_eq!(lines(&here)[3], "ExecStart=\"/srv/my app\" start");
    }

    #[test]
    fn each_engine_runs_a_command_in_a_way_that_hands_on_its_exit_code() {
        let in_ct = |engine: Engine| words(&engine.exec("ct1").iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(in_ct(Engine::Docker), "docker exec ct1");
        assert_eq!(in_ct(Engine::Lxc), "lxc-attach --name ct1 --");
        assert_eq!(in_ct(Engine::Nspawn), "systemd-run --quiet --wait --pipe --collect --machine=ct1 --");
        assert_eq!(in_ct(Engine::Openvz), "vzctl --quiet exec2 ct1");
    }
}
