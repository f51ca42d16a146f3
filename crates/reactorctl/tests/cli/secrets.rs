//! Files with secrets that the configuration names: who looks at the configuration hears what their receivers would not take.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;

use expect_test::expect;
use serde_json::Value;

use crate::Files;
use crate::daemon::check;

const NOTIFY: &str = "[[notify]]\nname = \"chat\"\nwebhook = { url-file = \"hook\" }\n";

fn set_mode(files: &Files, mode: u32) {
    std::fs::set_permissions(files.0.join("hook"), Permissions::from_mode(mode)).unwrap();
}

#[test]
fn check_and_doctor_look_at_files_with_secrets() {
    let files = Files::new("check-secrets", &[("main.toml", NOTIFY), ("hook", "https://chat.example/s3cret\n")]);
    check(
        files.run(&["check"]),
        &files.0,
        &expect![[r#"
        error: nothing can be sent with this: DIR/hook can be read by others than its owner
         --> DIR/main.toml:3:24
          |
        3 | webhook = { url-file = "hook" }
          |                        ^^^^^^
          |
          = help: chmod 600 DIR/hook

        1 file checked, 1 error
        --- exit 4
    "#]],
    );
    let json = |args: &[&str]| -> Vec<Value> {
        let output = files.run(args).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(!text.contains("s3cret"), "{text}");
        let document: Value = serde_json::from_str(&text).unwrap();
        let about = |finding: &&Value| finding["what"].as_str().unwrap().contains("hook");
        document["findings"].as_array().unwrap().iter().filter(about).cloned().collect()
    };
    let place = format!("{}:3:24", files.0.join("main.toml").display());
    let mend = format!("chmod 600 {}", files.0.join("hook").display());
    for args in [&["check", "--json"][..], &["doctor", "--local", "--json"]] {
        let findings = json(args);
        let [finding] = &findings[..] else { panic!("{args:?}: {findings:?}") };
        assert_eq!(finding["severity"], "error", "{finding}");
        assert_eq!((finding["where"].as_str(), finding["mend"][0].as_str()), (Some(&*place), Some(&*mend)));
    }
    let doctor = files.run(&["doctor", "--local"]).output().unwrap();
    let text = String::from_utf8(doctor.stdout).unwrap();
    assert!(text.contains("can be read by others than its owner") && text.contains(&mend), "{text}");

    set_mode(&files, 0o602);
    check(
        files.run(&["check"]),
        &files.0,
        &expect![[r#"
            error: nothing can be sent with this: DIR/hook: it can be written by others than its owner (mode 0602)
             --> DIR/main.toml:3:24
              |
            3 | webhook = { url-file = "hook" }
              |                        ^^^^^^
              |
              = help: chmod go-w DIR/hook

            1 file checked, 1 error
            --- exit 4
        "#]],
    );
    set_mode(&files, 0o600);
    check(
        files.run(&["check"]),
        &files.0,
        &expect![[r#"
        1 file checked, nothing wrong
        --- exit 0
    "#]],
    );
    assert_eq!(json(&["doctor", "--local", "--json"]), Vec::<Value>::new());
    std::fs::remove_file(files.0.join("hook")).unwrap();
    check(
        files.run(&["check"]),
        &files.0,
        &expect![[r#"
        error: nothing can be sent with this: DIR/hook: No such file or directory (os error 2)
         --> DIR/main.toml:3:24
          |
        3 | webhook = { url-file = "hook" }
          |                        ^^^^^^
          |
          = help: put the secret into DIR/hook, in one line, and then: chown root DIR/hook; chmod 600 DIR/hook

        1 file checked, 1 error
        --- exit 4
    "#]],
    );
    check(
        files.run(&["check", "--no-system"]),
        &files.0,
        &expect![[r#"
        1 file checked, nothing wrong
        --- exit 0
    "#]],
    );
    std::fs::create_dir(files.0.join("hook")).unwrap();
    check(
        files.run(&["check"]),
        &files.0,
        &expect![[r#"
        error: nothing can be sent with this: DIR/hook: it is not a regular file
         --> DIR/main.toml:3:24
          |
        3 | webhook = { url-file = "hook" }
          |                        ^^^^^^
          |
          = help: it has to be a regular file that only root may read and write: ls -l DIR/hook

        1 file checked, 1 error
        --- exit 4
    "#]],
    );
}
