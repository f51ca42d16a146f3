//! What keeps two nodes from writing at once: DRBD's quorum, or fencing. Read from DRBD's own options, and read again, because they change
//! while the daemon runs.

use crate::action::DrbdOptions;
use crate::ids::ResourceName;
use crate::input::Dialect;
use crate::settings::promoter::{OnQuorumLoss, PromotedResource, StartEntry};

/// How split brain is avoided.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Policy {
    /// The options have not been read.
    #[default]
    Unknown,
    /// `quorum` is on.
    Quorum,
    /// `quorum` is off, and every connection has `fencing`; with DRBD 8.4 there is a fence-peer handler, too.
    Fencing,
    /// `quorum` is off, and DRBD has no peer of it: nobody else could write.
    Alone,
    /// Nothing does: such a resource is not managed.
    None,
}

impl Policy {
    /// As status and metrics spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Quorum => "quorum",
            Self::Fencing => "fencing",
            Self::Alone => "alone",
            Self::None => "none",
        }
    }

    /// From the options of the resource.
    pub fn of(options: &DrbdOptions, dialect: Dialect) -> Self {
        let has_quorum = options.quorum.as_deref().is_some_and(|quorum| quorum != "off");
        // Without one nothing is fenced: 8.4 lets no node write alone then, or, with suspended I/O, hangs.
        let has_handler = dialect == Dialect::Drbd9 || options.fence_peer.is_some();
        if has_quorum {
            Self::Quorum
        } else if fences(options) && has_handler {
            Self::Fencing
        } else if dialect == Dialect::Drbd9 && options.connections.is_empty() {
            // Not with 8.4: there the peer is not printed while the connection is StandAlone.
            Self::Alone
        } else {
            Self::None
        }
    }
}

/// Whether every connection has `fencing`, and there is one.
fn fences(options: &DrbdOptions) -> bool {
    let set = |fencing: &Option<String>| fencing.as_deref().is_some_and(|fencing| fencing != "dont-care");
    !options.connections.is_empty() && options.connections.iter().all(|one| set(&one.fencing))
}

/// Whether a unit of `start` changes `on-no-quorum` and `on-no-data-accessible` while the services run, and changes them back when they
/// stop: then both words are right.
fn reconfigures(settings: &PromotedResource) -> bool {
    settings.start.iter().any(|entry| is_reconfigure(&entry.what))
}

/// An option that should be something else.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Wish {
    /// The option, as DRBD calls it.
    pub(crate) option: &'static str,
    /// What it is.
    pub(crate) is: String,
    /// What it should be.
    pub(crate) wanted: &'static str,
}

/// What the options should be and are not.
pub(crate) fn wishes(settings: &PromotedResource, options: &DrbdOptions, dialect: Dialect) -> Vec<Wish> {
    let mut out = Vec::new();
    let mut want = |option: &'static str, is: &Option<String>, wanted: &'static str| {
        if let Some(is) = is
            && is != wanted
        {
            out.push(Wish { option, is: is.clone(), wanted });
        }
    };
    match Policy::of(options, dialect) {
        Policy::Quorum => {
            want("quorum", &options.quorum, "majority");
            let when_lost = match settings.on_quorum_loss {
                OnQuorumLoss::Shutdown => "io-error",
                OnQuorumLoss::Freeze => "suspend-io",
            };
            if !reconfigures(settings) {
                want("on-no-quorum", &options.on_no_quorum, when_lost);
                want("on-no-data-accessible", &options.on_no_data_accessible, when_lost);
            }
        }
        Policy::Fencing | Policy::Alone | Policy::None | Policy::Unknown => {}
    }
    want("on-suspended-primary-outdated", &options.on_suspended_primary_outdated, "force-secondary");
    if settings.on_quorum_loss == OnQuorumLoss::Freeze && dialect == Dialect::Drbd9 {
        for connection in &options.connections {
            want("rr-conflict", &connection.rr_conflict, "retry-connect");
        }
    }
    if options.auto_promote == Some(true) {
        out.push(Wish { option: "auto-promote", is: "yes".to_owned(), wanted: "no" });
    }
    out
}

