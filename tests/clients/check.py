"""HTTP clients against the test target session_api: axios, ky, Java's HttpClient and curl. Then
oauth4webapi against the example web_login. Each case prints a line. The first failure ends the run.

check.py WORK API WEB_LOGIN: the directory with the packages of npm, and the executables.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
sys.path.append(str(HERE.with_name("session_api")))
from session_api import SessionApi, first_line, start as start_server

WORK, API, WEB_LOGIN = (Path(argument) for argument in sys.argv[1:4])
NAMES = ["__Host-access", "__Host-refresh"]
# A proxy of the machine must not see these requests.
ENVIRONMENT = {**os.environ, "NO_PROXY": "*", "no_proxy": "*"}


def check(condition, what):
    if not condition:
        raise AssertionError(what)


def passed(what):
    print(f"ok {what}", flush=True)


class Curl:
    """curl with a cookie jar, over HTTP/2."""

    def __init__(self, base, certificate, *options):
        self.base = base
        self.jar = WORK / "jar.cookies"
        self.jar.unlink(missing_ok=True)
        self.options = ["--silent", "--show-error", "--cacert", certificate, *options]

    def __call__(self, path, *options):
        """The status, the body, and the version of HTTP."""
        headers = WORK / "headers"
        jar = ["--cookie", self.jar, "--cookie-jar", self.jar, "--dump-header", headers]
        write = ["--write-out", "\n%{http_code} %{http_version}"]
        command = ["curl", *self.options, *jar, *write, *options, self.base + path]
        done = subprocess.run(
            command, env=ENVIRONMENT, check=True, capture_output=True, text=True, timeout=30
        )
        body, _, last = done.stdout.rpartition("\n")
        status, version = last.split()
        lines = [line.split(": ", 1) for line in headers.read_text().splitlines()]
        self.set_cookies = [line[1] for line in lines if line[0].lower() == "set-cookie"]
        return int(status), json.loads(body) if body else None, version

    def held(self):
        lines = [line.split("\t") for line in self.jar.read_text().splitlines()]
        return sorted(line[5] for line in lines if len(line) == 7)


def expect(answer, wanted, **members):
    check(answer[0] == wanted, f"{answer[:1]}, not {wanted}")
    for name, value in members.items():
        check(answer[1].get(name) == value, f"{name}, not {value}: {answer[1].keys()}")


def pair(answer):
    expect(answer, 200, token_type="Bearer", expires_in=300)
    return answer[1]["refresh_token"], f"Authorization: Bearer {answer[1]['access_token']}"


def form(token):
    return ["--data", "grant_type=refresh_token", "--data-urlencode", f"refresh_token={token}"]


def as_json(token):
    # `--json` is newer than some curl in use.
    body = json.dumps({"refresh_token": token})
    return ["--header", "Content-Type: application/json", "--data", body]


def curl_bodies(api, base, version, *options):
    curl = Curl(base, api.certificate, *options)
    login = curl("/app/login", "--data", "username=curl")
    check(login[2] == version, f"HTTP/{login[2]}")
    token, bearer = pair(login)
    expect(curl("/me", "--header", bearer), 200, sub="curl")
    token, bearer = pair(curl("/refresh", *form(token)))
    token, bearer = pair(curl("/refresh", *as_json(token)))
    expect(curl("/me", "--header", bearer), 200, sub="curl")
    api.store("fail")
    for path in ("/refresh", "/logout"):
        expect(curl(path, *form(token)), 503, status=503)
        expect(curl(path, *as_json(token)), 503, status=503)
    api.store("recover")
    token, bearer = pair(curl("/refresh", *form(token)))
    expect(curl("/logout", *form(token)), 204)
    expect(curl("/refresh", *form(token)), 400, error="invalid_grant")
    expect(curl("/refresh", *as_json(token)), 401, status=401)
    expect(curl("/me", "--header", bearer), 401, status=401)
    check(curl.held() == [], "a body never becomes a cookie")
    passed(f"curl: form and JSON, HTTP/{version} {' '.join(options)}")


def curl_cookies(api):
    base = api.at("localhost")
    curl = Curl(base, api.certificate, "--http2")
    own = ["--header", f"Origin: {base}"]
    expect(curl("/login", *own, "--data", "username=curl"), 204)
    check(curl.held() == NAMES, curl.held())
    expect(curl("/me"), 200, sub="curl")
    empty_json = ["--header", "Content-Type: application/json", "--data", "{}"]
    for body in (["--request", "POST"], ["--data", ""], empty_json):
        expect(curl("/refresh", *own, *body), 200, expires_in=300)
    post = ["--request", "POST"]
    api.advance(400)
    expect(curl("/me"), 401, status=401)
    expect(curl("/refresh", *own, *post), 200, expires_in=300)
    expect(curl("/me"), 200, sub="curl")
    trusted = ["--header", f"Origin: {api.at('app.x.localhost')}"]
    not_a_browser = ["--header", "Sec-Fetch-Site: none"]
    for header in (trusted, not_a_browser):
        expect(curl("/refresh", *header, *post), 200, expires_in=300)
    for origin in ([], ["--header", "Origin: https://evil.example"]):
        for path in ("/refresh", "/logout"):
            expect(curl(path, *origin, *post), 403, status=403)
    api.store("fail")
    for path in ("/refresh", "/logout"):
        expect(curl(path, *own, *post), 503, status=503)
        check(curl.set_cookies == [], "an outage deletes no cookie")
    api.store("recover")
    expect(curl("/logout", *own, *post), 204)
    # Not by the jar: curl 7.88 reads it once more at its end, and so keeps the first of two cookies
    # that a server deletes.
    deleted = [cookie.split(";")[0] for cookie in curl.set_cookies if "Max-Age=0;" in cookie]
    check(deleted == [f"{name}=" for name in NAMES], "logout deletes both")
    expect(curl("/me"), 401, status=401)
    passed("curl: cookies, HTTP/2")


def main():
    for number in (signal.SIGTERM, signal.SIGALRM):
        signal.signal(number, lambda *_: sys.exit("stopped"))
    # Whatever hangs: the server ends with this.
    signal.alarm(240)
    start = time.monotonic()
    with contextlib.ExitStack() as stack:
        api = SessionApi(stack, API, WORK, "own", "app.x.localhost")
        plain = f"http://localhost:{api.plain_port}"
        secure, test = api.at("localhost"), f"{plain}/test"
        curl_bodies(api, secure, "2", "--http2")
        curl_bodies(api, plain, "2", "--http2-prior-knowledge")
        # It asks for an upgrade to HTTP/2, which the server need not grant.
        curl_bodies(api, plain, "1.1", "--http2")
        curl_cookies(api)
        trust = {**ENVIRONMENT, "NODE_EXTRA_CA_CERTS": str(api.certificate)}
        for command in (
            ["node", WORK / "clients.mjs", secure, test],
            ["java", HERE / "Client.java", secure, test, api.certificate],
        ):
            subprocess.run(command, env=trust, check=True, timeout=120)
        address = first_line(start_server(stack, [WEB_LOGIN], PORT="0"))[1]
        bound = ["node", WORK / "bound.mjs", address]
        subprocess.run(bound, env=ENVIRONMENT, check=True, timeout=60)
    print(f"all clients passed in {time.monotonic() - start:.0f} s", flush=True)


main()
