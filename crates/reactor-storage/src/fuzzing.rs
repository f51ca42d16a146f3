//! What fuzz targets feed, as plain functions, so that ordinary tests can feed it, too.

use crate::catalogue::Catalogue;
use crate::record::{Origin, Record};

/// Any bytes as a message of each origin. What is found names what is there: every field is a piece of the message.
///
/// # Panics
///
/// When one pass finds something else than trying every wording does, or a field is no piece of the message.
pub fn any_message(catalogue: &Catalogue, bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let programs = ["multipathd", "iscsid", "smartd", "dmeventd", "mdadm", "zed", "udisksd", "sh"];
    for origin in [Origin::Kernel].into_iter().chain(programs.map(Origin::Program)) {
        let record = Record::new(origin, text.as_ref());
        let finding = catalogue.classify(&record);
        let every = catalogue.matching(origin, &text).first().copied();
        assert_eq!(finding.as_ref().map(|finding| finding.rule), every, "{text:?}");
        for (name, value) in finding.iter().flat_map(|finding| &finding.fields) {
            assert!(text.contains(value.as_ref()), "{name}: {value:?} is not in {text:?}");
        }
    }
}
