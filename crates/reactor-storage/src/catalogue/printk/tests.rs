use proptest::prelude::*;

use super::*;

/// Two modules, as a kernel lists them: the second has changed its words.
const INDEX: &str = include_str!("sample-index.txt");

fn report(texts: &[&str]) -> Report {
    let mut check = Check::default();
    texts.iter().for_each(|text| check.take(text));
    check.report()
}

#[test]
fn what_a_kernel_words_otherwise_is_found_and_what_it_does_not_have_is_not_judged() {
    let report = report(&[INDEX]);
    let told: Vec<_> = report.reworded.iter().map(|one| (one.event, &one.rules[..], &one.files[..])).collect();
    let expect: [(&str, &[&str], &[&str]); 2] = [
        ("MPATH_QUEUE_TIMEOUT", &["mpath-queue-timeout"], &["drivers/md/dm-mpath.c"]),
        ("MPATH_PATH_REINSTATED", &["mpath-reinstating"], &["drivers/md/dm-mpath.c"]),
    ];
    assert_eq!(told, expect);
    // Those of dm-mpath.c, genhd.c, scsi_transport_iscsi.c, ext4, and what is found elsewhere.
    assert_eq!(report.judged, 8);
    assert!(report.formats < INDEX.lines().count(), "what is no storage is left out");
}

#[test]
fn without_an_index_nothing_is_judged() {
    assert_eq!(report(&[]), Report::default());
    assert_eq!(report(&["# <level/flags> filename:line function \"format\"\n"]), Report::default());
}

#[test]
fn entries_are_read_with_their_escapes() {
    let line = r#"<3,c> fs/x.c:12 f "a \"b\" \\ c\n\011\033[0m""#;
    assert_eq!(entry(line), Some(("fs/x.c", "a \"b\" \\ c\n\t\x1b[0m".to_owned())));
    for bad in ["", "<3", "<3> fs/x.c:1", "<3> fs/x.c f \"a\"", "<3> fs/x.c:1 f \"a", "# <level/flags> a:1 b \"c\""] {
        assert_eq!(entry(bad), None, "{bad}");
    }
}

proptest! {
    #[test]
    fn any_text_is_an_index(text in "(<[0-9c,]{0,3}> ?)?(drivers/md/dm-mpath.c)?[:0-9 a-z]{0,12}\"?[\\PC\n\\\\%]{0,200}\"?") {
        let report = report(&[&text]);
        prop_assert!(report.reworded.len() <= report.judged);
    }
}
