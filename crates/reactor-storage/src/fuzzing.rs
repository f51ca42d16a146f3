//! What fuzz targets feed, as plain functions, so that ordinary tests can feed it, too.

use crate::catalogue::Catalogue;
use crate::record::{Origin, Record};
use crate::uevent::Uevent;

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

/// A line of a uevent has six values of 512 characters, each of which takes twelve bytes at most; and the words between them.
const LONGEST_LINE: usize = 6 * 512 * 12 + 256;

/// Any bytes as a uevent. What is made of it is a few lines of bounded length, without a line end in them, that say the same when it is read again.
///
/// # Panics
///
/// When a line is none.
pub fn any_uevent(bytes: &[u8]) {
    let Ok(uevent) = Uevent::parse(bytes) else { return };
    let lines = uevent.lines();
    assert!(lines.len() <= 4, "{lines:?}");
    for line in &lines {
        assert!(line.len() <= LONGEST_LINE, "{} bytes", line.len());
        assert!(!line.contains(|c: char| c.is_control()), "{line:?}");
    }
    assert_eq!(Uevent::parse(bytes).map(|again| again.lines()), Ok(lines));
}
