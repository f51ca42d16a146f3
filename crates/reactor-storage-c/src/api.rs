//! The functions. Their text here is the text of the header: first lines of documentation, names and types are taken from this file.
//!
//! # Safety
//!
//! Of every function: a pointer is NULL, or was given by a function of this library and not freed since; texts end with a zero byte; and `error` is
//! NULL or leads to a pointer that can be written.

#![expect(clippy::missing_safety_doc, reason = "it is the same for all of them, and is said once, above")]

use std::ffi::{CString, c_char, c_int};
use std::fs::File;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::ptr;
use std::sync::Arc;

use reactor_storage::device::{Device, DeviceMap, Report};
use reactor_storage::event::{Event as StorageEvent, Severity};
use reactor_sysfs::Reader;

use crate::error::{Error, Failure, c_text};
use crate::log::Log;
use crate::pointer::{change, free, give, guard, read, text};

/// All block devices, as they were when they were read.
#[derive(Debug)]
pub struct Devices {
    map: Arc<DeviceMap>,
}

/// One block device, with texts of its own.
#[derive(Debug)]
pub struct DeviceInfo {
    texts: Vec<Option<CString>>,
    lists: Vec<Vec<CString>>,
    size: u64,
    json: CString,
}

/// A log whose events are read one after the other.
#[derive(Debug)]
pub struct Events {
    log: Log,
    map: Arc<DeviceMap>,
}

/// One event.
#[derive(Debug)]
pub struct EventInfo {
    texts: Vec<Option<CString>>,
    count: u64,
    time_us: u64,
    json: CString,
}

/// The version of the library.
#[unsafe(no_mangle)]
pub extern "C" fn reactor_storage_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

/// The number of an error: one of enum reactor_error_code; 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reactor_error_code(error: *const Error) -> c_int {
    // SAFETY: said above.
    unsafe { read(error) }.map_or(0, |error| error.code)
}

/// What went wrong, in English; it lives as long as the error. NULL for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reactor_error_message(error: *const Error) -> *const c_char {
    // SAFETY: said above.
    unsafe { read(error) }.map_or(ptr::null(), |error| error.message.as_ptr())
}

/// Frees an error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reactor_error_free(error: *mut Error) {
    // SAFETY: said above.
    unsafe { free(error) }
}

/// Reads all block devices: below root, or of this machine if it is NULL. No device is opened. NULL if it failed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reactor_devices_read(root: *const c_char, error: *mut *mut Error) -> *mut Devices {
    // SAFETY: said above.
    unsafe {
        guard(error, ptr::null_mut(), || {
            let root = if root.is_null() { "/" } else { text(root).ok_or(NO_TEXT)? };
            let map = Reader::new(root).list()?.into_map();
            Ok(give(Devices { map: Arc::new(map) }))
        })
    }
}

/// How many devices there are.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reactor_devices_count(devices: *const Devices) -> usize {
    // SAFETY: said above.
    unsafe { read(devices) }.map_or(0, |devices| devices.map.len())
}

/// The device at a place in the order of their names, to be freed; NULL behind the last one.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reactor_devices_at(
    devices: *const Devices,
    index: usize,
    error: *mut *mut Error,
) -> *mut DeviceInfo {
    // SAFETY: said above.
    unsafe {
        guard(error, ptr::null_mut(), || {
            let map = &read(devices).ok_or(NULL)?.map;
            map.devices().nth(index).map_or(Ok(ptr::null_mut()), |device| Ok(give(device_info(map, device)?)))
        })
    }
}

/// The device that has the name, whatever that is: 8:0, sda, a path, a WWID, a UUID, VG/LV, a mount point, a DRBD resource. To be freed; NULL if there is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reactor_devices_find(
    devices: *const Devices,
    name: *const c_char,
    error: *mut *mut Error,
) -> *mut DeviceInfo {
    // SAFETY: said above.
    unsafe {
        guard(error, ptr::null_mut(), || {
            let map = &read(devices).ok_or(NULL)?.map;
            let found = map.find(text(name).ok_or(NO_TEXT)?)?;
            Ok(give(device_info(map, found.device)?))
        })
    }
}

/// Frees the devices.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reactor_devices_free(devices: *mut Devices) {
    // SAFETY: said above.
    unsafe { free(devices) }
}

/// A text of a device: one of enum reactor_device_text. It lives as long as the device; NULL if there is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reactor_device_text(device: *const DeviceInfo, what: c_int) -> *const c_char {
    // SAFETY: said above.
    at(unsafe { read(device) }.map(|device| device.texts.as_slice()), what)
}

