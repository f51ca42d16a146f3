use proptest::prelude::*;
use reactor_api::Status;
use reactor_api::promoted::HoldStatus;

use super::*;
use crate::testing::{BAD, GOOD, status_of};

/// What a condition comes to, and what is missing.
fn judged(text: &str, status: &Status, resource: &str) -> (bool, Vec<String>) {
    let verdict = parse(text).unwrap_or_else(|error| panic!("{text}: {error}")).judge(&Known::of(status, resource));
    (verdict.is_met, verdict.missing.iter().map(ToString::to_string).collect())
}

fn is_met(text: &str, status: &Status, resource: &str) -> bool {
    judged(text, status, resource).0
}

fn promoted(status: &mut Status, state: &str) {
    status.promoted = vec![reactor_api::PromotedStatus {
        resource: "r0".to_owned(),
        state: state.to_owned(),
        failures: 2,
        ..reactor_api::PromotedStatus::default()
    }];
}

#[test]
fn a_condition_is_about_what_the_status_says() {
    let mut status = status_of(GOOD);
    promoted(&mut status, "running");
    for met in [
        "role=Primary and disk=UpToDate and peers>=2",
        "role=primary and disk-state=uptodate",
        "quorum and open and not may-promote",
        "peers=2 and volumes=1 and size>65000",
        "connection=Connected and replication=Established and out-of-sync=0",
        // Of two peers one has no disk, on purpose.
        "any peer-disk=UpToDate and not peer-disk=UpToDate and any peer-disk != UpToDate",
        "primary=n1 or primary=n2",
        "state=running and running and promoted and not (blocked or held or drained or frozen)",
        "failures<3 and failures >= 2 and promotion-score=10102",
        "suspended=no and peer-role!=Primary",
        "every quorum=yes",
    ] {
        assert_eq!(judged(met, &status, "r0"), (true, vec![]), "{met}");
    }
    promoted(&mut status, "held");
    status.promoted[0].hold = Some(HoldStatus::default());
    status.drained = Some(HoldStatus::default());
    assert!(is_met("held and drained and state=held and not running", &status, "r0"));
}

#[test]
fn what_is_missing_is_said_with_how_it_is_instead() {
    let status = status_of(BAD);
    let missing = |text: &str, resource: &str| judged(text, &status, resource).1.join("; ");
    assert_eq!(missing("role=Primary and disk=UpToDate", "a"), "");
    assert_eq!(missing("quorum and peers>=1", "a"), "quorum=yes (volume 0 is no); peers>=1 (it is 0)");
    assert_eq!(missing("disk=UpToDate", "b"), "disk=UpToDate (volume 0 is Inconsistent, volume 1 is Diskless)");
    assert_eq!(missing("done>=99", "b"), "done>=99 (n2 volume 0 is 51.14, n2 volume 1 is not said)");
    assert_eq!(missing("any done>=99 or role=Primary", "b").matches(';').count(), 1);
    assert_eq!(missing("not (role=Secondary and peers=1)", "b"), "not (role=Secondary and peers=1) (it is so)");
    // What nobody has is no value, and nothing is true of none.
    assert_eq!(missing("state=running", "b"), "state=running (there is none)");
    assert!(!is_met("disk=UpToDate", &status, "zzz") && !is_met("disk!=UpToDate", &status, "zzz"));
    assert!(is_met("not disk=UpToDate and peers=0 or not promoted", &status, "zzz"));
}

fn mistake(text: &str) -> String {
    let mistake = parse(text).expect_err(text);
    format!("{}\n", mistake.render(text))
}

