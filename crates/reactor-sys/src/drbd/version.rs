//! Which DRBD is installed: asks `drbdadm --version`, decides what events2 can say, and names what is missing.
//!
//! Nothing here refuses to run: with an old DRBD, or none, the daemon works as far as it can and says what it can't.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use reactor_core::facts::DrbdLack;
use reactor_core::input::Dialect;

use super::command::{self, CommandError};

/// `drbdadm --version` must answer within this.
pub const DEADLINE: Duration = Duration::from_secs(10);

/// Its answer has some 300 bytes.
const MAX_OUTPUT: usize = 64 * 1024;

/// A version of drbd-utils or of the kernel module.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Version {
    /// `9` in 9.29.0.
    pub major: u8,
    /// `29` in 9.29.0.
    pub minor: u8,
    /// `0` in 9.29.0.
    pub patch: u8,
}

impl Version {
    /// A version.
    pub const fn new(major: u8, minor: u8, patch: u8) -> Self {
        Self { major, minor, patch }
    }

    /// From drbdadm's code: `0xMMmmpp`.
    fn from_code(code: &str) -> Option<Self> {
        let digits = code.strip_prefix("0x").or_else(|| code.strip_prefix("0X"))?;
        let code = u32::from_str_radix(digits, 16).ok().filter(|code| *code <= 0x00ff_ffff)?;
        let [_, major, minor, patch] = code.to_be_bytes();
        Some(Self { major, minor, patch })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// The kernel module as `drbdadm --version` sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Module {
    /// It is loaded.
    Loaded(Version),
    /// It is not loaded (drbdadm says 0.0.0, or nothing).
    NotLoaded,
}

/// The oldest drbd-utils with everything that the promoter uses.
pub const UTILS_WANTED: Version = Version::new(9, 29, 0);
/// The oldest kernel module that drbd-reactor supports for its promoter.
pub const MODULE_WANTED: Version = Version::new(9, 1, 7);
/// The first drbd-utils that print `open:` for devices.
const UTILS_WITH_OPEN: Version = Version::new(9, 28, 0);
/// The first module that speaks the language of DRBD 9.
const MODULE_9: Version = Version::new(9, 0, 0);

/// Which DRBD is installed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Versions {
    /// drbd-utils; `None` if drbdadm did not say.
    pub utils: Option<Version>,
    /// The kernel module.
    pub module: Module,
}

impl Versions {
    /// Asks `drbdadm`.
    pub async fn ask(drbdadm: &Path) -> Result<Self, CommandError> {
        Self::ask_within(drbdadm, DEADLINE).await
    }

    /// Asks `drbdadm`, which must answer within `deadline`.
    pub async fn ask_within(drbdadm: &Path, deadline: Duration) -> Result<Self, CommandError> {
        // The exit code does not matter: some versions end with 1 here after printing all that we need.
        let output = command::run(drbdadm, &["--version"], deadline, MAX_OUTPUT).await?;
        Ok(Self::parse(&output.stdout))
    }

    /// Reads what `drbdadm --version` prints: `KEY=VALUE` lines, quoted for a shell.
    pub fn parse(text: &str) -> Self {
        let code = |key: &str| {
            let value = text.lines().find_map(|line| line.trim().strip_prefix(key)?.strip_prefix('='))?;
            Version::from_code(&unquote(value))
        };
        let nothing = Version::new(0, 0, 0);
        let module = code("DRBD_KERNEL_VERSION_CODE").filter(|version| *version != nothing);
        Self {
            utils: code("DRBDADM_VERSION_CODE").filter(|version| *version != nothing),
            module: module.map_or(Module::NotLoaded, Module::Loaded),
        }
    }

    /// What events2 can say. The kernel module decides; without one it will be DRBD 9.
    pub fn dialect(&self) -> Dialect {
        match self.module {
            Module::Loaded(version) if version < MODULE_9 => Dialect::Drbd84,
            Module::Loaded(_) | Module::NotLoaded => Dialect::Drbd9,
        }
    }

    /// What a person should know, one sentence each.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        match self.utils {
            None => warnings.push("drbdadm --version does not say which drbd-utils this is".to_owned()),
            Some(utils) if utils < UTILS_WITH_OPEN => warnings.push(format!(
                "drbd-utils {utils} does not print whether a device is held open (needs {UTILS_WITH_OPEN})"
            )),
            Some(_) => {}
        }
        match self.module {
            Module::NotLoaded => warnings.push(
                "the DRBD kernel module is not loaded (drbdadm --version says 0.0.0): nothing is seen until it is; try modprobe drbd"
                    .to_owned(),
            ),
            Module::Loaded(module) if module < MODULE_9 => warnings.push(format!(
                "DRBD {module} in the kernel: no quorum, no promotion score, no paths, one peer"
            )),
            Module::Loaded(_) => {}
        }
        warnings
    }

    /// What a promoter wants and does not find here. Of interest only where one is configured.
    pub fn promoter_lacks(&self) -> Vec<DrbdLack> {
        let mut lacks = Vec::new();
        let mut lack = |what: String, hint: String| lacks.push(DrbdLack { what, hint });
        if let Some(utils) = self.utils.filter(|utils| *utils < UTILS_WANTED) {
            lack(
                format!("drbd-utils {utils} is older than {UTILS_WANTED}, which the promoter needs"),
                format!("install drbd-utils {UTILS_WANTED} or newer"),
            );
        }
        match self.module {
            Module::NotLoaded => lack(
                "the DRBD kernel module is not loaded: nothing can be promoted".to_owned(),
                "modprobe drbd; a promoter that brings its resources up (`adjust-resource-on-start`) loads it by that"
                    .to_owned(),
            ),
            Module::Loaded(module) if module < MODULE_9 => lack(
                format!("DRBD {module} in the kernel has no quorum: the promoter works with the fencing policy only"),
                format!(
                    "set `fencing` in the disk section of every resource, or install DRBD {MODULE_WANTED} or newer"
                ),
            ),
            Module::Loaded(module) if module < MODULE_WANTED => lack(
                format!("DRBD {module} in the kernel is older than {MODULE_WANTED}, which the promoter needs"),
                format!("install DRBD {MODULE_WANTED} or newer"),
            ),
            Module::Loaded(_) => {}
        }
        lacks
    }
}

