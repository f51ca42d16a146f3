//! iscsid.

use crate::catalogue::rule::rules;

rules! {
    "iscsid-error" => ISCSI_CONN_ERROR, "iscsid.error"; No; [] {
        "" "Kernel reported iSCSI connection {session:session}:{connection:num} error ({code:num} - {what:text}) state ({state:num})" [
            "Kernel reported iSCSI connection 1:0 error (1022 - ISCSI_ERR_TCP_CONN_CLOSE: TCP connection closed) state (3)",
        ];
    }
    "iscsid-recovered" => ISCSI_CONN_RECOVERED, "iscsid.recovered"; No; [] {
        "" "connection{session:session}:{connection:num} is operational after recovery ({attempts:num} attempts)" [
            "connection1:0 is operational after recovery (3 attempts)",
        ];
    }
    "iscsid-up" => ISCSI_CONN_UP, "iscsid.up"; No; [] {
        "" "{:Connection|connection}{session:session}:{connection:num} to [target: {target:text}, portal: {portal:text}] through [iface: {iface:text}] is operational now" [
            "Connection1:0 to [target: iqn.2026-01.org.example:a, portal: 10.0.0.1,3260] through [iface: default] is operational now",
        ];
    }
    "iscsid-down" => ISCSI_CONN_DOWN, "iscsid.up"; No; [] {
        "" "{:Connection|connection}{session:session}:{connection:num} to [target: {target:text}, portal: {portal:text}] through [iface: {iface:text}] is shutdown." [
            "Connection1:0 to [target: iqn.2026-01.org.example:a, portal: 10.0.0.1,3260] through [iface: default] is shutdown.",
        ];
    }
    "iscsid-no-connection" => ISCSI_LOGIN_FAILED, "iscsid.login"; No; [] {
        "" "cannot make {?a }connection to {portal:remote}{? ({why:text})}" [
            "cannot make connection to 10.0.0.1:3260 (Connection refused)",
            "cannot make a connection to 10.0.0.1:3260 (-1,11)",
        ];
    }
    "iscsid-ping-timeout" => ISCSI_PING_TIMEOUT, "iscsid.login"; No; [] {
        "" "Nop-out timedout after {seconds:num} seconds on connection {session:session}:{connection:num} state ({state:num}). Dropping session." [
            "Nop-out timedout after 5 seconds on connection 1:0 state (3). Dropping session.",
        ];
    }
    "iscsid-authentication" => ISCSI_AUTH_FAILED, "iscsid.login"; No; [] {
        "" "{:Login authentication failed|Login failed to authenticate} with target {target:remote}" [
            "Login authentication failed with target iqn.2026-01.org.example:a",
            "Login failed to authenticate with target iqn.2026-01.org.example:a",
        ];
    }
}
