"""The example web_login and the test target session_api in headless Chromium and Firefox.
Each case prints a line. The first failure ends the run.

check.py WORK WEB_LOGIN API [CASE…]: screenshots go to WORK; the two others are executables.
"""

import contextlib
import functools
import http.server
import json
import signal
import sys
import threading
import time
import urllib.parse
import urllib.request
from pathlib import Path

from selenium.webdriver.common.by import By

sys.path.append(str(Path(__file__).parent.with_name("session_api")))
from session_api import SessionApi, first_line, start

from architectures import (
    blocked_cookies, move_to_domain, server_pages, subdomains, two_sites
)
from bound import bound_refresh_token, bound_tokens
from browsers import PEOPLE, START, Browser, Chromium, Firefox, check, passed

WORK, WEB_LOGIN, API = (Path(argument) for argument in sys.argv[1:4])

# Of everybody in web_login.
CODE = "123456"

COOKIES = {"__Host-access": "Lax", "__Host-refresh": "Strict"}


class Elsewhere(http.server.BaseHTTPRequestHandler):
    """Pages of other origins: empty ones, and at /injected/URL the page of URL with somebody's markup in it."""

    INJECTED = (
        '<script>window.pwned = "script"</script>'
        '<script src="data:text/javascript,window.pwned=1"></script>'
        '<div id="styled" style="position: fixed">x</div>'
        '<button id="handler" onclick="window.pwned = \'handler\'">x</button>'
        '<a id="link" href="javascript:void(window.pwned = \'link\')">x</a>'
        '<base href="https://evil.example/">'
    )

    def do_GET(self):
        headers = {"Content-Type": "text/html"}
        body = b"<!doctype html><title>elsewhere</title><link rel=icon href=data:,>"
        if self.path.startswith("/injected/"):
            with urllib.request.urlopen(self.path.removeprefix("/injected/")) as page:
                headers = dict(page.headers)
                body = page.read().replace(b"</main>", self.INJECTED.encode() + b"</main>")
                headers["content-length"] = str(len(body))
        self.send_response(200)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def elsewhere():
    """Its port, on 127.0.0.1."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


# Cases


def states(browser, base):
    browser.fresh()
    browser.get(base)
    browser.await_state("out")
    browser.shoot("1-logged-out")
    browser.fill_in("alice", "wrong")
    browser.until("the password is called wrong", lambda: "wrong" in browser.text("#login-error"))
    browser.shoot("2-wrong-password")
    browser.fill_in("nobody", "wrong")
    browser.until("the same for nobody", lambda: browser.text("#login-error") == "The name or the password is wrong.")
    browser.fill_in("carol", PEOPLE["carol"])
    browser.until("carol is blocked", lambda: "blocked" in browser.text("#login-error"))
    check(browser.cookies() == {}, "no cookie without a login")
    passed(browser, "states: wrong password, nobody and a blocked account get no cookie")

    browser.log_in(base)
    check("admin" in browser.text("#claims"), "alice is an admin")
    browser.shoot("3-logged-in")
    browser.click("role")
    browser.until("the log tells", lambda: "no admin" in browser.text("#log"))
    browser.click("renew")
    browser.until("the role is gone", lambda: "admin" not in browser.text("#claims"))
    passed(browser, "states: a role that was taken away is gone from the next token")

    cookies, renewals = browser.cookies(), browser.own_session()["renewals"]
    browser.click("outage")
    browser.until("the outage is on", lambda: browser.find("outage").get_attribute("aria-pressed") == "true")
    browser.click("renew")
    browser.await_notice("outage")
    check(browser.state() == "in" and browser.cookies() == cookies, "an outage logs nobody out")
    browser.shoot("4-outage")
    browser.click("outage")
    browser.await_notice(None)
    check(browser.own_session()["renewals"] > renewals, "renewed")

    # A page that is opened meanwhile, with a refresh token alone, does not know yet: no login, and no logout.
    browser.click("outage")
    browser.until("the outage is on", lambda: browser.find("outage").get_attribute("aria-pressed") == "true")
    browser.delete_cookie("__Host-access")
    browser.get(base)
    browser.await_notice("outage")
    check(not browser.find("out").is_displayed() and "__Host-refresh" in browser.cookies(), "it waits")
    browser.click("outage")
    browser.await_state("in")
    browser.await_notice(None)
    passed(browser, "states: 503 while claims cannot be computed; nobody is logged out, and it goes on after")

    browser.click("role")
    browser.click("logout")
    browser.await_notice("info")
    check(browser.state() == "out" and browser.cookies() == {}, "logged out")
    passed(browser, "states: logout deletes both cookies")
    for name in COOKIES:
        browser.add_cookie({"name": name, "value": "old", "path": "/", "secure": True, "httpOnly": True})
    check(set(browser.cookies()) == set(COOKIES), "cookies that nobody reads")
    check(browser.call("POST", "/logout")["status"] == 204 and browser.cookies() == {}, "they are deleted")
    passed(browser, "states: logout deletes cookies of retired keys too")
    browser.click("outage")
    browser.until("the outage is on", lambda: browser.find("outage").get_attribute("aria-pressed") == "true")
    browser.fill_in("alice", PEOPLE["alice"])
    browser.until("no login", lambda: "not available" in browser.text("#login-error"))
    browser.click("outage")
    browser.until("the outage is off", lambda: browser.find("outage").get_attribute("aria-pressed") == "false")
    check(browser.cookies() == {}, "no cookie without a login")
    passed(browser, "states: no login in an outage, and the page says why")
    browser.check_policy_kept()


def cookies_out_of_reach(browser, base):
    browser.fresh()
    browser.log_in(base)
    check(browser.execute_script("return document.cookie") == "", "script reads a cookie")
    cookies = browser.cookies()
    check(set(cookies) == set(COOKIES), f"cookies: {list(cookies)}")
    for name, same_site in COOKIES.items():
        cookie = cookies[name]
        wanted = {"httpOnly": True, "secure": True, "sameSite": same_site, "path": "/", "domain": "127.0.0.1"}
        check(all(cookie[key] == value for key, value in wanted.items()), f"{name}: {cookie | {'value': '…'}}")
    # Neither can it write one in their place.
    browser.execute_script(
        "for (const name of arguments[0]) document.cookie = `${name}=x; Path=/; Secure; SameSite=Lax`", list(COOKIES)
    )
    check(browser.cookies() == cookies, "script wrote a cookie")
    check(browser.call("GET", "/me")["status"] == 200, "still logged in")
    browser.check_policy_kept()
    passed(browser, "a: script reads neither cookie; both are __Host-, HttpOnly, Secure, Lax and Strict")


def other_sites(browser, base, port):
    """A page of another site (localhost is another one than 127.0.0.1), and one of the same site on another port."""
    browser.fresh()
    browser.log_in(base)
    victim = browser.current_window_handle
    attacker = browser.new_tab()

    def attack(origin, path, way, data):
        """What the browser sent, and what it was answered."""
        browser.switch_to.window(attacker)
        browser.get(f"{origin}/")
        browser.forget_traffic()
        url = base + path
        if way == "form":
            browser.submit_form(url, data)
        else:
            answer = browser.execute_async_script(
                """
                const [url, data, done] = arguments;
                fetch(url, { method: "POST", mode: "no-cors", credentials: "include", body: new URLSearchParams(data) })
                    .then((response) => done(response.type), (error) => done(error.name));
                """,
                url, data,
            )
            check(answer in ("opaque", "TypeError"), f"{answer}: the attacker reads the answer")
        return browser.await_answer(url)

    def victims():
        browser.switch_to.window(victim)
        return browser.own_session(), browser.cookies()

    bob = {"username": "bob", "password": PEOPLE["bob"]}
    paths = {
        "/refresh": {}, "/logout": {}, "/logout-everywhere": {}, "/thief/steal": {}, "/login": bob,
        "/step-up": {"code": CODE}, "/impersonate": {"customer": "bob"},
    }

    def attacks(origin, site, with_cookies, wanted):
        before = victims()
        for path, data in paths.items():
            for way in ("form", "fetch"):
                request = attack(origin, path, way, data)
                what = f"{way} to {path} from {origin}"
                check(request["sent"]["sec-fetch-site"] == site, f"{what}: {request['sent']['sec-fetch-site']}")
                has_cookies = "__Host-refresh" in request["sent"].get("cookie", "")
                check(has_cookies == with_cookies, f"{what}: cookies {has_cookies}")
                check(request["status"] == wanted(path), f"{what}: {request['status']}")
                check("set-cookie" not in request["received"], f"{what}: sets a cookie")
        # Same session, same counter, same cookies.
        check(victims() == before, f"from {origin}: something changed")
        # A script that asks for leave gets none.
        browser.switch_to.window(attacker)
        browser.get(f"{origin}/")
        for method, path in (("POST", "/refresh"), ("DELETE", f"/sessions/{before[0]['sid']}"), ("GET", "/me")):
            headers = {"Content-Type": "application/json"} if method == "POST" else {}
            answer = browser.call(method, base + path, headers, credentials="include")
            check(answer.get("error") == "TypeError", f"{method} {path} from {origin}: {answer}")
        check(victims() == before, f"from {origin}: something changed")

    same_site, cross_site = f"http://127.0.0.1:{port}", f"http://localhost:{port}"
    attacks(same_site, "same-site", True, lambda path: 403)
    passed(browser, "b: same site, other origin: form and fetch carry the cookies, get 403, and change nothing")
    attacks(cross_site, "cross-site", False, lambda path: 403 if path in ("/login", "/logout", "/thief/steal") else 401)
    passed(browser, "b: another site: form and fetch carry no cookie, get 401 (403 at login and logout), and change nothing")

    # As if the browser knew no SameSite.
    browser.switch_to.window(victim)
    for cookie in browser.get_cookies():
        kept = {key: cookie[key] for key in ("name", "value", "path", "secure", "httpOnly", "expiry")}
        browser.add_cookie({**kept, "sameSite": "None"})
    attacks(cross_site, "cross-site", True, lambda path: 403)
    passed(browser, "b: another site, and cookies made SameSite=None: they are carried, get 403, and change nothing")

    # The same requests by the page itself.
    browser.switch_to.window(victim)
    before = browser.own_session()
    check(browser.call("POST", "/refresh")["status"] == 200, "the page itself renews")
    check(browser.own_session()["renewals"] == before["renewals"] + 1, "and the counter shows it")
    check(browser.call("POST", "/logout-everywhere")["status"] == 204, "the page itself logs out")
    passed(browser, "b: control: the page's own requests work, and move the counter")


def two_tabs(browser, base):
    browser.fresh()
    browser.log_in(base)
    first = browser.current_window_handle
    second = browser.new_tab()
    browser.get(base)
    browser.await_state("in")
    tabs = (first, second)
    for tab in tabs:
        browser.switch_to.window(tab)
        browser.execute_script(
            """
            window.statuses = [];
            window.starter = new BroadcastChannel("start");
            window.both = async () => window.statuses.push((await fetch("/refresh", { method: "POST" })).status);
            window.starter.onmessage = window.both;
            """
        )
    before = browser.own_session()["renewals"]
    rounds = shared = 0
    while rounds < 8 or not shared:
        check(rounds < 100, "the two never coincided")
        rounds += 1
        browser.switch_to.window(first)
        browser.execute_script("window.starter.postMessage('go'); window.both()")
        for tab in tabs:
            browser.switch_to.window(tab)
            browser.until("the tab was answered", lambda: len(browser.execute_script("return statuses")) == rounds)
        renewals = browser.own_session()["renewals"] - before
        shared = 2 * rounds - renewals
    for tab in tabs:
        browser.switch_to.window(tab)
        statuses = browser.execute_script("return statuses")
        check(statuses == [200] * rounds, f"{statuses}")
        check(browser.call("GET", "/me")["status"] == 200 and browser.state() == "in", "a tab is logged out")
        browser.check_policy_kept()
    passed(browser, f"c: two tabs renewed at the same moment, {rounds} times; {shared} times one rotation served both; both stay logged in")


def everywhere(here, base):
    here.fresh()
    with type(here).open() as there:
        here.log_in(base, "bob")
        there.log_in(base, "bob")
        here.until("both are listed", lambda: len(here.find_elements(By.CSS_SELECTOR, "#list li")) == 2)
        here.shoot("5-sessions")

        # One of them, by its button.
        third = there
        sid = third.own_session()["sid"]
        here.find_element(By.CSS_SELECTOR, f'[data-sid="{sid}"] button').click()
        here.until("it is gone from the list", lambda: len(here.find_elements(By.CSS_SELECTOR, "#list li")) == 1)
        check(there.call("GET", "/me")["status"] == 401, "an ended session's access token works")
        there.await_notice("ended")
        check(there.cookies() == {}, "its cookies are deleted")
        passed(here, "d: a session that another profile ended from the list is dead at its next request; the page says so")

        there.log_in(base, "bob")
        cookies = there.cookies()
        here.click("everywhere")
        here.await_notice("info")
        # The next request, of whichever kind; before the page has noticed, or after.
        check(there.call("GET", "/me")["status"] == 401, "the access token works")
        check(there.call("POST", "/refresh")["status"] == 401, "the refresh token works")
        there.await_notice("ended")
        check("everywhere" in there.text("#notice"), "the page says why")
        there.shoot("6-session-ended")
        # Not even with the cookies that were deleted.
        for name in COOKIES:
            there.add_cookie({key: cookies[name][key] for key in ("name", "value", "path", "secure", "httpOnly", "sameSite")})
        check(there.call("GET", "/me")["status"] == 401, "the old access token works")
        check(there.call("POST", "/refresh")["status"] == 401, "the old refresh token works")
        there.log_in(base, "bob")
        check(there.call("GET", "/me")["status"] == 200, "a login a moment later works")
        for browser in (here, there):
            browser.check_policy_kept()
    passed(here, "d: logout everywhere in one profile ends another's session at its next request; a login after it works")


def login_over_a_session(browser, base):
    browser.fresh()
    browser.log_in(base, "bob")
    old, cookies = browser.own_session()["sid"], browser.cookies()

    def log_in(password):
        form = urllib.parse.urlencode({"username": "alice", "password": password})
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        return browser.call("POST", "/login", kind, body=form)["status"]

    check(log_in("wrong") == 401, "a wrong password is refused")
    check(browser.own_session()["sid"] == old, "a login that fails ends nothing")
    check(log_in(PEOPLE["alice"]) == 204, "a login over a session works")
    check(browser.own_session()["sid"] != old, "a login makes a new session")
    for name in COOKIES:
        browser.add_cookie({key: cookies[name][key] for key in ("name", "value", "path", "secure", "httpOnly", "sameSite")})
    check(browser.call("GET", "/me")["status"] == 401, "the access token of the session before works")
    check(browser.call("POST", "/refresh")["status"] == 401, "the refresh token of the session before works")
    passed(browser, "h: a login over a session makes a new one and ends the one before")


def bearer_api(browser, api):
    """Bearer tokens, in a page of another site than the API."""
    base = api.at("b.localhost")
    form = urllib.parse.urlencode({"username": "bob"}).encode()
    with urllib.request.urlopen(f"http://127.0.0.1:{api.plain_port}/app/login", form) as answer:
        token = json.load(answer)["access_token"]
    browser.fresh()
    browser.get(f"{api.at('a.localhost')}/")
    bearer = {"Authorization": f"Bearer {token}"}
    api.seen()
    for method in ("GET", "PUT"):
        answer = browser.call(method, f"{base}/me", bearer)
        check((answer.get("status"), answer.get("type")) == (200, "cors"), f"{method}: {answer}")
        check(json.loads(answer["body"]) == {"sub": "bob"}, f"{answer}")
        preflight, request = api.seen()
        check((preflight["method"], preflight["status"]) == ("OPTIONS", 200), f"{preflight}")
        check(not preflight["authorization"] and request["authorization"], "a preflight has no token")

    bad = {"Authorization": "Bearer " + token[:-4] + "AAAA"}
    for headers, challenge in (({}, 'Bearer realm="api"'), (bad, 'error="invalid_token"')):
        answer = browser.call("GET", f"{base}/me", headers)
        check(answer.get("status") == 401, f"{answer}")
        check(json.loads(answer["body"])["status"] == 401, f"{answer}")
        check(challenge in (answer["challenge"] or ""), f"{answer}")

    browser.get(f"{api.at('c.localhost')}/")
    answer = browser.call("GET", f"{base}/me", bearer)
    check(answer == {"error": "TypeError"}, f"an origin that is not allowed: {answer}")
    passed(browser, "e: API behind CorsLayer: Bearer token and preflight work; script reads the 401, its body and WWW-Authenticate")


def renewals(browser):
    """How often the session was renewed. Waits while the page renews an expired access token."""

    def session():
        return browser.call("GET", "/sessions")["status"] == 200 and browser.own_session()

    return browser.until("the session is listed", session)["renewals"]


def renewal_and_theft(browser, base):
    browser.fresh()
    browser.log_in(base)
    first = browser.current_window_handle
    second = browser.new_tab()
    browser.get(base)
    browser.await_state("in")
    start = renewals(browser)
    for tab in (second, first):
        browser.switch_to.window(tab)
        before = renewals(browser)
        browser.until("the page renews twice", lambda: renewals(browser) >= before + 2)
    for tab in (first, second):
        browser.switch_to.window(tab)
        check(browser.state() == "in", "a tab is logged out")
    passed(browser, f"f: two tabs renew by themselves, {browser.own_session()['renewals'] - start} times, and stay logged in")

    browser.switch_to.window(second)
    browser.close()
    browser.switch_to.window(first)
    browser.click("steal")
    browser.until("it is copied", lambda: "Copied" in browser.text("#thief-says"))
    browser.shoot("7-thief")
    stolen = renewals(browser)
    cookies = browser.cookies()
    # Two renewals make it too old, whatever the grace.
    browser.until("the page renews twice", lambda: renewals(browser) >= stolen + 2)
    browser.click("replay")
    browser.await_notice("theft")
    check(browser.state() == "out" and browser.cookies() == {}, "the session is over, its cookies deleted")
    browser.until("the log tells", lambda: browser.find_elements(By.CSS_SELECTOR, '#log [data-kind="reuse_detected"]'))
    browser.shoot("8-theft")
    browser.shoot("9-theft-dark", dark=True)
    for name in COOKIES:
        browser.add_cookie({key: cookies[name][key] for key in ("name", "value", "path", "secure", "httpOnly", "sameSite")})
    check(browser.call("POST", "/refresh")["status"] == 401, "the refresh token works")
    browser.check_policy_kept()
    passed(browser, "f: an old refresh token, replayed by a thief, ends the session; the page shows the theft")



def thief_renews_first(browser, base):
    browser.fresh()
    browser.log_in(base)
    browser.click("steal")
    browser.until("it is copied", lambda: "Copied" in browser.text("#thief-says"))
    browser.click("replay")
    browser.until("the log tells", lambda: "thief has renewed" in browser.text("#log"))
    used = browser.own_session()["used"]
    check(browser.state() == "in", "nobody can tell yet")
    # By the server's clock, in whole seconds: more than the grace of one second.
    browser.until("the grace is over", lambda: time.time() > used + 2.1)
    browser.click("renew")
    browser.await_notice("theft")
    check(browser.call("POST", "/thief/replay")["status"] == 200, "the thief tries again")
    browser.until("in vain", lambda: "got nothing" in browser.text("#log"))
    check(browser.cookies() == {}, "the victim's cookies are deleted")
    browser.check_policy_kept()
    passed(browser, "f: the thief renews first: the victim's next renewal ends the session, for the thief too")


def submit(browser, form, **fields):
    """Fills in a form by the names of its fields, and presses its first button."""
    for name, value in fields.items():
        field = browser.find_element(By.CSS_SELECTOR, f"#{form} [name={name}]")
        browser.until(f"{name} is shown", field.is_displayed)
        field.clear()
        field.send_keys(value)
    browser.find_element(By.CSS_SELECTOR, f"#{form} button").click()


def post(browser, path, **fields):
    """A form that a script of the page sends: status and body of the answer."""
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = browser.call("POST", path, kind, body=urllib.parse.urlencode(fields))
    return answer["status"], answer["body"]


def claims(browser):
    return json.loads(browser.call("GET", "/me")["body"])["claims"]


def step_up(browser, base):
    new = "a new password"
    browser.fresh()
    browser.log_in(base)
    dialog = browser.find("second-factor")
    before = browser.cookies()
    submit(browser, "change", password=new)
    browser.until("a code is asked for", dialog.is_displayed)
    browser.shoot("15-one-time-code")
    submit(browser, "step-up", code="000000")
    browser.until("it is called wrong", lambda: "wrong" in browser.text("#step-up-error"))
    browser.shoot("16-wrong-code")
    browser.click("cancel")
    browser.until("the dialog is gone", lambda: not dialog.is_displayed())
    check(browser.cookies() == before and "acr" not in claims(browser), "a wrong code gives nothing")
    status, body = post(browser, "/password", password=new)
    check(status == 401 and "insufficient_user_authentication" in body, f"{status} {body}")
    passed(browser, "step_up: without a code the password cannot be changed; a wrong code changes nothing")

    submit(browser, "change", password=new)
    browser.until("a code is asked for", dialog.is_displayed)
    submit(browser, "step-up", code=CODE)
    browser.await_notice("info")
    check("password was changed" in browser.text("#notice") and not dialog.is_displayed(), "changed")
    check(browser.state() == "in" and claims(browser)["acr"] == "mfa", "the level is in the token")
    browser.shoot("17-password-changed")
    with type(browser).open() as other:
        other.get(base)
        other.await_state("out")
        for password, status in ((PEOPLE["alice"], 401), (new, 204)):
            check(post(other, "/login", username="alice", password=password)[0] == status, "login")
        check(post(other, "/password", password=new)[0] == 401, "a new session has the level")
    passed(browser, "step_up: with the code the page repeats its request; only the new password works; a new session has no level")

    # Somebody has copied both cookies. Then the user enters a code.
    browser.click("steal")
    browser.until("it is copied", lambda: "Copied" in browser.text("#thief-says"))
    stolen = browser.cookies()
    check(post(browser, "/step-up", code=CODE)[0] == 204, "a code raises the level again")
    current = browser.cookies()
    check(all(current[name]["value"] != stolen[name]["value"] for name in COOKIES), "new cookies")
    with type(browser).open() as thief:
        thief.get(base)
        thief.await_state("out")
        for name in COOKIES:
            keys = ("name", "value", "path", "secure", "httpOnly", "sameSite")
            thief.add_cookie({key: stolen[name][key] for key in keys})
        kept = {name: cookie["value"] for name, cookie in thief.cookies().items()}
        answer = thief.call("POST", "/refresh")
        check(answer["status"] == 401, f"within the grace: {answer}")
        values = {name: cookie["value"] for name, cookie in thief.cookies().items()}
        check(values == kept, "the answer sets or deletes a cookie")
    browser.click("replay")
    browser.until("the page tells", lambda: "Refused" in browser.text("#thief-says"))
    check("session lives" in browser.text("#thief-says"), browser.text("#thief-says"))
    browser.shoot("18-copy-refused")
    check(browser.cookies() == current and claims(browser)["acr"] == "mfa", "the user notices nothing")
    check(browser.call("POST", "/refresh")["status"] == 200, "the user's own token refreshes")
    check(claims(browser)["acr"] == "mfa", "and keeps the level")
    browser.check_policy_kept()
    passed(browser, "step_up: a refresh token copied before the code is refused within the grace; the session lives")


def impersonation(browser, base):
    browser.fresh()
    browser.log_in(base, "bob")
    check(not browser.find("support").is_displayed(), "bob is not offered to act for others")
    check(post(browser, "/impersonate", customer="alice")[0] == 403, "bob acts for alice")

    def act_for_bob():
        browser.fresh()
        browser.log_in(base, "dave")
        own = claims(browser)["sid"]
        browser.shoot("24-support")
        submit(browser, "impersonate", customer="bob")
        browser.until("a code is asked for", browser.find("second-factor").is_displayed)
        submit(browser, "step-up", code=CODE)
        browser.until("dave acts for bob", browser.find("acting").is_displayed)
        said, token = browser.text("#acting p"), claims(browser)
        check("dave" in said and "Bob Example" in said, said)
        check((token["sub"], token["act"]["sub"]) == ("bob", "dave"), f"{token}")
        check("acr" not in token and token["roles"] == ["user"] and token["sid"] != own, f"{token}")

    act_for_bob()
    browser.shoot("19-acting")
    browser.shoot("20-acting-narrow", width=390)
    browser.shoot("21-acting-dark", dark=True)
    submit(browser, "change", password="a new password")
    browser.await_notice("error")
    check(not browser.find("second-factor").is_displayed(), "a code is asked for in vain")
    browser.shoot("22-not-for-support")
    refused = {
        "/password": {"password": "a new password"},
        "/step-up": {"code": CODE},
        "/impersonate": {"customer": "bob"},
        "/logout-everywhere": {},
        "/demo/role": {},
    }
    for path, fields in refused.items():
        check(post(browser, path, **fields)[0] == 403, f"{path} works")
    passed(browser, "impersonation: the page shows both names; password, step-up and another impersonation get 403")

    browser.click("stop")
    browser.await_state("out")
    check("no longer act for bob" in browser.text("#notice"), browser.text("#notice"))
    check(browser.cookies() == {} and not browser.find("acting").is_displayed(), "it is over")
    browser.log_in(base, "dave")
    for customer in ("alice", "dave", "nobody"):
        check(post(browser, "/step-up", code=CODE)[0] == 204, "a code")
        check(post(browser, "/impersonate", customer=customer)[0] == 403, f"dave acts for {customer}")
    check(claims(browser)["sub"] == "dave", "dave is still logged in")
    passed(browser, "impersonation: ends by its button; nobody acts for an admin, support or a stranger")

    act_for_bob()
    browser.click("block")
    browser.until("dave is blocked", lambda: browser.find("block").get_attribute("aria-pressed") == "true")
    check(browser.call("GET", "/me")["status"] == 200, "the access token works until it expires")
    browser.click("renew")
    browser.await_notice("ended")
    check("dave was blocked" in browser.text("#notice"), browser.text("#notice"))
    check(browser.state() == "out" and browser.cookies() == {}, "it is over")
    browser.shoot("23-actor-blocked")
    browser.fill_in("dave", PEOPLE["dave"])
    browser.until("dave cannot log in", lambda: "blocked" in browser.text("#login-error"))
    browser.click("block")
    browser.until("the block is lifted", lambda: browser.find("block").get_attribute("aria-pressed") == "false")
    browser.log_in(base, "dave")
    browser.check_policy_kept()
    passed(browser, "impersonation: a block of the actor ends it at its next refresh; the page says so")


def looks(browser, base):
    browser.fresh()
    browser.get(base)
    browser.await_state("out")
    browser.shoot("10-logged-out-narrow", width=390)
    browser.log_in(base)
    browser.shoot("11-logged-in-dark", dark=True)
    browser.shoot("12-logged-in-narrow", width=390)
    metrics = {"width": 320, "height": 700, "deviceScaleFactor": 1, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    check(browser.overflow() <= 0, "320 pixels are not wide enough")
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    # What has no name is not there for who cannot see it.
    nameless = browser.execute_script(
        """
        return [...document.querySelectorAll("input, button, progress")]
            .filter((each) => !each.labels?.length && !each.textContent.trim() && !each.getAttribute("aria-label"))
            .map((each) => each.outerHTML)
        """
    )
    check(nameless == [], f"{nameless}")
    browser.check_policy_kept()
    passed(browser, "page: fits 320 pixels; every control has a name")


def policy(browser, base, port):
    browser.fresh()
    with urllib.request.urlopen(base) as page:
        served = page.headers["Content-Security-Policy"]
    for directive in (
        "default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'", "form-action 'self'",
        "base-uri 'none'", "frame-ancestors 'none'",
    ):
        check(directive in served.split("; "), directive)
    check("unsafe" not in served, served)

    browser.get(f"http://127.0.0.1:{port}/injected/{base}/")
    browser.until("the markup is there", lambda: browser.find("link"))
    for id in ("handler", "link"):
        browser.execute_script("document.getElementById(arguments[0]).click()", id)

    def blocked():
        return {violation.split()[0] for violation in browser.execute_script("return violations")}

    wanted = {"script-src-elem", "script-src-attr", "style-src-attr", "base-uri"}
    browser.until(f"violations {wanted}", lambda: wanted <= blocked())
    check(browser.execute_script("return window.pwned ?? null") is None, "injected script ran")
    style = browser.execute_script("return getComputedStyle(document.getElementById('styled')).position")
    check(style == "static", "injected style counts")

    browser.get_log("browser")
    browser.get(base)
    browser.await_state("out")
    browser.check_policy_kept()
    refused = browser.execute_script(
        """
        try { document.body.insertAdjacentHTML("beforeend", "<b>x</b>"); return null } catch (error) { return error.name }
        """
    )
    check(refused == "TypeError", "a string became markup")

    # Nobody frames it.
    browser.get(f"http://127.0.0.1:{port}/")
    browser.execute_script(
        "const frame = document.createElement('iframe'); frame.src = arguments[0]; document.body.append(frame)", f"{base}/"
    )
    browser.until(
        "the console tells that framing is refused",
        lambda: any("frame-ancestors" in entry["message"] for entry in browser.get_log("browser")),
    )
    passed(browser, "g: the policy is in force: injected script, handler, link, style and base do nothing; no framing; no strings as markup")


def cases_of(stack, port):
    """The cases by their names. The servers that they need end with `stack`."""
    @functools.cache
    def web_login(access="600", grace="10"):
        """Its address. The page renews nothing within 600 seconds. The grace is in seconds too."""
        lives = {"ACCESS_SECONDS": access, "GRACE_SECONDS": grace}
        return first_line(start(stack, [WEB_LOGIN], PORT="0", **lives))[1]

    @functools.cache
    def service(cookies):
        return SessionApi(stack, API, WORK, cookies, "a.localhost", "app.x.localhost")

    return {
        "states": lambda browser: states(browser, web_login()),
        "a": lambda browser: cookies_out_of_reach(browser, web_login()),
        "b": lambda browser: other_sites(browser, web_login(), port),
        "c": lambda browser: two_tabs(browser, web_login()),
        "d": lambda browser: everywhere(browser, web_login()),
        "e": lambda browser: bearer_api(browser, service("partitioned")),
        "f": lambda browser: renewal_and_theft(browser, web_login(access="5", grace="1")),
        "f2": lambda browser: thief_renews_first(browser, web_login(grace="1")),
        "g": lambda browser: policy(browser, web_login(), port),
        "h": lambda browser: login_over_a_session(browser, web_login()),
        # Its password changes, so it has a server of its own.
        "step_up": lambda browser: step_up(browser, web_login(grace="60")),
        "impersonation": lambda browser: impersonation(browser, web_login()),
        "bound": lambda browser: bound_refresh_token(browser, web_login(access="5", grace="1")),
        "bound2": lambda browser: bound_tokens(browser, web_login(access="5", grace="1")),
        "looks": lambda browser: looks(browser, web_login()),
        "sites": lambda browser: two_sites(browser, service("partitioned"), service("own")),
        "blocked": lambda browser: blocked_cookies(browser, service("cross-site")),
        "subdomains": lambda browser: subdomains(browser, service("own")),
        "domain": lambda browser: move_to_domain(
            browser, service("host-only"), service("domain=x.localhost")
        ),
        "pages": lambda browser: server_pages(browser, service("own")),
    }


# They read Chromium's traffic, or change how it shows pages.
CHROMIUM_ONLY = ["b", "g", "looks"]
# In a Chromium that blocks cookies of other sites.
STRICT = ["sites", "blocked"]
BROWSERS = [
    (Chromium.open, lambda case: case != "blocked"),
    (lambda: Chromium.open(blocks_other_sites=True), lambda case: case in STRICT),
    (Firefox.open, lambda case: case not in [*CHROMIUM_ONLY, "blocked"]),
]


def main():
    for number in (signal.SIGTERM, signal.SIGALRM):
        signal.signal(number, lambda *_: sys.exit("stopped"))
    # Whatever hangs: the servers and browsers end with this.
    signal.alarm(900)
    Browser.pictures = WORK
    wanted = sys.argv[4:]
    with elsewhere() as port:
        for open_browser, has in BROWSERS:
            if wanted and not any(has(name) for name in wanted):
                continue
            # Each browser has servers of its own, so no case finds sessions of another browser.
            with contextlib.ExitStack() as stack:
                cases = cases_of(stack, port)
                browser = stack.enter_context(open_browser())
                for name in wanted or cases:
                    if has(name):
                        cases[name](browser)
    took = time.monotonic() - START
    print(f"all browser cases passed in {took:.0f} s; pictures in {WORK}", flush=True)


main()
