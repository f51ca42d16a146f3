//! A program of the administrator's.

use reactor_core::settings::notify::Exec;

use super::*;

fn by_program(command: &[&str], timeout: Duration) -> NotifySettings {
    let command = command.iter().map(|&word| word.to_owned()).collect();
    NotifySettings { timeout, ..settings("program", Receiver::Exec(Exec { command })) }
}

fn script(home: &Home, text: &str) -> String {
    let path = home.path("script");
    fs::write(&path, format!("#!/bin/sh\ncd \"$(dirname \"$0\")\" || exit 1\n{text}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path.display().to_string()
}

#[test]
fn a_program_has_the_message_as_json_and_in_its_environment() {
    let home = Home::new("exec");
    let script =
        script(&home, "env | grep ^NOTIFY_ | sort > env; echo \"$#:$1:$2\" > args; cat > json.new && mv json.new json");
    let deliveries = start(&home.path("state"), &[by_program(&[&script, "$(id) ; x", "*"], LONG)]);
    let mut message = message("program", "r0 lost its peer; $(rm -r /)\nNOTIFY_NODE=other");
    message.notices.insert(0, Notice { severity: Severity::Info, resources: vec!["r7".to_owned()], ..notice("mild") });
    message.left_out = 1;
    deliveries.send(message);
    until("it has run", || status(&deliveries, "program").delivered == 1);
    assert_eq!(fs::read_to_string(home.path("args")).unwrap(), "2:$(id) ; x:*\n");
    let json: serde_json::Value = serde_json::from_slice(&fs::read(home.path("json")).unwrap()).unwrap();
    assert_eq!(json["notices"][1]["text"], "r0 lost its peer; $(rm -r /)\nNOTIFY_NODE=other");
    let env = fs::read_to_string(home.path("env")).unwrap();
    let expected = format!(
        "NOTIFY_COUNT=2\nNOTIFY_DEVICE=\nNOTIFY_DEVICE_ID=\nNOTIFY_ID={}\nNOTIFY_INCIDENT=\nNOTIFY_LEFT_OUT=1\nNOTIFY_NODE=n1\n\
         NOTIFY_RECEIVER=program\nNOTIFY_RESOURCES=r0 r7\nNOTIFY_SEVERITY=error\nNOTIFY_TEXT=r0 lost its peer; $(rm -r /) NOTIFY_NODE=other\n\
         NOTIFY_TIME=2026-11-28T19:11:13.898Z\nNOTIFY_TITLE=n1: r0 lost its peer; $(rm -r /) NOTIFY_NODE=other (and 2 more)\n\
         NOTIFY_TOPIC=drbd\nNOTIFY_WHAT=connection-lost\n",
        json["id"].as_str().unwrap()
    );
    assert_eq!(env, expected);
}

#[test]
fn a_program_that_fails_runs_again_and_one_that_refuses_the_message_does_not() {
    let home = Home::new("exec-codes");
    fs::write(home.path("exits"), "1\n75\n0\n65\n0\n").unwrap();
    let text =
        "exit=$(head -n1 exits); sed -i 1d exits; echo \"$NOTIFY_TEXT\" >> told; echo out of paper >&2; exit \"$exit\"";
    let deliveries = start(&home.path("state"), &[by_program(&[&script(&home, text)], LONG)]);
    for text in ["one", "two", "three"] {
        deliveries.send(message("program", text));
    }
    until("all are over", || status(&deliveries, "program").waiting == 0);
    assert_eq!(fs::read_to_string(home.path("told")).unwrap(), "one\none\none\ntwo\nthree\n");
    let done = status(&deliveries, "program");
    assert_eq!((done.delivered, done.failed, done.dropped), (2, 3, 1));
}

#[test]
fn a_program_that_hangs_is_ended_with_its_group() {
    let home = Home::new("exec-hangs");
    // Its child writes its number, and would live for ever.
    let text = "sleep 100000 & echo $! > child.new && mv child.new child; wait";
    let deliveries = start(&home.path("state"), &[by_program(&[&script(&home, text)], Duration::from_millis(300))]);
    deliveries.send(message("program", "news"));
    until("it was ended", || status(&deliveries, "program").trouble.is_some_and(|why| why.contains("took too long")));
    let Ok(child) = fs::read_to_string(home.path("child")) else { return };
    let gone = format!("/proc/{}/cmdline", child.trim());
    // Its number may belong to somebody else by now.
    until("its child, too", || !fs::read_to_string(&gone).is_ok_and(|line| line.starts_with("sleep\u{0}100000")));
}

#[test]
fn a_program_that_is_not_there_is_tried_again() {
    let home = Home::new("exec-missing");
    let path = home.path("script").display().to_string();
    let deliveries = start(&home.path("state"), &[by_program(&[&path], LONG)]);
    deliveries.send(message("program", "news"));
    until("that is told", || status(&deliveries, "program").trouble.is_some_and(|why| why.contains("No such file")));
    script(&home, "cat > /dev/null");
    until("it has run", || status(&deliveries, "program").delivered == 1);
}