/// What the options should be and are not, one sentence each.
pub(super) fn warnings(
    resource: &ResourceName,
    settings: &PromotedResource,
    options: &DrbdOptions,
    dialect: Dialect,
) -> Vec<String> {
    let sentence =
        |Wish { option, is, wanted }| format!("DRBD option {option} of {resource} is {is}, it should be {wanted}");
    let mut out: Vec<String> = wishes(settings, options, dialect).into_iter().map(sentence).collect();
    let policy = Policy::of(options, dialect);
    if policy == Policy::None {
        out.push(match dialect {
            Dialect::Drbd9 if settings.unguarded_start => format!(
                "{resource} has neither quorum nor fencing: it is started once, when the daemon starts, and not managed after that, \
                 because two nodes could write at once"
            ),
            Dialect::Drbd9 => format!(
                "{resource} has neither quorum nor fencing: it is not managed, because two nodes could write at once"
            ),
            Dialect::Drbd84 if fences(options) => format!(
                "{resource} is not managed: DRBD 8.4 has no quorum, and without a fence-peer handler its fencing cannot work"
            ),
            Dialect::Drbd84 => format!(
                "{resource} is not managed: DRBD 8.4 has no quorum, so its disk section needs fencing resource-only or resource-and-stonith"
            ),
        });
    }
    if dialect == Dialect::Drbd84 && settings.on_quorum_loss == OnQuorumLoss::Freeze {
        out.push(format!("on-quorum-loss = \"freeze\" of {resource} does nothing: DRBD 8.4 has no quorum"));
    }
    if settings
        .start
        .iter()
        .position(|entry| is_reconfigure(&entry.what))
        .is_some_and(|at| at + 1 < settings.start.len())
    {
        out.push(format!(
            "{RECONFIGURE} should stand last in start of {resource}: while units after it start or stop, I/O that loses quorum hangs \
             instead of failing"
        ));
    }
    out.dedup();
    out
}

/// The unit of drbd-utils that has I/O suspended instead of failed while the services run.
const RECONFIGURE: &str = "drbd-reconfigure-suspend-or-error@";

