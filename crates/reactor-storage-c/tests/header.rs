//! The header says what the functions are: it is written from their source. `UPDATE_EXPECT=1` writes it again.

#![expect(clippy::unwrap_used, reason = "helpers of a test are a test")]

use std::path::Path;

use expect_test::expect_file;

const HEAD: &str = r#"/* Storage events and block devices: the library of Storage Reactor for C.
 *
 * Written by the test `header` from src/api.rs. Link with -lreactor_storage_c.
 *
 * Objects are made by a function and freed by its _free, which takes NULL, too. Each is used by one thread at a time. Texts are UTF-8.
 * Where there is an `error`, it can be NULL; it is only written if the function fails, and must be freed then.
 */
#ifndef REACTOR_STORAGE_H
#define REACTOR_STORAGE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct reactor_error reactor_error;
typedef struct reactor_devices reactor_devices;
typedef struct reactor_device reactor_device;
typedef struct reactor_events reactor_events;
typedef struct reactor_event reactor_event;

enum reactor_error_code {
    REACTOR_OK = 0,
    REACTOR_ERROR_ARGUMENT = 1,
    REACTOR_ERROR_NO_DEVICES = 2,
    REACTOR_ERROR_NOT_FOUND = 3,
    REACTOR_ERROR_IO = 4,
    REACTOR_ERROR_NO_LOG = 5,
    REACTOR_ERROR_JSON = 6,
    REACTOR_ERROR_FAULT = 7
};

enum reactor_device_text {
    REACTOR_DEVICE_ID,
    REACTOR_DEVICE_KIND,
    REACTOR_DEVICE_NAME,
    REACTOR_DEVICE_PATH,
    REACTOR_DEVICE_NUMBER,
    REACTOR_DEVICE_TRANSPORT,
    REACTOR_DEVICE_FILE_SYSTEM,
    REACTOR_DEVICE_FILE_SYSTEM_UUID
};

/* ABOVE and BELOW are ids; DRBD and UNITS are those that it carries, by what is built on it, too. */
enum reactor_device_list {
    REACTOR_DEVICE_LINKS,
    REACTOR_DEVICE_MOUNTS,
    REACTOR_DEVICE_ABOVE,
    REACTOR_DEVICE_BELOW,
    REACTOR_DEVICE_DRBD,
    REACTOR_DEVICE_UNITS
};

/* SEVERITY: at least so bad (info, notice, warning, error, critical). DEVICE: by any name; events of what is above or below it are wanted, too. */
enum reactor_filter {
    REACTOR_FILTER_SEVERITY,
    REACTOR_FILTER_TYPE,
    REACTOR_FILTER_SUBSYSTEM,
    REACTOR_FILTER_DEVICE
};

enum reactor_event_text {
    REACTOR_EVENT_ID,
    REACTOR_EVENT_TYPE,
    REACTOR_EVENT_SEVERITY,
    REACTOR_EVENT_SUBSYSTEM,
    REACTOR_EVENT_MESSAGE,
    REACTOR_EVENT_DEVICE_ID,
    REACTOR_EVENT_DEVICE_NAME,
    REACTOR_EVENT_SOURCE,
    REACTOR_EVENT_HOST
};
"#;

const END: &str = "
#ifdef __cplusplus
}
#endif

#endif
";

/// What C calls a type of ours.
fn c_type(rust: &str) -> String {
    let name = |rust: &str| match rust {
        "Error" => "reactor_error".to_owned(),
        "Devices" => "reactor_devices".to_owned(),
        "DeviceInfo" => "reactor_device".to_owned(),
        "Events" => "reactor_events".to_owned(),
        "EventInfo" => "reactor_event".to_owned(),
        "c_char" => "char".to_owned(),
        "c_int" => "int".to_owned(),
        "usize" => "size_t".to_owned(),
        "u64" => "uint64_t".to_owned(),
        other => panic!("a type that this test does not know: {other}"),
    };
    if let Some(rest) = rust.strip_prefix("*mut *mut ") {
        format!("{} **", name(rest))
    } else if let Some(rest) = rust.strip_prefix("*mut ") {
        format!("{} *", name(rest))
    } else if let Some(rest) = rust.strip_prefix("*const ") {
        format!("const {} *", name(rest))
    } else {
        name(rust) + " "
    }
}

/// The prototype of what follows `extern "C" fn `.
fn prototype(signature: &str) -> String {
    let (name, rest) = signature.split_once('(').unwrap();
    let (arguments, result) = rest.rsplit_once(')').unwrap();
    let result = result.trim().strip_prefix("->").map_or("void ".to_owned(), |result| c_type(result.trim()));
    let arguments: Vec<String> = arguments
        .split(',')
        .filter_map(|argument| argument.trim().split_once(": "))
        .map(|(name, rust)| format!("{}{name}", c_type(rust.trim())))
        .collect();
    let arguments = if arguments.is_empty() { "void".to_owned() } else { arguments.join(", ") };
    format!("{result}{name}({arguments});")
}

#[test]
fn the_header_says_what_the_functions_are() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let source = std::fs::read_to_string(folder.join("src/api.rs")).unwrap();
    let mut text = HEAD.to_owned();
    let mut count = 0;
    for part in source.split("#[unsafe(no_mangle)]").collect::<Vec<_>>().windows(2) {
        let about = part[0].trim_end().lines().rev().take_while(|line| line.starts_with("/// "));
        let mut about: Vec<&str> = about.map(|line| &line[4..]).collect();
        about.reverse();
        let (signature, _) = part[1].split_once("extern \"C\" fn ").unwrap().1.split_once(" {\n").unwrap();
        text += &format!("\n/* {} */\n{}\n", about.join(" "), prototype(signature));
        count += 1;
    }
    assert_eq!(count, 24);
    expect_file![folder.join("include/reactor_storage.h")].assert_eq(&(text + END));
}
