"""An independent client of the control socket, in nothing but Python's standard library.

Written from the Varlink specification, not from our server: tests/control.rs runs it against the real server.
If the `varlink` package is there, it is used too.
"""

import json
import os
import re
import socket
import sys

path = sys.argv[1]
CONTROL = "io.storagereactor.Control"
SERVICE = "org.varlink.service"


class Connection:
    def __init__(self):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(60)
        self.socket.connect(path)
        self.rest = b""

    def send(self, method, parameters=None, **flags):
        call = {"method": method, **flags}
        if parameters is not None:
            call["parameters"] = parameters
        self.socket.sendall(json.dumps(call).encode() + b"\0")

    def reply(self):
        while b"\0" not in self.rest:
            piece = self.socket.recv(4096)
            assert piece, "the server closed the connection"
            self.rest += piece
        message, self.rest = self.rest.split(b"\0", 1)
        reply = json.loads(message)
        assert set(reply) <= {"parameters", "continues", "error"}, reply
        return reply

    def call(self, method, parameters=None):
        self.send(method, parameters)
        reply = self.reply()
        assert "error" not in reply, reply
        assert not reply.get("continues", False), reply
        return reply["parameters"]

    def error(self, method, parameters=None):
        self.send(method, parameters)
        reply = self.reply()
        return reply["error"], reply.get("parameters", {})


def service(c):
    info = c.call(f"{SERVICE}.GetInfo")
    assert set(info) == {"vendor", "product", "version", "url", "interfaces"}, info
    assert info["interfaces"] == [SERVICE, CONTROL], info
    for interface in info["interfaces"]:
        text = c.call(f"{SERVICE}.GetInterfaceDescription", {"interface": interface})["description"]
        check_description(interface, text)


def check_description(interface, text):
    """The grammar of the specification, as far as a line at a time can see it."""
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert lines[0] == f"interface {interface}", lines[0]
    name = r"[A-Za-z](?:_?[A-Za-z0-9])*"
    kind = rf"\??(?:\[\]|\[string\])*\??(?:bool|int|float|string|object|[A-Z][A-Za-z0-9]*|\({name}(?:, {name})*\))"
    fields = rf"\((?:{name}: {kind}(?:, {name}: {kind})*)?\)"
    member = "[A-Z][A-Za-z0-9]*"
    forms = [
        rf"type {member} (?:{fields}|\({name}(?:, {name})*\))",
        rf"method {member} ?{fields} ?-> ?{fields}",
        rf"error {member} ?{fields}",
    ]
    for line in lines[1:]:
        assert any(re.fullmatch(form, line) for form in forms), f"not Varlink: {line}"


def control(c):
    assert c.call(f"{CONTROL}.Status")["status"]["version"] == "test"
    reload = c.call(f"{CONTROL}.Reload", {})
    assert reload == {"ok": True, "result": "ok", "findings": [], "report": ""}, reload
    answer = c.call(
        f"{CONTROL}.Helper",
        {"helper": "fence-peer", "object": "r0", "env": {"DRBD_RESOURCE": "r0"}, "timeout_ms": 1000},
    )
    assert answer == {"fallback": "no rule"}, answer


def errors(c):
    assert c.error(f"{CONTROL}.Explode") == (f"{SERVICE}.MethodNotFound", {"method": f"{CONTROL}.Explode"})
    assert c.error("com.example.Test") == (f"{SERVICE}.InterfaceNotFound", {"interface": "com.example"})
    assert c.error(f"{CONTROL}.Changes", {"last": "x"}) == (f"{SERVICE}.InvalidParameter", {"parameter": "last"})
    assert c.error(f"{CONTROL}.Changes", {"follow": True}) == (f"{SERVICE}.ExpectedMore", {})


def stream(c):
    c.send(f"{CONTROL}.Changes", {"detail": "state", "last": 2, "follow": True}, more=True)
    seqs = []
    while len(seqs) < 5:
        reply = c.reply()
        assert reply["continues"] is True, reply
        seqs += [change["seq"] for change in reply["parameters"]["changes"]]
    assert seqs == [9, 10, 11, 12, 13], seqs


def as_nobody(work):
    """Runs work as another user, in a process of its own: a change of user cannot be taken back."""
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            work()
            os._exit(0)
        except BaseException as error:
            print(f"as nobody: {error!r}", file=sys.stderr)
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def strangers():
    def refused():
        try:
            Connection()
        except PermissionError:
            return
        raise AssertionError("a stranger could connect")

    def reads_only():
        c = Connection()
        assert c.call(f"{CONTROL}.Status")["status"]["version"] == "test"
        for method, parameters in [
            ("Reload", None),
            ("Helper", {"helper": "h", "object": "r0", "env": {}, "timeout_ms": 1}),
        ]:
            name, _ = c.error(f"{CONTROL}.{method}", parameters)
            assert name == f"{CONTROL}.PermissionDenied", name

    as_nobody(refused)
    # As a member of the group could.
    os.chmod(path, 0o666)
    as_nobody(reads_only)
    os.chmod(path, 0o660)


def with_package():
    try:
        import varlink
    except ImportError:
        # No distribution package: nothing that a test could ask for. The client above is the counterpart.
        return
    client = varlink.Client.new_with_address(f"unix:{path}")
    assert {SERVICE, CONTROL} <= set(client.get_interfaces()), client.get_interfaces()
    with client.open(CONTROL) as connection:
        assert connection.Status()["status"]["version"] == "test"
        answer = connection.Helper("fence-peer", "r0", {"DRBD_RESOURCE": "r0"}, 1000)
        assert answer["fallback"] == "no rule", answer
        try:
            connection.Changes(follow=True)
        except varlink.VarlinkError as error:
            assert error.error() == f"{SERVICE}.ExpectedMore", error
        else:
            raise AssertionError("follow without more was answered")
        for number, reply in enumerate(connection.Changes(last=2, follow=True, _more=True)):
            assert "changes" in reply, reply
            if number == 1:
                break
    print("python-varlink: served")


c = Connection()
service(c)
control(c)
errors(c)
stream(Connection())
if os.geteuid() == 0:
    strangers()
else:
    print("SKIPPED: another user's credentials (not root)")
with_package()
print("done")