/// A text of a list of a device: one of enum reactor_device_list. It lives as long as the device; NULL behind the last one.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reactor_device_list(device: *const DeviceInfo, what: c_int, index: usize) -> *const c_char {
    // SAFETY: said above.
    let lists = unsafe { read(device) }.map(|device| &device.lists);
    let list = lists.and_then(|lists| lists.get(usize::try_from(what).ok()?));
    list.and_then(|list| list.get(index)).map_or(ptr::null(), |text| text.as_ptr())
}

/// The size of a device in bytes; 0 if it is not known.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reactor_device_size(device: *const DeviceInfo) -> u64 {
    // SAFETY: said above.
    unsafe { read(device) }.map_or(0, |device| device.size)
}

/// All that is known of a device, as `reactorctl block --json` prints it; it lives as long as the device.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reactor_device_json(device: *const DeviceInfo) -> *const c_char {
    // SAFETY: said above.
    unsafe { read(device) }.map_or(ptr::null(), |device| device.json.as_ptr())
}

/// Frees a device.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reactor_device_free(device: *mut DeviceInfo) {
    // SAFETY: said above.
    unsafe { free(device) }
}

/// Opens a log: kmsg, dmesg, journalctl -o export or json, syslog. Devices in it are looked up in devices, which can be NULL, and can be freed before the log. NULL if it failed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reactor_events_open(
    path: *const c_char,
    devices: *const Devices,
    error: *mut *mut Error,
) -> *mut Events {
    // SAFETY: said above.
    unsafe {
        guard(error, ptr::null_mut(), || {
            let path = PathBuf::from(text(path).ok_or(NO_TEXT)?);
            let file = File::open(&path).map_err(|source| Failure::Open { path, source })?;
            Ok(give(events(file, read(devices))))
        })
    }
}

/// The same for a file descriptor, a pipe for example. It stays the caller's: the library has a duplicate.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reactor_events_open_fd(
    fd: c_int,
    devices: *const Devices,
    error: *mut *mut Error,
) -> *mut Events {
    // SAFETY: said above.
    unsafe {
        guard(error, ptr::null_mut(), || {
            if fd < 0 {
                return Err(Failure::Argument { what: "a file descriptor is not negative" });
            }
            let owned = BorrowedFd::borrow_raw(fd).try_clone_to_owned();
            let path = Path::new("/dev/fd").join(fd.to_string());
            let owned = owned.map_err(|source| Failure::Open { path, source })?;
            Ok(give(events(File::from(owned), read(devices))))
        })
    }
}

/// Wants only some events; what: one of enum reactor_filter. Filters of one kind are alternatives, of several kinds all must hold. 0 if it was taken, else -1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reactor_events_filter(
    events: *mut Events,
    what: c_int,
    value: *const c_char,
    error: *mut *mut Error,
) -> c_int {
    // SAFETY: said above.
    unsafe {
        guard(error, -1, || {
            add_filter(change(events).ok_or(NULL)?, what, text(value).ok_or(NO_TEXT)?)?;
            Ok(0)
        })
    }
}

/// The next event, to be freed. NULL at the end, or if it failed: then error is set. An event comes when it is complete: nothing more of it came for some seconds by the clock of the log, or the log has ended.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reactor_events_next(events: *mut Events, error: *mut *mut Error) -> *mut EventInfo {
    // SAFETY: said above.
    unsafe {
        guard(error, ptr::null_mut(), || {
            let next = change(events).ok_or(NULL)?.log.next()?;
            next.map_or(Ok(ptr::null_mut()), |event| Ok(give(event_info(&event)?)))
        })
    }
}

/// Closes a log.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reactor_events_free(events: *mut Events) {
    // SAFETY: said above.
    unsafe { free(events) }
}

/// A text of an event: one of enum reactor_event_text. It lives as long as the event; NULL if there is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reactor_event_text(event: *const EventInfo, what: c_int) -> *const c_char {
    // SAFETY: said above.
    at(unsafe { read(event) }.map(|event| event.texts.as_slice()), what)
}

/// How often the same happened.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reactor_event_count(event: *const EventInfo) -> u64 {
    // SAFETY: said above.
    unsafe { read(event) }.map_or(0, |event| event.count)
}

