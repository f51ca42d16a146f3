use super::*;
use expect_test::expect;

fn text(print: impl Fn(&Diagnosis, &mut dyn Write) -> io::Result<()>, diagnosis: &Diagnosis) -> String {
    let mut out = anstream::StripStream::new(Vec::new());
    print(diagnosis, &mut out).unwrap();
    String::from_utf8(out.into_inner()).unwrap()
}

fn sick() -> Diagnosis {
    let finding = |severity, place: &str, what: &str| Finding {
        severity,
        check: "options".to_owned(),
        resource: Some("r0".to_owned()),
        place: place.to_owned(),
        what: what.to_owned(),
        why: "it \u{1b}matters".to_owned(),
        facts: Vec::new(),
        mend: vec!["drbdadm adjust r0".to_owned()],
    };
    Diagnosis {
        nodes: vec!["n1".to_owned(), "n2".to_owned()],
        not_asked: Vec::new(),
        findings: vec![
            finding(Severity::Error, "n1, n2", "auto-promote is yes, it should be no"),
            finding(Severity::Warning, "r0 connection to n2", "lost 4 times"),
            Finding { facts: vec!["n2: 10 s ".repeat(9)], ..finding(Severity::Note, "n2", "ping-int is 10") },
        ],
    }
}

#[test]
fn each_finding_says_where_what_why_and_what_mends_it() {
    expect![[r#"
        ! r0 n1, n2: auto-promote is yes, it should be no
              it �matters
              > drbdadm adjust r0
        * r0 connection to n2: lost 4 times
              it �matters
              > drbdadm adjust r0
        - r0 n2: ping-int is 10
              n2: 10 s n2: 10 s n2: 10 s n2: 10 s n2: 10 s n2: 10 s n2: 10 s n2: 10 s
              n2: 10 s
              it �matters
              > drbdadm adjust r0

        n1, n2: 1 error, 1 warning, 1 note
    "#]]
    .assert_eq(&text(render, &sick()));
    let well = Diagnosis { nodes: vec!["n1".to_owned()], ..Diagnosis::default() };
    assert_eq!(text(render, &well), "n1: nothing is wrong\n");
    let partly = Diagnosis { not_asked: vec!["n2".to_owned(), "n3".to_owned()], ..well };
    assert_eq!(text(render, &partly), "n1: nothing is wrong; not asked: n2, n3\n");
}

#[test]
fn the_night_hears_of_errors_and_warnings_only() {
    expect![[r#"
        ! n1, n2: auto-promote is yes, it should be no
        * r0 connection to n2: lost 4 times
        n1, n2: 1 error, 1 warning, 1 note; reactorctl doctor says what mends it
    "#]]
    .assert_eq(&text(nightly, &sick()));
    let note = Diagnosis { findings: sick().findings.split_off(2), ..sick() };
    assert_eq!(text(nightly, &note), "");
}

#[test]
fn the_exit_code_is_that_of_the_worst() {
    assert_eq!(exit(&sick()), Exit::Errors);
    assert_eq!(exit(&Diagnosis { findings: sick().findings.split_off(1), ..sick() }), Exit::Warnings);
    assert_eq!(exit(&Diagnosis { findings: sick().findings.split_off(2), ..sick() }), Exit::Ok);
}
