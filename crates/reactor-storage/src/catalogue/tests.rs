//! Tests of the tables: every template is one, every sample is its rule's, and nothing ordinary is trouble.

use std::collections::BTreeSet;

use crate::catalogue::rows::ROWS;
use crate::catalogue::template::Template;
use crate::catalogue::{Catalogue, EventType, MAX_WORDINGS, Source, all_rules, rules_of, types};
use crate::event::Severity;
use crate::record::{Origin, Record};

/// The origin of a source's messages.
fn origin(source: Source) -> Origin<'static> {
    match source {
        Source::Kernel => Origin::Kernel,
        Source::Multipathd => Origin::Program("multipathd"),
        Source::Iscsid => Origin::Program("iscsid"),
        Source::Smartd => Origin::Program("smartd"),
        Source::Lvm => Origin::Program("dmeventd"),
        Source::Mdadm => Origin::Program("mdadm"),
        Source::Zed => Origin::Program("zed"),
        Source::Udisks => Origin::Program("udisksd"),
        Source::Uevent => Origin::Uevent,
    }
}

#[test]
fn every_template_is_one() {
    for (_, rule) in all_rules() {
        for wording in rule.wordings {
            let template = Template::new(wording.template);
            let template = template.unwrap_or_else(|error| panic!("{}: {error}: {}", rule.name, wording.template));
            let needles = template.needles();
            assert!(needles.iter().all(|needle| needle.len() > 2), "{}: {needles:?} tell too little", rule.name);
            assert!(template.fields().iter().filter(|field| field.subject).count() < 2, "{}: two subjects", rule.name);
        }
    }
}

#[test]
fn no_source_has_more_wordings_than_there_is_room() {
    for source in Source::ALL {
        let wordings: usize = rules_of(source).map(|rule| rule.wordings.len()).sum();
        assert!((1..=MAX_WORDINGS).contains(&wordings), "{source:?}: {wordings}");
    }
}

#[test]
fn every_sample_is_its_rules_and_of_no_other() {
    let catalogue = Catalogue::built_in();
    let mut wrong = Vec::new();
    for (source, rule) in all_rules() {
        for wording in rule.wordings {
            for sample in wording.samples {
                let matching = catalogue.matching(origin(source), sample);
                if matching != [rule.name] {
                    wrong.push(format!("{}: {sample:?} is of {matching:?}", rule.name));
                }
                let own = Template::new(wording.template).unwrap();
                if own.matches(super::trimmed(sample)).is_none() {
                    wrong.push(format!("{}: {sample:?} is not of {:?}", rule.name, wording.template));
                }
                let found =
                    catalogue.classify(&Record::new(origin(source), *sample)).map(|finding| finding.rule.to_owned());
                if found.as_deref() != Some(rule.name) {
                    wrong.push(format!("{}: {sample:?} is found as {found:?}", rule.name));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_case_can_hold() {
    let catalogue = Catalogue::built_in();
    let mut never = Vec::new();
    for (source, rule) in all_rules() {
        let mut found = BTreeSet::new();
        for sample in rule.wordings.iter().flat_map(|wording| wording.samples) {
            if let Some(finding) = catalogue.classify(&Record::new(origin(source), *sample)) {
                found.insert((finding.event.name.to_string(), finding.severity));
            }
        }
        for case in rule.cases {
            let expect = (case.event.name.to_string(), case.severity.unwrap_or(case.event.severity));
            if !found.contains(&expect) {
                never.push(format!("{}: no sample shows {expect:?} ({})", rule.name, case.when.words()));
            }
            let field = case.when.field();
            let has = |template| Template::new(template).unwrap().fields().iter().any(|known| known.name == field);
            assert!(rule.wordings.iter().any(|wording| has(wording.template)), "{}: no field {field}", rule.name);
        }
    }
    assert!(never.is_empty(), "{}", never.join("\n"));
}

#[test]
fn every_type_has_a_rule_and_clears_types_that_last() {
    let mut used: BTreeSet<&str> = BTreeSet::new();
    for (_, rule) in all_rules() {
        used.insert(&rule.event.name);
        used.extend(rule.cases.iter().map(|case| case.event.name.as_ref()));
    }
    let mut names = BTreeSet::new();
    for event in types::all() {
        assert!(names.insert(event.name.as_ref()), "{} is there twice", event.name);
        assert!(used.contains(event.name.as_ref()), "{} is of no rule", event.name);
        for cleared in event.clears {
            let cleared = EventType::built_in(cleared).unwrap_or_else(|| panic!("{}: no type {cleared}", event.name));
            assert!(cleared.lasting, "{} clears {}, which does not last", event.name, cleared.name);
            assert!(cleared.severity > Severity::Info, "{} clears {}", event.name, cleared.name);
        }
        for sentence in [&event.meaning, &event.advice] {
            assert!(sentence.ends_with('.') || sentence.ends_with('`'), "{}: {sentence}", event.name);
        }
    }
}

#[test]
fn names_of_rules_are_unique() {
    let mut names = BTreeSet::new();
    for (_, rule) in all_rules() {
        assert!(names.insert(rule.name), "{} is there twice", rule.name);
    }
}

#[test]
fn every_row_of_the_reference_is_covered_and_as_bad_as_it_is_marked() {
    let known: BTreeSet<&str> = ROWS.iter().map(|row| row.name).collect();
    assert_eq!(known.len(), ROWS.len(), "a row is there twice");
    for (_, rule) in all_rules() {
        assert!(!rule.rows.is_empty(), "{} covers nothing", rule.name);
        for row in rule.rows {
            assert!(known.contains(row), "{}: no row {row}", rule.name);
        }
    }
    for row in ROWS {
        let of_row = || all_rules().filter(|(_, rule)| rule.rows.contains(&row.name)).map(|(_, rule)| rule);
        assert!(of_row().next().is_some(), "no rule for {}", row.name);
        let of_case = |case: &crate::catalogue::rule::Case| case.severity.unwrap_or(case.event.severity);
        let worst = of_row().flat_map(|rule| rule.cases.iter().map(of_case).chain([rule.event.severity])).max();
        assert!(worst >= Some(row.marked), "{} is marked {}, its rules say {worst:?}", row.name, row.marked);
    }
}
