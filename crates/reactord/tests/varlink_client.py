"""Asks a daemon with Python's own module for Varlink. Arguments: the socket, and the map whose events are asked for."""

import sys

import varlink

socket, name = sys.argv[1:3]

with varlink.Client(address=f"unix:{socket}") as client, client.open("io.storagereactor.Control") as daemon:
    events = daemon.QueryEvents(device=name)["events"]
    print("query", *(f"{event['type']} {event['severity']}" for event in events))

    pages = [page["events"] for page in daemon.QueryEvents(device=name, last=1000, _more=True)]
    print("pages", sum(len(page) for page in pages))

with varlink.Client(address=f"unix:{socket}") as client, client.open("io.storagereactor.Control") as daemon:
    # From before the first: what is there comes at once.
    told = []
    for page in daemon.MonitorEvents(device=name, after=0, _more=True):
        told += page["events"]
        if told:
            break
    print("monitor", *(event["type"] for event in told))

with varlink.Client(address=f"unix:{socket}") as client, client.open("io.storagereactor.Control") as daemon:
    incidents = [incident for incident in daemon.Incidents()["incidents"] if name in incident["title"]]
    print("incident", *("over" if "ended" in incident else f"open {incident['severity']}" for incident in incidents))

    blocks = daemon.BlockInfo()
    print("devices are a list" if isinstance(blocks["devices"], list) else blocks)
    for device in blocks["devices"][:3]:
        found = daemon.BlockInfo(device=device["name"])["devices"]
        assert found[0]["id"] == device["id"], found

    for what, ask in [
        ("no such device", lambda: daemon.BlockInfo(device="no-such-device-here")),
        ("a wrong severity", lambda: daemon.QueryEvents(severity="awful")),
    ]:
        try:
            print(f"{what}: {ask()}")
        except varlink.VarlinkError as error:
            print(f"{what}: {error.error().rsplit('.', 1)[-1]}")
