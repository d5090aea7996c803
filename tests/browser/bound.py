"""Cases of sessions that are bound to a key of the browser (RFC 9449), in web_login.

The thief is another profile, and curl: both have copies of the cookies, but not the key.
"""

import json
import subprocess
import time

from selenium.webdriver.common.by import By

from browsers import check, passed

ACCESS, REFRESH = "__Host-access", "__Host-refresh"

# What `web_login` is started with, and the leeway of its layer, in seconds.
LIFETIME, LEEWAY = 5, 30

# A script of the page that has a copy of the tokens, but another key: what a thief can do.
WITH_OWN_KEY = """
const [method, path, token, done] = arguments;
(async () => {
    const { newKey, proof } = await import("/key.js");
    const key = await newKey();
    const send = async (nonce) => {
        const headers = { DPoP: await proof(key, { method, path, nonce, accessToken: token ?? undefined }) };
        if (token) headers.Authorization = `DPoP ${token}`;
        return fetch(path, { method, headers, cache: "no-store" });
    };
    let answer = await send();
    if (answer.headers.has("DPoP-Nonce")) answer = await send(answer.headers.get("DPoP-Nonce"));
    return { status: answer.status, body: await answer.text() };
})().then(done, (error) => done({ error: String(error) }));
"""

# The owner's page, by the stored key: the answer to a refresh.
REFRESH_AS_OWNER = """
const [done] = arguments;
(async () => {
    const { proof, storedKey } = await import("/key.js");
    const key = await storedKey();
    const [method, path] = ["POST", "/refresh"];
    const send = async (nonce) =>
        fetch(path, { method, headers: { DPoP: await proof(key, { method, path, nonce }) } });
    let answer = await send();
    if (answer.status === 400) answer = await send(answer.headers.get("DPoP-Nonce"));
    return { status: answer.status, body: await answer.text() };
})().then(done, (error) => done({ error: String(error) }));
"""

# Whether a script can take the key away: each format of the private key.
EXPORT = """
const [done] = arguments;
(async () => {
    const { storedKey } = await import("/key.js");
    const { privateKey } = await storedKey();
    const tried = ["jwk", "pkcs8", "raw"].map((format) =>
        crypto.subtle.exportKey(format, privateKey).then(() => "exported", (error) => error.name));
    return [privateKey.extractable, JSON.stringify(privateKey), ...await Promise.all(tried)];
})().then(done, (error) => done(String(error)));
"""


def curl(base, path, *options):
    """Status and body of a POST by curl."""
    command = ["curl", "-sS", "-X", "POST", "-w", "\n%{http_code}", *options, base + path]
    printed = subprocess.run(command, check=True, capture_output=True, text=True, timeout=30).stdout
    body, status = printed.rsplit("\n", 1)
    return int(status), body


def steal(browser, thief, base):
    """Copies the cookies of the browser into another profile."""
    thief.fresh()
    thief.get(base)
    thief.await_state("out")
    cookies = browser.cookies()
    for cookie in cookies.values():
        kept = ("name", "value", "path", "secure", "httpOnly", "sameSite")
        thief.add_cookie({key: cookie[key] for key in kept})
    return {name: cookie["value"] for name, cookie in cookies.items()}


def renewals(browser):
    """How often the session was renewed, as the page lists it. `None` if it is not listed yet."""
    text = browser.execute_script(
        "return document.querySelector('#list li:has(.badge) small')?.textContent ?? ''"
    )
    times = text.partition("renewed ")[2].removesuffix(" times")
    return {"": None, "yet": 0, "once": 1}.get(times) if not times.isdigit() else int(times)


def await_renewals(browser, count):
    """Waits until the owner's page has renewed its session so often."""
    browser.until("the session is listed", lambda: renewals(browser) is not None)
    began = renewals(browser)
    browser.until("the owner's page renews", lambda: (renewals(browser) or 0) >= began + count)


def thefts(browser):
    """In the log of the server, which other cases use too."""
    return len(browser.find_elements(By.CSS_SELECTOR, '#log [data-kind="reuse_detected"]'))


def refused_by_curl(base, token):
    """The refresh token, in each way in which curl can send it."""
    site = ("-H", "Sec-Fetch-Site: same-origin")
    as_json = ("-H", "Content-Type: application/json", "-d", json.dumps({"refresh_token": token}))
    ways = (
        ("-H", f"Cookie: {REFRESH}={token}", *site),
        as_json,
        ("-d", f"grant_type=refresh_token&refresh_token={token}"),
    )
    for way in ways:
        for proof in ((), ("-H", "DPoP: x.y.z")):
            status, body = curl(base, "/refresh", *way, *proof)
            check(status == 400 and "invalid_dpop_proof" in body, f"{way}: {status} {body}")


