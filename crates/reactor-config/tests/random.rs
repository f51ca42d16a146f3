//! Whatever the text: no panic, and findings that can be printed.

use std::path::Path;

use proptest::prelude::*;
use reactor_config::{Style, dump_toml, mask_text, parse_text};
use reactor_core::settings::Mode;

const VALID: [&str; 2] = [include_str!("files/drbd-reactor.toml"), include_str!("files/ours.toml")];

/// Everything that can be done with a text.
fn survives(text: &str) {
    for mode in [Mode::Native, Mode::DrbdReactor] {
        let (settings, findings) = parse_text(Path::new("/etc/a.toml"), text, mode);
        for finding in findings.iter().take(20) {
            assert!(!finding.message.is_empty());
            assert!(!finding.render(Style::Plain).is_empty());
            assert!(!finding.one_line().contains('\n'));
            if let Some(location) = &finding.location {
                assert!(location.line() >= 1 && location.column() >= 1);
            }
        }
        // What was accepted can be dumped, and the dump is accepted.
        if findings.is_empty() {
            let (_, findings) = parse_text(Path::new("/etc/a.toml"), &dump_toml(&settings), mode);
            let errors: Vec<String> =
                findings.iter().filter(|f| f.is_error()).map(reactor_config::Finding::one_line).collect();
            assert_eq!(errors, Vec::<String>::new());
        }
    }
    mask_text(text);
}

/// Pieces that configuration files are made of.
fn piece() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "[[umh]]\n",
        "[[umh.resource]]\n",
        "[[umh.helper]]\n",
        "[promoter.resources.a]\n",
        "[[promoter]]\n",
        "[daemon]\n",
        "[[",
        "]]",
        "[",
        "]",
        "{",
        "}",
        "=",
        " = ",
        "\n",
        ",",
        ".",
        "\"",
        "'",
        "\"\"\"",
        "\\",
        "#",
        "start",
        "stop",
        "command",
        "new",
        "old",
        "role",
        "value",
        "operator",
        "Matches",
        "password",
        "token=",
        "ocf:heartbeat:x i ",
        "failback-window",
        "02:00-04:00",
        "retry-interval",
        "back-off",
        "freeze-timeout",
        "1min",
        "0",
        "-1",
        "1e9",
        "true",
        "nan",
        "1979-05-27",
        "\u{0}",
        "\u{feff}",
        "\r\n",
        "ä",
        "\u{202e}",
        "\t",
    ]);
    prop_oneof![4 => known.prop_map(str::to_owned), 1 => "\\PC{0,8}"]
}

/// `PROPTEST_CASES` asks for more.
fn config() -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    ProptestConfig {
        cases: asked.unwrap_or(400),
        failure_persistence: None,
        max_global_rejects: 1_000_000,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn random_text(text in "(?s).{0,200}") {
        survives(&text);
    }

    #[test]
    fn random_pieces(pieces in prop::collection::vec(piece(), 0..60)) {
        survives(&pieces.concat());
    }

    #[test]
    fn mutated_configurations(
        which in 0..VALID.len(),
        cuts in prop::collection::vec((any::<prop::sample::Index>(), 0..20usize, piece()), 1..6),
    ) {
        let mut text: Vec<char> = VALID[which].chars().collect();
        for (at, len, piece) in cuts {
            let at = at.index(text.len());
            let end = (at + len).min(text.len());
            text.splice(at..end, piece.chars());
        }
        survives(&text.into_iter().collect::<String>());
    }

    /// A secret does not come out, wherever a file breaks.
    #[test]
    fn secrets_of_broken_files(at in any::<prop::sample::Index>(), len in 0..8usize, piece in piece()) {
        let text = "[[promoter]]\n[promoter.resources.a]\nstart = [\"ocf:heartbeat:x i password=S3CRET\", \"b/c\"]\nstrat = 1\n\
            [[umh]]\n[[umh.resource]]\ncommand = 5\nenv = { A_TOKEN = \"S3CRET\", B = 5 }\nnew.role = \"Prim\"\n";
        let mut text: Vec<char> = text.chars().collect();
        let at = at.index(text.len());
        // Not inside of the keys that say what is a secret.
        let end = (at + len).min(text.len());
        text.splice(at..end, piece.chars());
        let text: String = text.into_iter().collect();
        prop_assume!(text.matches("password=S3CRET").count() + text.matches("A_TOKEN = \"S3CRET").count() == text.matches("S3CRET").count());
        let (_, findings) = parse_text(Path::new("a.toml"), &text, Mode::Native);
        for finding in findings {
            prop_assert!(!finding.render(Style::Plain).contains("S3CRET"), "{}\n{text}", finding.render(Style::Plain));
            prop_assert!(!finding.one_line().contains("S3CRET"), "{}\n{text}", finding.one_line());
        }
    }
}
