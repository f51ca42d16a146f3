"""Uses the module as a program does. Arguments: a folder with a machine, a log, a file that is none."""

import os
import sys

import reactor_storage as rs

machine, log, no_log = sys.argv[1:]
assert rs.version()

devices = rs.Devices(machine)
print(len(devices), [device["name"] for device in devices])
found = devices.find("/srv/data")
print(found["id"], found["carries"])
try:
    devices.find("mpathz")
except rs.NotFound as error:
    print(f"not found: {error}")

for event in rs.events(log, devices):
    print(event["severity"], event["type"], (event.get("device") or {}).get("id"), event["count"])

print("of one device, errors and worse, by a descriptor")
fd = os.open(log, os.O_RDONLY)
kept = rs.events(fd, devices, device="mpatha", severity="error", type=["MPATH_PATH_FAILED", "FS_READ_ONLY"])
os.close(fd)
for event in kept:
    print(event["severity"], event["type"])

for wrong in (lambda: list(rs.events(no_log)), lambda: rs.events("/no/such/log"), lambda: rs.events(log, severity="awful"), lambda: rs.Devices("/no/such")):
    try:
        wrong()
        raise SystemExit("this should have failed")
    except rs.Error as error:
        print(error.code, error)
try:
    rs.events(log, colour="red")
except TypeError as error:
    print(error)