#[test]
fn mistakes_are_shown_where_they_are() {
    let texts = [
        "role=Primary and dsk=UpToDate",
        "disk=UpTodat",
        "disk=Sideways",
        "peers>=two",
        "disk>UpToDate",
        "role=Primary && quorum",
        "role=Primary quorum",
        "role=Primary and",
        "role=",
        "disk",
        "(role=Primary",
        "role=Primary)",
        "any every disk=UpToDate",
        "quorum=maybe",
        "primary='n1",
        "=UpToDate",
        "role in (Primary)",
        "öäü=1 and x",
        "",
    ];
    let all: String = texts.iter().map(|text| mistake(text)).collect();
    expect_test::expect![[r#"
        there is no field `dsk`
          role=Primary and dsk=UpToDate
                           ^^^
          did you mean `disk`?
        `disk` is never `UpTodat`
          disk=UpTodat
               ^^^^^^^
          did you mean `UpToDate`?
        `disk` is never `Sideways`
          disk=Sideways
               ^^^^^^^^
          it is one of: Diskless, Attaching, Detaching, Failed, Negotiating, Inconsistent, Outdated, DUnknown, Consistent, UpToDate; another one stands in quotes
        `peers` is a number, and `two` is none
          peers>=two
                 ^^^
        `>` compares numbers, and `disk` is none
          disk>UpToDate
              ^
          `=` or `!=`
        `&` has no meaning here
          role=Primary && quorum
                       ^
          `and` joins two that both have to be so
        the condition was complete before this
          role=Primary quorum
                       ^^^^^^
          conditions are joined by `and` and `or`
        the condition ends where the name of a field is missing
          role=Primary and
                          ^
        the condition ends where a value is missing
          role=
               ^
        `disk` has to be compared with something
          disk
          ^^^^
          only what is `yes` or `no` can stand alone
        this has no `)`
          (role=Primary
          ^
        no `(` stands before this
          role=Primary)
                      ^
        it is either `any` or `every`
          any every disk=UpToDate
              ^^^^^
        `quorum` is `yes` or `no`
          quorum=maybe
                 ^^^^^
        a quoted text does not end
          primary='n1
                  ^^^
          it ends with '
        the name of a field belongs here
          =UpToDate
          ^
        `role` has to be compared with something
          role in (Primary)
          ^^^^
          only what is `yes` or `no` can stand alone
        there is no field `öäü`
          öäü=1 and x
          ^^^
          there are: role, primary, may-promote, promotion-score, suspended, volumes, peers, split-brain, disk, disk-state, quorum, open, size, connection, connection-state, peer-role, peer-disk, peer-disk-state, replication, replication-state, out-of-sync, done, percent-resync-done, promoted, state, running, blocked, frozen, held, drained, failures, policy
        the condition ends where the name of a field is missing

          ^
    "#]].assert_eq(&all);
    assert!(parse(&"(".repeat(4000)).unwrap_err().what.contains("deeper"));
    assert!(parse(&"not ".repeat(1000)).unwrap_err().what.contains("deeper"));
    assert!(parse(&"x".repeat(5000)).unwrap_err().what.contains("bytes"));
    assert!(!mistake("role=\u{1b}[2J").contains('\u{1b}'));
    // The caret is below the text whatever stands in quotes.
    let report = mistake("peers='a\nb'");
    assert_eq!(report.lines().collect::<Vec<_>>()[1..], ["  peers='a b'", "        ^^^^^"], "{report}");
}

#[test]
fn each_condition_has_one_form() {
    for (text, printed) in [
        ("role=primary", "role=Primary"),
        ("quorum", "quorum=yes"),
        ("a=1", ""),
        ("peers >= 2.50", "peers>=2.5"),
        ("disk-state==uptodate", "disk=UpToDate"),
        ("not(role=Primary)", "not role=Primary"),
        ("(role=Primary or quorum) or open", "role=Primary or quorum=yes or open=yes"),
        ("role=Primary and (quorum or open)", "role=Primary and (quorum=yes or open=yes)"),
        ("role=Primary or quorum and open", "role=Primary or quorum=yes and open=yes"),
        ("ANY disk='Brand New'", "any disk=\"Brand New\""),
        ("primary=n1", "primary=\"n1\""),
        ("disk='UpToDate'", "disk=UpToDate"),
    ] {
        assert_eq!(parse(text).map(|it| it.to_string()).unwrap_or_default(), printed, "{text}");
    }
}

fn conditions() -> impl Strategy<Value = Expression> {
    let fields: Vec<&'static Field> = Field::names().filter_map(Field::find).collect();
    let ops = || prop::sample::select(vec![Op::Equal, Op::NotEqual, Op::Less, Op::AtMost, Op::More, Op::AtLeast]);
    let number = (-99_999i32..99_999, 0u8..4).prop_map(|(n, places)| f64::from(n) / 10f64.powi(places.into()));
    let parts = (prop::sample::select(fields), ops(), number, any::<(bool, bool)>(), "\\PC{0,12}");
    let test = parts.prop_map(|(field, op, number, (flag, any), text)| {
        let (value, ordered) = match field.kind {
            Kind::Flag => (Value::Flag(flag), false),
            Kind::Number => (Value::Number(if number == 0.0 { 0.0 } else { number }), true),
            Kind::Words(words) if flag => (Value::Word(words()[text.len() % words().len()].to_owned()), false),
            Kind::Text | Kind::Words(_) => (Value::Word(text), false),
        };
        let op = if ordered || op == Op::NotEqual { op } else { Op::Equal };
        Expression::Test(Test { which: if any { Which::Any } else { Which::Every }, field, op, value })
    });
    test.prop_recursive(4, 24, 4, |inner| {
        let several = || prop::collection::vec(inner.clone(), 2..4);
        let no_or = |parts: &Vec<Expression>| parts.iter().all(|part| !matches!(part, Expression::Or(_)));
        let no_and = |parts: &Vec<Expression>| parts.iter().all(|part| !matches!(part, Expression::And(_)));
        prop_oneof![
            several().prop_filter("an or within an or is one", no_or).prop_map(Expression::Or),
            several().prop_filter("an and within an and is one", no_and).prop_map(Expression::And),
            inner.prop_map(|part| Expression::Not(Box::new(part))),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_printed_reads_back_as_the_same(condition in conditions()) {
        let text = condition.to_string();
        prop_assert_eq!(parse(&text), Ok(condition), "{}", text);
    }

    #[test]
    fn any_text_is_read_or_refused_with_a_place(text in "(?s).{0,40}|\\PC{0,60}|[a-z=<>!()'\" -]{0,60}|(role|disk|not|any|and|or|=|\\(|\\)|peers|>=|2| ){0,30}") {
        match parse(&text) {
            Ok(condition) => {
                let status = status_of(BAD);
                let verdict = condition.judge(&Known::of(&status, "b"));
                prop_assert_eq!(verdict.is_met, verdict.missing.is_empty());
                prop_assert_eq!(parse(&condition.to_string()), Ok(condition));
            }
            Err(mistake) => {
                prop_assert!(mistake.at.start <= mistake.at.end && mistake.at.end <= text.len());
                prop_assert!(text.get(mistake.at.clone()).is_some());
                let (caret, length) = (mistake.caret(&text), text.chars().count());
                prop_assert!(caret.start <= length && caret.end <= length.max(caret.start + 1), "{:?}", caret);
                let report = mistake.render(&text);
                let line = format!("{}{}", " ".repeat(caret.start + 2), "^".repeat(caret.len()));
                prop_assert!(report.lines().nth(2).is_some_and(|below| below == line), "{}", report);
                prop_assert!(report.chars().all(|c| c == '\n' || !c.is_control()));
            }
        }
    }
}
