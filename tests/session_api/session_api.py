"""Starts the test target session_api. For tests/browser and tests/clients."""

import json
import os
import subprocess
import urllib.request


def start(stack, command, **environment):
    """Starts an executable, which ends with `stack`. The first line that it prints comes later."""
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, **environment}
    )

    def stop():
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()

    stack.callback(stop)
    return process


def first_line(process):
    line = process.stdout.readline().split()
    if not line:
        raise AssertionError(f"{process.args} printed nothing")
    return line


class SessionApi:
    """The service with these cookies. It trusts the pages of these hosts."""

    def __init__(self, stack, executable, work, cookies, *hosts):
        self.certificate = work / f"{cookies}.pem"
        process = start(stack, [executable, self.certificate, cookies, *hosts])
        self.plain_port, self.port = (int(port) for port in first_line(process))

    def at(self, host):
        return f"https://{host}:{self.port}"

    def test(self, method, path):
        url = f"http://127.0.0.1:{self.plain_port}/test/{path}"
        with urllib.request.urlopen(urllib.request.Request(url, method=method)) as answer:
            body = answer.read()
        return json.loads(body) if body else None

    def advance(self, seconds):
        """The server's clock stands still otherwise."""
        self.test("POST", f"advance/{seconds}")

    def store(self, state):
        """`fail` or `recover`."""
        self.test("POST", f"store/{state}")

    def hold(self, requests):
        """The next refresh waits until so many requests are in flight."""
        self.test("POST", f"hold/{requests}")

    def counters(self, subject="alice"):
        """How often each session of the subject was refreshed."""
        return self.test("GET", f"counters/{subject}")

    def seen(self):
        """The requests that were answered since the last call."""
        return self.test("GET", "seen")
