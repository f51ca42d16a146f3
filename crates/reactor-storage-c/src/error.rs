//! What went wrong, as an object that C can ask.

use std::ffi::CString;
use std::io;
use std::path::PathBuf;

use reactor_storage::device::NotFound;
use reactor_sysfs::ListingError;

/// Why a function has failed. C sees a number and a text.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// An argument can't be used.
    #[error("{what}")]
    Argument {
        /// Which, and why.
        what: &'static str,
    },
    /// There is no list of devices.
    #[error(transparent)]
    Devices(#[from] ListingError),
    /// No device is called so.
    #[error(transparent)]
    NotFound(#[from] NotFound),
    /// A log can't be opened.
    #[error("can't open {}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A log can't be read on.
    #[error("can't read the log")]
    Read {
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It has the form of no log.
    #[error("this has the form of no log that is known: kmsg, dmesg, journalctl -o export or json, syslog")]
    NoLog,
    /// Something can't be written as JSON.
    #[error("can't be written as JSON")]
    Json {
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// A fault of the library.
    #[error("a fault of the library; please report it")]
    Panic,
}

impl Failure {
    /// The number that the header has for it.
    pub fn code(&self) -> i32 {
        match self {
            Self::Argument { .. } => 1,
            Self::Devices(_) => 2,
            Self::NotFound(_) => 3,
            Self::Open { .. } | Self::Read { .. } => 4,
            Self::NoLog => 5,
            Self::Json { .. } => 6,
            Self::Panic => 7,
        }
    }
}

/// An error as C has it.
#[derive(Debug)]
pub struct Error {
    pub(crate) code: i32,
    pub(crate) message: CString,
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        let mut text = failure.to_string();
        let mut source = std::error::Error::source(&failure);
        while let Some(error) = source {
            let part = error.to_string();
            if !text.ends_with(&part) {
                text = format!("{text}: {part}");
            }
            source = error.source();
        }
        Self { code: failure.code(), message: c_text(&text) }
    }
}

/// A text as C has it: what comes behind a zero byte could not be seen there.
pub(crate) fn c_text(text: &str) -> CString {
    CString::new(text.replace('\0', "\u{fffd}")).unwrap_or_default()
}
