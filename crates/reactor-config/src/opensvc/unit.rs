//! Unit files for commands that are no scripts with `start` and `stop`.

use super::words;

/// What a unit runs.
pub(super) struct Unit<'a> {
    pub(super) service: &'a str,
    pub(super) rid: &'a str,
    /// The command goes on running; otherwise it starts something, and ends.
    pub(super) is_simple: bool,
    pub(super) start: &'a [String],
    pub(super) stop: Option<&'a [String]>,
    pub(super) user: Option<&'a str>,
    pub(super) cwd: Option<&'a str>,
}

impl Unit<'_> {
    /// The file.
    pub(super) fn text(&self) -> String {
        let rid = words::one_line(self.rid).replace('%', "%%").replace('\\', "\\\\");
        let mut text = format!(
            "# {} of the service {}, imported from OpenSVC. Not enabled: the promoter starts it.\n[Unit]\nDescription={rid} of {}\n\n[Service]\n",
            words::one_line(self.rid),
            self.service,
            self.service
        );
        text.push_str(if self.is_simple { "Type=simple\n" } else { "Type=oneshot\nRemainAfterExit=yes\n" });
        if let Some(user) = self.user {
            text.push_str(&format!("User={user}\n"));
        }
        if let Some(cwd) = self.cwd {
            text.push_str(&format!("WorkingDirectory={}\n", cwd.replace('%', "%%")));
        }
        text.push_str(&format!("ExecStart={}\n", command(self.start)));
        if let Some(stop) = self.stop {
            text.push_str(&format!("ExecStop={}\n", command(stop)));
        }
        text
    }
}

/// Words as systemd reads them back: in quotes if they need them, and nothing of them is expanded.
fn command(words: &[String]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| quote(word)).collect();
    quoted.join(" ")
}

fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-+/:=@,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    let mut quoted = String::from('"');
    for c in word.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '%' => quoted.push_str("%%"),
            '$' => quoted.push_str("$$"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            c if c.is_control() => quoted.push(' '),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// Whether a command has what only a shell understands.
pub(super) fn needs_shell(text: &str) -> bool {
    text.contains(['|', '&', ';', '<', '>', '$', '`', '*', '~'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_command_is_expanded() {
        let words = ["/bin/sh", "-c", "echo \"100%\" $HOME \\ | cat\n"].map(str::to_owned);
        let unit = Unit {
            service: "web",
            rid: "app#1%",
            is_simple: false,
            start: &words,
            stop: None,
            user: Some("www"),
            cwd: Some("/srv/%"),
        };
        expect_test::expect![[r#"
            # app#1% of the service web, imported from OpenSVC. Not enabled: the promoter starts it.
            [Unit]
            Description=app#1%% of web

            [Service]
            Type=oneshot
            RemainAfterExit=yes
            User=www
            WorkingDirectory=/srv/%%
            ExecStart=/bin/sh -c "echo \"100%%\" $$HOME \\ | cat\n"
        "#]]
        .assert_eq(&unit.text());
    }

    #[test]
    fn a_shell_is_only_for_what_needs_it() {
        assert!(["a | b", "a; b", "a > b", "echo $x"].iter().all(|text| needs_shell(text)));
        assert!(!needs_shell("/usr/bin/daemon --option 'a b'"));
    }
}
