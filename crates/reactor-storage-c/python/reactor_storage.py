"""Storage events and block devices: Storage Reactor's library for Python.

    import reactor_storage as rs

    devices = rs.Devices()                      # of this machine; Devices("/folder") of a kept one
    print(devices.find("/srv/data")["id"])      # by any name; a dict, as `reactorctl block --json` has it
    for event in rs.events("/var/log/kern.log", devices, severity="error"):
        print(event["severity"], event["type"], event["message"])

The library is found by the linker's rules, or where REACTOR_STORAGE_LIBRARY says.
"""

import ctypes
import json
import os

__all__ = ["Devices", "Error", "NotFound", "events", "version"]

_FILTERS = {"severity": 0, "type": 1, "subsystem": 2, "device": 3}
_NOT_FOUND = 3

_library = ctypes.CDLL(os.environ.get("REACTOR_STORAGE_LIBRARY", "libreactor_storage_c.so.0"))


def _declare(name, result, *arguments):
    function = getattr(_library, name)
    function.restype = result
    function.argtypes = arguments
    return function


_object = ctypes.c_void_p
_text = ctypes.c_char_p
_error = ctypes.POINTER(ctypes.c_void_p)

_version = _declare("reactor_storage_version", _text)
_error_code = _declare("reactor_error_code", ctypes.c_int, _object)
_error_message = _declare("reactor_error_message", _text, _object)
_error_free = _declare("reactor_error_free", None, _object)
_devices_read = _declare("reactor_devices_read", _object, _text, _error)
_devices_count = _declare("reactor_devices_count", ctypes.c_size_t, _object)
_devices_at = _declare("reactor_devices_at", _object, _object, ctypes.c_size_t, _error)
_devices_find = _declare("reactor_devices_find", _object, _object, _text, _error)
_devices_free = _declare("reactor_devices_free", None, _object)
_device_json = _declare("reactor_device_json", _text, _object)
_device_free = _declare("reactor_device_free", None, _object)
_events_open = _declare("reactor_events_open", _object, _text, _object, _error)
_events_open_fd = _declare("reactor_events_open_fd", _object, ctypes.c_int, _object, _error)
_events_filter = _declare("reactor_events_filter", ctypes.c_int, _object, ctypes.c_int, _text, _error)
_events_next = _declare("reactor_events_next", _object, _object, _error)
_events_free = _declare("reactor_events_free", None, _object)
_event_json = _declare("reactor_event_json", _text, _object)
_event_free = _declare("reactor_event_free", None, _object)


class Error(Exception):
    """What went wrong; `code` is that of the header."""

    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


class NotFound(Error, LookupError):
    """No device is called so."""


def _called(function, *arguments):
    """Calls a function that can fail."""
    error = ctypes.c_void_p()
    result = function(*arguments, ctypes.byref(error))
    if error:
        code, message = _error_code(error), _error_message(error).decode()
        _error_free(error)
        raise (NotFound if code == _NOT_FOUND else Error)(code, message)
    return result


def _taken(pointer, to_json, free):
    """The JSON of an object, which is freed."""
    try:
        return json.loads(to_json(pointer))
    finally:
        free(pointer)


def version():
    """The version of the library."""
    return _version().decode()


class Devices:
    """All block devices, as they were when they were read. No device is opened."""

    def __init__(self, root=None):
        self._pointer = None
        self._pointer = _called(_devices_read, None if root is None else os.fsencode(root))

    def __del__(self):
        if self._pointer:
            _devices_free(self._pointer)

    def __len__(self):
        return _devices_count(self._pointer)

    def __iter__(self):
        for index in range(len(self)):
            yield _taken(_called(_devices_at, self._pointer, index), _device_json, _device_free)

    def find(self, name):
        """The device that has the name: 8:0, sda, a path, a WWID, a UUID, VG/LV, a mount point, a DRBD resource."""
        return _taken(_called(_devices_find, self._pointer, name.encode()), _device_json, _device_free)


def events(log, devices=None, **filters):
    """The events of a log, a path or a file descriptor. Filters: severity, type, subsystem, device; several of one kind as a list.

    The log is opened, and the filters are looked at, before the first event is asked for.
    """
    pointer = devices._pointer if devices else None
    if isinstance(log, int):
        opened = _called(_events_open_fd, log, pointer)
    else:
        opened = _called(_events_open, os.fsencode(log), pointer)
    try:
        for kind, values in filters.items():
            if kind not in _FILTERS:
                raise TypeError(f"there is no filter {kind!r}")
            for value in [values] if isinstance(values, str) else values:
                _called(_events_filter, opened, _FILTERS[kind], value.encode())
    except BaseException:
        _events_free(opened)
        raise
    return _Events(opened)


class _Events:
    """An open log."""

    def __init__(self, pointer):
        self._pointer = pointer

    def __del__(self):
        _events_free(self._pointer)

    def __iter__(self):
        return self

    def __next__(self):
        event = _called(_events_next, self._pointer)
        if not event:
            raise StopIteration
        return _taken(event, _event_json, _event_free)
