//! The MIB file, judged by libsmi and by net-snmp's own reader, and used by its tools.

use std::fs;
use std::path::{Path, PathBuf};

use crate::programs::{Folder, Snmpd, program};
use crate::{Loop, R0, connected};

const MODULE: &str = "STORAGE-REACTOR-DRBD-MIB";

/// What our file imports. Debian has no copies of the modules of the IETF; these are in our own words, and as short as the readers allow.
const SMI: &str = "SNMPv2-SMI DEFINITIONS ::= BEGIN
org          OBJECT IDENTIFIER ::= { iso 3 }
dod          OBJECT IDENTIFIER ::= { org 6 }
internet     OBJECT IDENTIFIER ::= { dod 1 }
mgmt         OBJECT IDENTIFIER ::= { internet 2 }
mib-2        OBJECT IDENTIFIER ::= { mgmt 1 }
private      OBJECT IDENTIFIER ::= { internet 4 }
enterprises  OBJECT IDENTIFIER ::= { private 1 }
snmpV2       OBJECT IDENTIFIER ::= { internet 6 }
snmpModules  OBJECT IDENTIFIER ::= { snmpV2 3 }
zeroDotZero  OBJECT IDENTIFIER ::= { 0 0 }
MODULE-IDENTITY MACRO ::= BEGIN TYPE NOTATION ::= empty VALUE NOTATION ::= value (VALUE OBJECT IDENTIFIER) END
OBJECT-IDENTITY MACRO ::= BEGIN TYPE NOTATION ::= empty VALUE NOTATION ::= value (VALUE OBJECT IDENTIFIER) END
OBJECT-TYPE MACRO ::= BEGIN TYPE NOTATION ::= empty VALUE NOTATION ::= value (VALUE ObjectName) END
NOTIFICATION-TYPE MACRO ::= BEGIN TYPE NOTATION ::= empty VALUE NOTATION ::= value (VALUE NotificationName) END
ObjectName       ::= OBJECT IDENTIFIER
NotificationName ::= OBJECT IDENTIFIER
Integer32  ::= INTEGER (-2147483648..2147483647)
IpAddress  ::= [APPLICATION 0] IMPLICIT OCTET STRING (SIZE (4))
Counter32  ::= [APPLICATION 1] IMPLICIT INTEGER (0..4294967295)
Gauge32    ::= [APPLICATION 2] IMPLICIT INTEGER (0..4294967295)
Unsigned32 ::= [APPLICATION 2] IMPLICIT INTEGER (0..4294967295)
TimeTicks  ::= [APPLICATION 3] IMPLICIT INTEGER (0..4294967295)
Opaque     ::= [APPLICATION 4] IMPLICIT OCTET STRING
Counter64  ::= [APPLICATION 6] IMPLICIT INTEGER (0..18446744073709551615)
END
";

const TC: &str = "SNMPv2-TC DEFINITIONS ::= BEGIN
IMPORTS TimeTicks FROM SNMPv2-SMI;
TEXTUAL-CONVENTION MACRO ::= BEGIN TYPE NOTATION ::= empty VALUE NOTATION ::= value (VALUE Syntax) END
DisplayString ::= TEXTUAL-CONVENTION
    DISPLAY-HINT \"255a\"
    STATUS       current
    DESCRIPTION  \"A short text.\"
    SYNTAX       OCTET STRING (SIZE (0..255))
TruthValue ::= TEXTUAL-CONVENTION
    STATUS       current
    DESCRIPTION  \"Yes or no.\"
    SYNTAX       INTEGER { true(1), false(2) }
END
";

/// A folder with everything in it.
fn mibs(name: &str) -> Folder {
    let folder = Folder::new(name);
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../dist").join(format!("{MODULE}.txt"));
    let ours = fs::read_to_string(file).unwrap();
    for (module, text) in [("SNMPv2-SMI", SMI), ("SNMPv2-TC", TC), (MODULE, &ours)] {
        fs::write(folder.path().join(format!("{module}.txt")), text).unwrap();
        fs::write(folder.path().join(module), text).unwrap();
    }
    folder
}

#[test]
fn libsmi_finds_nothing_wrong() {
    let folder = mibs("smilint");
    let output = program("smilint")
        .args(["-l", "3", "-s", "-p"])
        .arg(folder.path().join("SNMPv2-SMI"))
        .arg("-p")
        .arg(folder.path().join("SNMPv2-TC"))
        .arg(folder.path().join(MODULE))
        .env("SMIPATH", folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    let ours: Vec<&str> = said.lines().filter(|line| line.contains(MODULE)).collect();
    assert!(ours.is_empty() && output.status.success(), "{said}");
}

fn with_names(name: &str, folder: &PathBuf) -> std::process::Command {
    let mut command = program(name);
    command.args(["-m", MODULE, "-M"]).arg(folder).env("SNMP_PERSISTENT_DIR", folder.join("persistent"));
    command
}

#[test]
fn net_snmp_reads_it_and_names_what_is_walked() {
    let folder = mibs("names");
    let path = folder.path().to_path_buf();
    let translated = |name: &str| {
        let output = with_names("snmptranslate", &path).args(["-On", &format!("{MODULE}::{name}")]).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && !errors.contains("MIB"), "{errors}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    assert_eq!(translated("drbdModuleVersion"), ".1.3.6.1.4.1.23302.1.1.1");
    assert_eq!(translated("drbdPeerReplBehind"), ".1.3.6.1.4.1.23302.1.2.1.49");
    assert_eq!(translated("srPromotedState"), ".1.3.6.1.4.1.23302.1.1000.1.4.1.2");
    assert_eq!(translated("srQuorumLost"), ".1.3.6.1.4.1.23302.1.1000.0.1");
    let mut snmpd = Snmpd::by_tcp("walknames");
    snmpd.start();
    let daemon = Loop::start(R0);
    let subagent = daemon.subagent(&snmpd.master);
    connected(&subagent);
    let directory = path.display().to_string();
    let walked = snmpd.ask("snmpwalk", &["-m", MODULE, "-M", &directory, "-OS", ".1.3.6.1.4.1.23302"]);
    for line in [
        "STORAGE-REACTOR-DRBD-MIB::drbdDiskState.1000 = STRING: UpToDate",
        "STORAGE-REACTOR-DRBD-MIB::drbdQuorum.1000 = INTEGER: true(1)",
        "STORAGE-REACTOR-DRBD-MIB::srConnectionState.\"r0\".2 = STRING: Connected",
        "STORAGE-REACTOR-DRBD-MIB::srPeerDeviceDisk.1000.2 = STRING: UpToDate",
    ] {
        assert!(walked.lines().any(|walked| walked == line), "{line}\n{walked}");
    }
    // Nothing is served that has no name, and everything has the type that the file says.
    assert!(!walked.contains("Wrong Type") && !walked.contains("enterprises"), "{walked}");
}