fn is_reconfigure(entry: &StartEntry) -> bool {
    matches!(entry, StartEntry::Unit(unit) if unit.starts_with(RECONFIGURE))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::ConnectionOptions;

    fn options(quorum: &str, fencing: &[&str]) -> DrbdOptions {
        DrbdOptions {
            quorum: Some(quorum.to_owned()),
            connections: fencing
                .iter()
                .map(|word| ConnectionOptions { fencing: Some((*word).to_owned()), ..ConnectionOptions::default() })
                .collect(),
            ..DrbdOptions::default()
        }
    }

    #[test]
    fn quorum_wins_then_fencing_on_every_connection() {
        assert_eq!(Policy::of(&options("majority", &[]), Dialect::Drbd9), Policy::Quorum);
        assert_eq!(Policy::of(&options("1", &["dont-care"]), Dialect::Drbd9), Policy::Quorum);
        assert_eq!(
            Policy::of(&options("off", &["resource-only", "resource-and-stonith"]), Dialect::Drbd9),
            Policy::Fencing
        );
        assert_eq!(Policy::of(&options("off", &["resource-only", "dont-care"]), Dialect::Drbd9), Policy::None);
    }

    #[test]
    fn no_connections_is_an_answer_and_not_an_error() {
        assert_eq!(Policy::of(&options("majority", &[]), Dialect::Drbd9), Policy::Quorum);
        assert_eq!(Policy::of(&options("off", &[]), Dialect::Drbd9), Policy::Alone);
        assert_eq!(Policy::of(&options("off", &[]), Dialect::Drbd84), Policy::None);
    }

    #[test]
    fn each_option_that_hurts_is_named() {
        let mut all = options("all", &["dont-care"]);
        all.auto_promote = Some(true);
        all.on_no_quorum = Some("io-error".to_owned());
        all.on_no_data_accessible = Some("io-error".to_owned());
        all.on_suspended_primary_outdated = Some("disconnect".to_owned());
        all.connections[0].rr_conflict = Some("disconnect".to_owned());
        let name = ResourceName::new("r0");
        let shutdown = PromotedResource::default();
        let said = warnings(&name, &shutdown, &all, Dialect::Drbd9);
        assert_eq!(
            said,
            [
                "DRBD option quorum of r0 is all, it should be majority",
                "DRBD option on-suspended-primary-outdated of r0 is disconnect, it should be force-secondary",
                "DRBD option auto-promote of r0 is yes, it should be no",
            ]
        );
        let freeze = PromotedResource { on_quorum_loss: OnQuorumLoss::Freeze, ..PromotedResource::default() };
        let said = warnings(&name, &freeze, &all, Dialect::Drbd9);
        assert!(said.contains(&"DRBD option on-no-quorum of r0 is io-error, it should be suspend-io".to_owned()));
        assert!(
            said.contains(&"DRBD option on-no-data-accessible of r0 is io-error, it should be suspend-io".to_owned())
        );
        assert!(said.contains(&"DRBD option rr-conflict of r0 is disconnect, it should be retry-connect".to_owned()));
        let none = warnings(&name, &shutdown, &options("off", &["dont-care"]), Dialect::Drbd9);
        assert!(none[0].contains("neither quorum nor fencing"), "{none:?}");
    }

    #[test]
    fn what_a_unit_of_start_changes_on_purpose_is_no_mistake_but_it_should_stand_last() {
        let name = ResourceName::new("r0");
        let start = |units: &[&str]| PromotedResource {
            start: units.iter().map(|unit| StartEntry::Unit((*unit).to_owned()).into()).collect(),
            ..PromotedResource::default()
        };
        let word = |word: &str| Some(word.to_owned());
        let with = |loss: &str| DrbdOptions {
            on_no_quorum: word(loss),
            on_no_data_accessible: word(loss),
            ..options("majority", &[])
        };
        let reconfigure = "drbd-reconfigure-suspend-or-error@r0.service";
        for loss in ["io-error", "suspend-io"] {
            let last = start(&["srv-r0.mount", "web.service", reconfigure]);
            assert_eq!(warnings(&name, &last, &with(loss), Dialect::Drbd9), [""; 0]);
            let said = warnings(&name, &start(&[reconfigure, "srv-r0.mount"]), &with(loss), Dialect::Drbd9);
            assert!(said.len() == 1 && said[0].contains("should stand last"), "{said:?}");
        }
        let said = warnings(&name, &start(&["srv-r0.mount"]), &with("suspend-io"), Dialect::Drbd9);
        assert_eq!(said.len(), 2, "{said:?}");
    }

    #[test]
    fn with_drbd_84_there_is_only_fencing_and_it_needs_a_handler() {
        let name = ResourceName::new("r0");
        let handler = Some("/usr/lib/drbd/crm-fence-peer.sh".to_owned());
        let options =
            |fencing: &str| DrbdOptions { quorum: None, fence_peer: handler.clone(), ..options("", &[fencing]) };
        let default = PromotedResource::default();
        let fenced = options("resource-only");
        assert_eq!(Policy::of(&fenced, Dialect::Drbd84), Policy::Fencing);
        assert_eq!(warnings(&name, &default, &fenced, Dialect::Drbd84), [""; 0]);
        let said = warnings(&name, &default, &options("dont-care"), Dialect::Drbd84);
        assert!(said.len() == 1 && said[0].contains("so its disk section needs fencing"), "{said:?}");
        let without = DrbdOptions { fence_peer: None, ..fenced.clone() };
        assert_eq!(Policy::of(&without, Dialect::Drbd84), Policy::None);
        let said = warnings(&name, &default, &without, Dialect::Drbd84);
        assert!(said.len() == 1 && said[0].contains("without a fence-peer handler"), "{said:?}");
        let freeze = PromotedResource { on_quorum_loss: OnQuorumLoss::Freeze, ..PromotedResource::default() };
        let said = warnings(&name, &freeze, &fenced, Dialect::Drbd84);
        assert!(said.len() == 1 && said[0].contains("does nothing"), "{said:?}");
    }

    fn said(settings: &PromotedResource, options: &DrbdOptions, dialect: Dialect) -> Vec<String> {
        warnings(&ResourceName::new("r0"), settings, options, dialect)
    }

    #[test]
    fn each_policy_has_its_word() {
        let all = [Policy::Unknown, Policy::Quorum, Policy::Fencing, Policy::Alone, Policy::None];
        assert_eq!(all.map(Policy::as_str), ["unknown", "quorum", "fencing", "alone", "none"]);
    }

    #[test]
    fn what_is_as_it_should_be_or_not_known_is_not_warned_of() {
        let word = |word: &str| Some(word.to_owned());
        let good = DrbdOptions {
            on_no_quorum: word("io-error"),
            on_no_data_accessible: word("io-error"),
            on_suspended_primary_outdated: word("force-secondary"),
            auto_promote: Some(false),
            ..options("majority", &["dont-care"])
        };
        assert_eq!(said(&PromotedResource::default(), &good, Dialect::Drbd9), [""; 0]);
        let unknown = DrbdOptions { quorum: word("majority"), ..DrbdOptions::default() };
        assert_eq!(said(&PromotedResource::default(), &unknown, Dialect::Drbd9), [""; 0]);
        // Fencing, and no handler that anybody would look for.
        let fenced = options("off", &["resource-only"]);
        assert_eq!(said(&PromotedResource::default(), &fenced, Dialect::Drbd9), [""; 0]);
        let fenced84 = DrbdOptions { quorum: word("all"), fence_peer: word("x"), ..options("all", &["resource-only"]) };
        assert_eq!(Policy::of(&fenced84, Dialect::Drbd84), Policy::Quorum);
    }

    /// The links are looked at with freeze alone, and with DRBD 9 alone.
    #[test]
    fn rr_conflict_matters_to_what_is_frozen() {
        let mut with = options("off", &["resource-only", "resource-only"]);
        for one in &mut with.connections {
            one.rr_conflict = Some("disconnect".to_owned());
        }
        let freeze = PromotedResource { on_quorum_loss: OnQuorumLoss::Freeze, ..PromotedResource::default() };
        let warning = "DRBD option rr-conflict of r0 is disconnect, it should be retry-connect";
        assert_eq!(said(&freeze, &with, Dialect::Drbd9), [warning], "once, for both links");
        assert_eq!(said(&PromotedResource::default(), &with, Dialect::Drbd9), [""; 0]);
        with.fence_peer = Some("x".to_owned());
        let nothing = "on-quorum-loss = \"freeze\" of r0 does nothing: DRBD 8.4 has no quorum";
        assert_eq!(said(&freeze, &with, Dialect::Drbd84), [nothing]);
        assert_eq!(said(&PromotedResource::default(), &with, Dialect::Drbd84), [""; 0]);
    }

    #[test]
    fn why_it_is_not_managed_is_said_in_whole_sentences() {
        let ours = PromotedResource::default();
        let theirs = PromotedResource { unguarded_start: true, ..PromotedResource::default() };
        let open = options("off", &["dont-care"]);
        let fenced = options("off", &["resource-only"]);
        let table = [
            (
                &ours,
                &open,
                Dialect::Drbd9,
                "r0 has neither quorum nor fencing: it is not managed, because two nodes could write at once",
            ),
            (
                &theirs,
                &open,
                Dialect::Drbd9,
                "r0 has neither quorum nor fencing: it is started once, when the daemon starts, and not managed after that, \
                 because two nodes could write at once",
            ),
            (
                &ours,
                &fenced,
                Dialect::Drbd84,
                "r0 is not managed: DRBD 8.4 has no quorum, and without a fence-peer handler its fencing cannot work",
            ),
            (
                &theirs,
                &open,
                Dialect::Drbd84,
                "r0 is not managed: DRBD 8.4 has no quorum, so its disk section needs fencing resource-only or resource-and-stonith",
            ),
        ];
        for (settings, options, dialect, warning) in table {
            assert_eq!(said(settings, options, dialect), [warning]);
        }
        let no_link = options("off", &[]);
        assert_eq!(said(&ours, &no_link, Dialect::Drbd84), [table[3].3]);
        assert_eq!(said(&ours, &no_link, Dialect::Drbd9), [""; 0], "nobody else could write");
    }

    #[test]
    fn what_reconfigures_should_stand_last_and_does_if_it_is_alone() {
        let start = |units: &[&str]| PromotedResource {
            start: units.iter().map(|unit| StartEntry::Unit((*unit).to_owned()).into()).collect(),
            ..PromotedResource::default()
        };
        let reconfigure = "drbd-reconfigure-suspend-or-error@r0.service";
        let warning = "drbd-reconfigure-suspend-or-error@ should stand last in start of r0: while units after it start or stop, \
                       I/O that loses quorum hangs instead of failing";
        let options = options("majority", &["dont-care"]);
        let table: [(&[&str], &[&str]); 6] = [
            (&[], &[]),
            (&["a.service"], &[]),
            (&[reconfigure], &[]),
            (&["a.service", "b.service", reconfigure], &[]),
            (&[reconfigure, "a.service"], &[warning]),
            (&["a.service", reconfigure, "b.service", "c.service"], &[warning]),
        ];
        for (units, warned) in table {
            assert_eq!(said(&start(units), &options, Dialect::Drbd9), warned, "{units:?}");
        }
    }
}
