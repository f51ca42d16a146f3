//! What an SNMP master agent may send: any bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use reactor_sys::agentx::pdu;

fuzz_target!(|bytes: &[u8]| {
    pdu::any_message(bytes);
});