impl fmt::Display for Versions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.module {
            Module::Loaded(version) => write!(f, "DRBD {version}")?,
            Module::NotLoaded => write!(f, "DRBD not loaded")?,
        }
        match self.utils {
            Some(version) => write!(f, ", drbd-utils {version}"),
            None => write!(f, ", drbd-utils unknown"),
        }
    }
}

/// Takes the quoting of a shell away: quotes and backslashes.
fn unquote(value: &str) -> String {
    value.trim().chars().filter(|char| !matches!(char, '\'' | '"' | '\\')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const REAL: &str = "DRBDADM_BUILDTAG=GIT-hash:\\ 409097f\\ reproducible\\ build\\,\\ 2023-01-09\\ 14:51:18\n\
        DRBDADM_API_VERSION=2\nDRBD_KERNEL_VERSION_CODE=0x090303\nDRBD_KERNEL_VERSION=9.3.3\n\
        DRBDADM_VERSION_CODE=0x092200\nDRBDADM_VERSION=9.34.0\n";

    #[test]
    fn reads_what_drbdadm_prints() {
        let versions = Versions::parse(REAL);
        assert_eq!(versions.to_string(), "DRBD 9.3.3, drbd-utils 9.34.0");
        assert_eq!(versions.dialect(), Dialect::Drbd9);
        assert!(versions.warnings().is_empty());
    }

    #[test]
    fn the_kernel_decides_the_dialect() {
        let versions = Versions::parse("DRBD_KERNEL_VERSION_CODE='0x08040b'\nDRBDADM_VERSION_CODE=\"0x091600\"\n");
        assert_eq!(versions.to_string(), "DRBD 8.4.11, drbd-utils 9.22.0");
        assert_eq!(versions.dialect(), Dialect::Drbd84);
        let warnings = versions.warnings();
        assert!(warnings[0].contains("held open") && warnings[1].contains("no quorum"), "{warnings:?}");
    }

    #[test]
    fn a_module_that_is_not_loaded_is_a_case_of_its_own() {
        for text in
            ["DRBD_KERNEL_VERSION_CODE=0x000000\nDRBDADM_VERSION_CODE=0x091d00\n", "DRBDADM_VERSION_CODE=0x091d00\n"]
        {
            let versions = Versions::parse(text);
            assert_eq!(versions.module, Module::NotLoaded);
            assert_eq!(versions.dialect(), Dialect::Drbd9);
            assert_eq!(versions.warnings().len(), 1);
            assert!(versions.warnings()[0].contains("not loaded"), "{versions}");
        }
    }

    #[test]
    fn versions_just_below_what_the_promoter_wants_are_named() {
        let warn = |module: u32, utils: u32| {
            Versions::parse(&format!("DRBD_KERNEL_VERSION_CODE={module:#08x}\nDRBDADM_VERSION_CODE={utils:#08x}\n"))
                .promoter_lacks()
                .into_iter()
                .map(|lack| lack.what)
                .collect::<Vec<_>>()
                .join("; ")
        };
        assert_eq!(warn(0x09_01_07, 0x09_1d_00), "");
        assert!(warn(0x09_01_06, 0x09_1d_00).contains("9.1.6 in the kernel is older than 9.1.7"));
        assert!(warn(0x09_01_07, 0x09_1c_00).contains("9.28.0 is older than 9.29.0"));
        assert!(warn(0x08_04_0b, 0x09_1d_00).contains("8.4.11 in the kernel has no quorum"));
        assert!(warn(0, 0x09_1d_00).contains("not loaded"));
        // Without a promoter only what concerns the snapshot is said.
        let old = Versions::parse("DRBD_KERNEL_VERSION_CODE=0x090106\nDRBDADM_VERSION_CODE=0x091c00\n");
        assert_eq!(old.warnings(), [""; 0]);
    }

    #[test]
    fn nonsense_is_no_version() {
        for text in
            ["", "garbage", "DRBDADM_VERSION_CODE=", "DRBDADM_VERSION_CODE=0xzz", "DRBDADM_VERSION_CODE=0xffffffffff"]
        {
            assert_eq!(Versions::parse(text).utils, None, "{text}");
        }
    }
}