def bound_refresh_token(browser, base):
    browser.fresh()
    browser.log_in(base, binding="refresh")
    check(set(browser.cookies()) == {ACCESS, REFRESH}, "both cookies")
    before = thefts(browser)
    extractable, shown, *tried = browser.execute_async_script(EXPORT)
    check(extractable is False and shown == "{}" and "exported" not in tried, f"{tried}")
    passed(browser, f"bound: the key is in IndexedDB, and cannot be exported: {set(tried)}")

    with type(browser).open() as thief:
        stolen = steal(browser, thief, base)
        copied = time.monotonic()
        answer = thief.call("POST", "/refresh")
        check(answer["status"] == 400 and "invalid_dpop_proof" in answer["body"], f"{answer}")
        answer = thief.execute_async_script(WITH_OWN_KEY, "POST", "/refresh", None)
        check(answer["status"] == 401 and "invalid_grant" in answer["body"], f"{answer}")
        values = {name: cookie["value"] for name, cookie in thief.cookies().items()}
        check(values == stolen, "an answer sets or deletes a cookie")
        refused_by_curl(base, stolen[REFRESH])
        passed(browser, "bound: the refresh cookie copied to another profile and to curl is refused, with and without a key of the thief")

        # The access cookie is not bound. The page of the thief sees who is logged in, for its life.
        check(thief.call("GET", "/me")["status"] == 200, "an unbound access token")
        await_renewals(browser, 2)
        refused_by_curl(base, stolen[REFRESH])
        thief.until(
            "the access cookie dies", lambda: thief.call("GET", "/me")["status"] == 401, LIFETIME + LEEWAY + 5
        )
        lived = time.monotonic() - copied
        check(thief.call("POST", "/refresh")["status"] == 400, "and there is no other")
        thief.get(base)
        thief.await_state("out")
        passed(browser, f"bound: the copied access cookie is dead {lived:.0f} s later: {LIFETIME} s and {LEEWAY} s of leeway")

    check(browser.state() == "in" and browser.notice() is None, "the owner goes on")
    check(thefts(browser) == before, "nothing of the thief counts as reuse")
    browser.click("steal")
    browser.until("it is copied", lambda: "Copied" in browser.text("#thief-says"))
    browser.click("replay")
    browser.until("the page tells", lambda: "bound to a key" in browser.text("#thief-says"))
    browser.shoot("25-bound")
    await_renewals(browser, 1)
    began = renewals(browser)

    # Another tab, and a page that is opened again, have the same key.
    second = browser.new_tab()
    browser.get(base)
    browser.await_state("in")
    browser.click("renew")
    browser.until("renewed", lambda: (renewals(browser) or 0) > began + 1)
    browser.close()
    browser.switch_to.window(browser.window_handles[0])
    check(second not in browser.window_handles and browser.state() == "in", "one tab is left")
    browser.click("logout")
    browser.await_state("out")
    check(browser.cookies() == {}, "logged out")
    browser.check_policy_kept()
    passed(browser, "bound: the owner goes on, in two tabs, and logs out")


def bound_tokens(browser, base):
    browser.fresh()
    browser.log_in(base, binding="both")
    check(set(browser.cookies()) == {REFRESH}, f"the access token is in a cookie: {browser.cookies()}")
    check(browser.call("GET", "/me")["status"] == 401, "no request without a proof")
    await_renewals(browser, 2)
    browser.get(base)
    browser.await_state("in")
    check(set(browser.cookies()) == {REFRESH}, "the access token is in a cookie")

    # As if a script had carried the access token away.
    answer = browser.execute_async_script(REFRESH_AS_OWNER)
    check(answer["status"] == 200, f"{answer}")
    issued = json.loads(answer["body"])
    check(issued["token_type"] == "DPoP" and set(issued) == {"access_token", "token_type", "expires_in"}, f"{set(issued)}")
    token = issued["access_token"]
    for scheme in ("Bearer", "DPoP"):
        options = ("-X", "GET", "-H", f"Authorization: {scheme} {token}")
        check(curl(base, "/me", *options)[0] == 401, f"{scheme} without a proof")
    check(curl(base, "/me", "-X", "GET", "-H", f"Cookie: {ACCESS}={token}")[0] == 401, "in a cookie")
    with type(browser).open() as thief:
        stolen = steal(browser, thief, base)
        answer = thief.execute_async_script(WITH_OWN_KEY, "GET", "/me", token)
        check(answer["status"] == 401, f"a key of the thief: {answer}")
        check(thief.call("POST", "/refresh")["status"] == 400, "the refresh token works")
        refused_by_curl(base, stolen[REFRESH])
    passed(browser, "bound2: no cookie has the access token; a copy is refused without the key, in every way")

    # A second factor and an impersonation return tokens for the script, too.
    browser.click("logout")
    browser.await_state("out")
    browser.log_in(base, "dave", binding="both")
    browser.find_element(By.CSS_SELECTOR, "#impersonate [name=customer]").send_keys("bob")
    browser.find_element(By.CSS_SELECTOR, "#impersonate button").click()
    browser.until("a code is asked for", browser.find("second-factor").is_displayed)
    browser.find_element(By.CSS_SELECTOR, "#step-up [name=code]").send_keys("123456")
    browser.find_element(By.CSS_SELECTOR, "#step-up button").click()
    browser.until("dave acts for bob", browser.find("acting").is_displayed)
    check(set(browser.cookies()) == {REFRESH}, "the access token is in a cookie")
    await_renewals(browser, 1)
    browser.click("stop")
    browser.await_state("out")
    browser.check_policy_kept()
    passed(browser, "bound2: a second factor and an impersonation keep the key")