/// When it happened first, in microseconds since 1970; 0 if the log has no such time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reactor_event_time_us(event: *const EventInfo) -> u64 {
    // SAFETY: said above.
    unsafe { read(event) }.map_or(0, |event| event.time_us)
}

/// The whole event as JSON; it lives as long as the event.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reactor_event_json(event: *const EventInfo) -> *const c_char {
    // SAFETY: said above.
    unsafe { read(event) }.map_or(ptr::null(), |event| event.json.as_ptr())
}

/// Frees an event.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reactor_event_free(event: *mut EventInfo) {
    // SAFETY: said above.
    unsafe { free(event) }
}

const NULL: Failure = Failure::Argument { what: "the object is NULL" };
const NO_TEXT: Failure = Failure::Argument { what: "a text is NULL, or is not UTF-8" };

fn at(texts: Option<&[Option<CString>]>, what: c_int) -> *const c_char {
    let text = texts.and_then(|texts| texts.get(usize::try_from(what).ok()?)?.as_ref());
    text.map_or(ptr::null(), |text| text.as_ptr())
}

fn json<T: serde::Serialize>(value: &T) -> Result<CString, Failure> {
    serde_json::to_string(value).map(|text| c_text(&text)).map_err(|source| Failure::Json { source })
}

/// In the order of enum reactor_device_text and enum reactor_device_list.
fn device_info(map: &DeviceMap, device: &Device) -> Result<DeviceInfo, Failure> {
    let report: Report<'_> = map.report(device);
    let fs = device.file_system.as_ref();
    let texts = [
        Some(device.id.clone()),
        Some(device.kind.to_string()),
        Some(device.name.clone()),
        Some(device.path.clone()),
        device.number.map(|number| number.to_string()),
        device.transport.as_ref().map(ToString::to_string),
        fs.map(|fs| fs.fs_type.clone()),
        fs.and_then(|fs| fs.uuid.clone()),
    ];
    let ids = |devices: Vec<&Device>| devices.into_iter().map(|device| device.id.clone()).collect::<Vec<_>>();
    let lists = [
        device.links.clone(),
        device.mounts.iter().map(|mount| mount.path.clone()).collect(),
        ids(map.above(device)),
        ids(map.below(device)),
        report.carries.drbd.iter().cloned().collect(),
        report.carries.units.iter().cloned().collect(),
    ];
    Ok(DeviceInfo {
        texts: texts.into_iter().map(|text| text.map(|text| c_text(&text))).collect(),
        lists: lists.into_iter().map(|list| list.iter().map(|text| c_text(text)).collect()).collect(),
        size: device.size.unwrap_or(0),
        json: json(&report)?,
    })
}

fn events(file: File, devices: Option<&Devices>) -> Events {
    let map = devices.map_or_else(Arc::default, |devices| Arc::clone(&devices.map));
    Events { log: Log::new(file, Arc::clone(&map)), map }
}

/// In the order of enum reactor_filter.
fn add_filter(events: &mut Events, what: c_int, value: &str) -> Result<(), Failure> {
    let filter = &mut events.log.filter;
    match what {
        0 => {
            let known = Severity::ALL.into_iter().find(|severity| severity.as_str() == value);
            let unknown = Failure::Argument { what: "a severity is info, notice, warning, error or critical" };
            filter.severity = Some(known.ok_or(unknown)?);
        }
        1 => filter.types.push(value.to_owned()),
        2 => filter.subsystems.push(value.to_owned()),
        3 => {
            // A device that is not there can still be in the log.
            let id = events.map.find(value).map_or_else(|_| value.to_owned(), |found| found.device.id.clone());
            filter.devices.push(id);
        }
        _ => return Err(Failure::Argument { what: "there is no such filter" }),
    }
    Ok(())
}

/// In the order of enum reactor_event_text.
fn event_info(event: &StorageEvent) -> Result<EventInfo, Failure> {
    let device = event.device.as_ref();
    let texts = [
        Some(event.id.clone()),
        Some(event.kind.clone()),
        Some(event.severity.to_string()),
        Some(event.subsystem.as_str().to_owned()),
        Some(event.message.clone()),
        device.map(|device| device.id.clone()),
        device.map(|device| device.name.clone()),
        Some(event.source.clone()),
        event.host.clone(),
    ];
    Ok(EventInfo {
        texts: texts.into_iter().map(|text| text.map(|text| c_text(&text))).collect(),
        count: event.count,
        time_us: event.at.wall_us.unwrap_or(0),
        json: json(event)?,
    })
}
