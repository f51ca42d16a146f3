/* Storage events and block devices: the library of Storage Reactor for C.
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

/* The version of the library. */
const char *reactor_storage_version(void);

/* The number of an error: one of enum reactor_error_code; 0 for NULL. */
int reactor_error_code(const reactor_error *error);

/* What went wrong, in English; it lives as long as the error. NULL for NULL. */
const char *reactor_error_message(const reactor_error *error);

/* Frees an error. */
void reactor_error_free(reactor_error *error);

/* Reads all block devices: below root, or of this machine if it is NULL. No device is opened. NULL if it failed. */
reactor_devices *reactor_devices_read(const char *root, reactor_error **error);

/* How many devices there are. */
size_t reactor_devices_count(const reactor_devices *devices);

/* The device at a place in the order of their names, to be freed; NULL behind the last one. */
reactor_device *reactor_devices_at(const reactor_devices *devices, size_t index, reactor_error **error);

/* The device that has the name, whatever that is: 8:0, sda, a path, a WWID, a UUID, VG/LV, a mount point, a DRBD resource. To be freed; NULL if there is none. */
reactor_device *reactor_devices_find(const reactor_devices *devices, const char *name, reactor_error **error);

/* Frees the devices. */
void reactor_devices_free(reactor_devices *devices);

/* A text of a device: one of enum reactor_device_text. It lives as long as the device; NULL if there is none. */
const char *reactor_device_text(const reactor_device *device, int what);

/* A text of a list of a device: one of enum reactor_device_list. It lives as long as the device; NULL behind the last one. */
const char *reactor_device_list(const reactor_device *device, int what, size_t index);

/* The size of a device in bytes; 0 if it is not known. */
uint64_t reactor_device_size(const reactor_device *device);

/* All that is known of a device, as `reactorctl block --json` prints it; it lives as long as the device. */
const char *reactor_device_json(const reactor_device *device);

/* Frees a device. */
void reactor_device_free(reactor_device *device);

/* Opens a log: kmsg, dmesg, journalctl -o export or json, syslog. Devices in it are looked up in devices, which can be NULL, and can be freed before the log. NULL if it failed. */
reactor_events *reactor_events_open(const char *path, const reactor_devices *devices, reactor_error **error);

/* The same for a file descriptor, a pipe for example. It stays the caller's: the library has a duplicate. */
reactor_events *reactor_events_open_fd(int fd, const reactor_devices *devices, reactor_error **error);

/* Wants only some events; what: one of enum reactor_filter. Filters of one kind are alternatives, of several kinds all must hold. 0 if it was taken, else -1. */
int reactor_events_filter(reactor_events *events, int what, const char *value, reactor_error **error);

/* The next event, to be freed. NULL at the end, or if it failed: then error is set. An event comes when it is complete: nothing more of it came for some seconds by the clock of the log, or the log has ended. */
reactor_event *reactor_events_next(reactor_events *events, reactor_error **error);

/* Closes a log. */
void reactor_events_free(reactor_events *events);

/* A text of an event: one of enum reactor_event_text. It lives as long as the event; NULL if there is none. */
const char *reactor_event_text(const reactor_event *event, int what);

/* How often the same happened. */
uint64_t reactor_event_count(const reactor_event *event);

/* When it happened first, in microseconds since 1970; 0 if the log has no such time. */
uint64_t reactor_event_time_us(const reactor_event *event);

/* The whole event as JSON; it lives as long as the event. */
const char *reactor_event_json(const reactor_event *event);

/* Frees an event. */
void reactor_event_free(reactor_event *event);

#ifdef __cplusplus
}
#endif

#endif
