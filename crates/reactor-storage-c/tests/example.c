/* Uses every function of the library. Arguments: a folder with a machine, a log, a file that is none. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "reactor_storage.h"

static const char *or_dash(const char *text) { return text ? text : "-"; }

static int failed(reactor_error *error, int code) {
    if (!error || reactor_error_code(error) != code || !reactor_error_message(error)) return 1;
    printf("error %d: %s\n", reactor_error_code(error), reactor_error_message(error));
    reactor_error_free(error);
    return 0;
}

static void show_device(const reactor_device *device) {
    printf("%s %s %s %s %s %s %s %s %llu json:%zu\n", or_dash(reactor_device_text(device, REACTOR_DEVICE_ID)),
           or_dash(reactor_device_text(device, REACTOR_DEVICE_KIND)), or_dash(reactor_device_text(device, REACTOR_DEVICE_NAME)),
           or_dash(reactor_device_text(device, REACTOR_DEVICE_PATH)), or_dash(reactor_device_text(device, REACTOR_DEVICE_NUMBER)),
           or_dash(reactor_device_text(device, REACTOR_DEVICE_TRANSPORT)),
           or_dash(reactor_device_text(device, REACTOR_DEVICE_FILE_SYSTEM)),
           or_dash(reactor_device_text(device, REACTOR_DEVICE_FILE_SYSTEM_UUID)),
           (unsigned long long)reactor_device_size(device), strlen(reactor_device_json(device)) > 100 ? (size_t)1 : (size_t)0);
    for (int list = REACTOR_DEVICE_LINKS; list <= REACTOR_DEVICE_UNITS; list++) {
        const char *text;
        for (size_t index = 0; (text = reactor_device_list(device, list, index)); index++) printf("  %d %s\n", list, text);
    }
}

static int show_events(reactor_events *events) {
    reactor_error *error = NULL;
    reactor_event *event;
    while ((event = reactor_events_next(events, &error))) {
        printf("%s %s %s %s x%llu\n", reactor_event_text(event, REACTOR_EVENT_SEVERITY), reactor_event_text(event, REACTOR_EVENT_TYPE),
               or_dash(reactor_event_text(event, REACTOR_EVENT_DEVICE_ID)), or_dash(reactor_event_text(event, REACTOR_EVENT_DEVICE_NAME)),
               (unsigned long long)reactor_event_count(event));
        if (!strstr(reactor_event_json(event), reactor_event_text(event, REACTOR_EVENT_ID))) return 1;
        if (reactor_event_time_us(event) != 0) return 2; /* dmesg has no wall clock */
        if (reactor_event_text(event, 99) || reactor_event_text(event, -1)) return 3;
        reactor_event_free(event);
    }
    return error ? 4 : 0;
}

int main(int argc, char **argv) {
    reactor_error *error = NULL;
    if (argc != 4 || !reactor_storage_version()[0]) return 10;

    reactor_devices *devices = reactor_devices_read(argv[1], &error);
    if (!devices) return 11;
    printf("%zu devices\n", reactor_devices_count(devices));
    for (size_t index = 0; index < reactor_devices_count(devices); index++) {
        reactor_device *device = reactor_devices_at(devices, index, &error);
        if (!device) return 12;
        printf("- %s\n", reactor_device_text(device, REACTOR_DEVICE_NAME));
        reactor_device_free(device);
    }
    if (reactor_devices_at(devices, 1000, &error) || error) return 13;
    reactor_device *found = reactor_devices_find(devices, "/srv/data", &error);
    if (!found) return 14;
    show_device(found);
    reactor_device_free(found);
    if (reactor_devices_find(devices, "mpathz", &error) || failed(error, REACTOR_ERROR_NOT_FOUND)) return 15;
    error = NULL;
    if (reactor_devices_read("/no/such/folder", &error) || failed(error, REACTOR_ERROR_NO_DEVICES)) return 16;

    puts("all events");
    error = NULL;
    reactor_events *events = reactor_events_open(argv[2], devices, &error);
    if (!events || show_events(events)) return 17;
    reactor_events_free(events);

    puts("events of what the file system is on, errors and worse, by a descriptor");
    int fd = open(argv[2], O_RDONLY);
    events = reactor_events_open_fd(fd, devices, &error);
    if (close(fd) || !events) return 18;
    if (reactor_events_filter(events, REACTOR_FILTER_DEVICE, "/srv/data", &error)) return 19;
    if (reactor_events_filter(events, REACTOR_FILTER_SEVERITY, "error", &error)) return 20;
    if (!reactor_events_filter(events, REACTOR_FILTER_SEVERITY, "awful", &error) || failed(error, REACTOR_ERROR_ARGUMENT)) return 21;
    reactor_devices_free(devices);
    if (show_events(events)) return 22;
    reactor_events_free(events);

    puts("events of one type, without devices");
    events = reactor_events_open(argv[2], NULL, NULL);
    if (!events || reactor_events_filter(events, REACTOR_FILTER_TYPE, "MPATH_PATH_FAILED", NULL)) return 23;
    if (reactor_events_filter(events, REACTOR_FILTER_SUBSYSTEM, "multipath", NULL) || show_events(events)) return 24;
    reactor_events_free(events);

    error = NULL;
    events = reactor_events_open(argv[3], NULL, &error);
    if (!events || reactor_events_next(events, &error) || failed(error, REACTOR_ERROR_NO_LOG)) return 25;
    reactor_events_free(events);
    error = NULL;
    if (reactor_events_open("/no/such/log", NULL, &error) || failed(error, REACTOR_ERROR_IO)) return 26;
    error = NULL;
    if (reactor_events_open_fd(-1, NULL, &error) || failed(error, REACTOR_ERROR_ARGUMENT)) return 27;
    error = NULL;
    if (reactor_events_open(NULL, NULL, &error) || failed(error, REACTOR_ERROR_ARGUMENT)) return 28;

    /* NULL is nothing, and never a crash. */
    reactor_error_free(NULL);
    reactor_devices_free(NULL);
    reactor_device_free(NULL);
    reactor_events_free(NULL);
    reactor_event_free(NULL);
    if (reactor_devices_count(NULL) || reactor_events_next(NULL, NULL) || reactor_device_text(NULL, 0) || reactor_event_json(NULL)) return 29;
    puts("done");
    return 0;
}
