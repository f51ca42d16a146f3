//! The command line for the other node: ssh hands one string to a shell there.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

/// `words` as one line that a shell takes apart into the same words.
pub(super) fn line<'w>(words: impl IntoIterator<Item = &'w OsStr>) -> OsString {
    let mut line = Vec::new();
    for word in words {
        if !line.is_empty() {
            line.push(b' ');
        }
        add(word.as_bytes(), &mut line);
    }
    OsString::from_vec(line)
}

fn add(word: &[u8], line: &mut Vec<u8>) {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_./,:@%+=".contains(byte);
    // A word in front of a command with `=` in it would be a variable; ours stand behind it.
    if !word.is_empty() && word.iter().all(plain) {
        line.extend_from_slice(word);
        return;
    }
    line.push(b'\'');
    for &byte in word {
        match byte {
            b'\'' => line.extend_from_slice(b"'\\''"),
            byte => line.push(byte),
        }
    }
    line.push(b'\'');
}

/// The arguments for the other nodes: those that were given here, without the program and without what chooses the nodes.
pub(super) fn without_choice(arguments: &[OsString]) -> Vec<OsString> {
    let mut out = Vec::new();
    let mut arguments = arguments.iter().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.to_str() {
            Some("--") => {
                out.push(argument.clone());
                out.extend(arguments.by_ref().cloned());
            }
            Some("--context" | "--nodes") => {
                arguments.next();
            }
            Some(other) if other.starts_with("--context=") || other.starts_with("--nodes=") => {}
            _ => out.push(argument.clone()),
        }
    }
    out
}

/// Adds options where they are still options.
pub(super) fn add_options(arguments: &mut Vec<OsString>, options: Vec<OsString>) {
    let end = arguments.iter().position(|argument| argument == "--").unwrap_or(arguments.len());
    arguments.splice(end..end, options);
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn words(words: &[&str]) -> Vec<OsString> {
        words.iter().map(OsString::from).collect()
    }

    #[test]
    fn a_shell_takes_a_line_apart_into_the_same_words() {
        let hard = [
            "plain-1.toml",
            "a b",
            "",
            "it's",
            "$(touch x)",
            "`id`",
            "a;b",
            "*",
            "\\",
            "\"",
            "~",
            "a\nb",
            "ä",
            "-x",
            "A=b",
            "#c",
        ];
        let hard = words(&hard);
        let line = line(hard.iter().map(OsString::as_os_str));
        let mut script = OsString::from("printf '%s\\0' ");
        script.push(&line);
        let output = Command::new("/bin/sh").arg("-c").arg(script).output().unwrap();
        let expected: Vec<u8> = hard.iter().flat_map(|word| [word.as_bytes(), b"\0"].concat()).collect();
        assert_eq!(output.stdout, expected);
        assert_eq!(super::line(words(&["ls", "r0.toml"]).iter().map(OsString::as_os_str)), "ls r0.toml");
    }

    #[test]
    fn what_chooses_the_nodes_stays_here() {
        let given = words(&["drbd-reactorctl", "--context", "prod", "rm", "--nodes=a,b", "x", "--", "--context", "y"]);
        let mut left = without_choice(&given);
        assert_eq!(left, words(&["rm", "x", "--", "--context", "y"]));
        add_options(&mut left, words(&["--force"]));
        assert_eq!(left, words(&["rm", "x", "--force", "--", "--context", "y"]));
    }
}
