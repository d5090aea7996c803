"""Cases of pages and APIs on two sites, on two subdomains, and of pages that the server renders.

`session_api` answers to every host name below `localhost`. Browsers know no site above such a name:
`a.localhost` and `b.localhost` are two sites, and `app.x.localhost` and `api.x.localhost` are one.
"""

from selenium.webdriver.common.by import By

from browsers import check, passed

COOKIES = ["__Host-access", "__Host-refresh"]


def seen(api, path, method="POST"):
    """The last request to this path, as the server saw it."""
    fits = [
        request for request in api.seen()
        if (request["path"], request["method"]) == (path, method)
    ]
    check(fits, f"the server saw no {method} {path}")
    return fits[-1]


def press(browser, button, *answers):
    """Presses a button of the page, and compares the statuses that its script then notes."""
    before = len(browser.find_elements(By.CSS_SELECTOR, "#log li"))
    browser.click(button)

    def noted():
        return [line.text for line in browser.find_elements(By.CSS_SELECTOR, "#log li")[before:]]

    def done():
        return noted() == list(answers) and browser.find(button).is_enabled()

    browser.until(f"{button}: {answers}", done)


def single_page_app(browser, api, page, host, site):
    """Login, a change, refreshes and an outage, by the buttons of a page of another origin."""
    page, base = api.at(page), api.at(host)
    browser.get(f"{page}/#{base}")
    browser.await_state("out")
    api.seen()
    press(browser, "login", "POST /login 204", "GET /me 200")
    request = seen(api, "/me", "GET")
    check((request["origin"], request["site"]) == (page, site), f"{request}")
    check(request["cookies"] == COOKIES and request["version"] == "HTTP/2.0", f"{request}")
    press(browser, "save", "POST /me 200", "GET /me 200")
    press(browser, "refresh", "POST /refresh 200", "GET /me 200")
    check(api.counters() == [1], "refreshed once")

    # The access token expires: the script refreshes and repeats its request.
    api.advance(400)
    press(browser, "save", "POST /refresh 200", "POST /me 200", "GET /me 200")
    check(api.counters() == [2], "refreshed once more")

    api.store("fail")
    press(browser, "refresh", "POST /refresh 503", "GET /me 503")
    press(browser, "logout", "POST /logout 503", "GET /me 503")
    api.store("recover")
    press(browser, "refresh", "POST /refresh 200", "GET /me 200")
    check(api.counters() == [3], "an outage ends no session")
    browser.shoot(f"13-{site}")

    answer = browser.call("GET", f"{base}/me", credentials="omit")
    check((answer["status"], answer["challenge"]) == (401, 'Bearer realm="api"'), f"{answer}")


def log_out(browser, api):
    press(browser, "logout", "POST /logout 204", "POST /refresh 401", "GET /me 401")
    check(browser.state() == "out" and api.counters() == [], "logged out")
    request = seen(api, "/refresh")
    check(request["cookies"] == [], f"both cookies are deleted: {request}")


def attacks(browser, api, origin, host, site, with_cookies=()):
    """Requests from a page that is not trusted, by forms and by scripts.

    `with_cookies`: the ways in which the browser sends the cookies.
    """
    base, before = api.at(host), api.counters()
    for path in ("/refresh", "/me", "/logout", "/login"):
        for way in ("form", "fetch"):
            cookies = COOKIES if way in with_cookies else []
            wanted = 401 if not cookies and path in ("/refresh", "/me") else 403
            browser.get(f"{origin}/")
            api.seen()
            if way == "form":
                browser.submit_form(base + path, {"username": "mallory"})
                browser.until("the answer is shown", lambda: browser.shows(base + path))
            else:
                options = {"mode": "no-cors", "credentials": "include"}
                browser.call("POST", base + path, **options)
            found = []

            def arrived():
                found.extend(request for request in api.seen() if request["path"] == path)
                return found

            browser.until(f"{way} to {path} arrives", arrived)
            request, what = found[0], f"{way} to {path} from {origin}"
            check((request["site"], request["status"]) == (site, wanted), f"{what}: {request}")
            check(request["cookies"] == cookies, f"{what}: {request}")
    browser.get(f"{origin}/")
    for method, path in (("GET", "/me"), ("POST", "/refresh")):
        answer = browser.call(method, base + path, credentials="include")
        check(answer == {"error": "TypeError"}, f"{method} {path} from {origin}: {answer}")
    check(api.counters() == before, f"from {origin}: a session changed")


def two_sites(browser, api, other):
    """`other` is a second server: the same site at another port."""
    browser.fresh()
    single_page_app(browser, api, "a.localhost", "b.localhost", "cross-site")
    # A form opens a page of the API's own site, which has no cookies.
    attacks(browser, api, other.at("a.localhost"), "b.localhost", "cross-site", ["fetch"])
    attacks(browser, api, api.at("c.localhost"), "b.localhost", "cross-site")
    browser.get(f"{api.at('b.localhost')}/")
    check(browser.cookies() == {}, "the cookies belong to the page's site alone")
    browser.get(f"{api.at('a.localhost')}/#{api.at('b.localhost')}")
    browser.await_state("in")
    log_out(browser, api)
    passed(browser, "two sites: partitioned cookies serve the trusted page; other origins get 403")


def blocked_cookies(browser, api):
    """In a browser that blocks cookies of other sites, those that are not partitioned are lost."""
    browser.fresh()
    browser.get(f"{api.at('a.localhost')}/#{api.at('b.localhost')}")
    browser.await_state("out")
    api.seen()
    press(browser, "login", "POST /login 204", "POST /refresh 401", "GET /me 401")
    check(seen(api, "/me", "GET")["cookies"] == [], "blocked")
    passed(browser, "two sites: control: the same cookies without Partitioned are blocked")


def subdomains(browser, api):
    browser.fresh()
    single_page_app(browser, api, "app.x.localhost", "api.x.localhost", "same-site")
    evil = api.at("evil.x.localhost")
    attacks(browser, api, evil, "api.x.localhost", "same-site", ["form", "fetch"])
    attacks(browser, api, api.at("c.localhost"), "api.x.localhost", "cross-site")
    browser.get(f"{api.at('api.x.localhost')}/")
    cookies = browser.cookies()
    of_api = {name: (cookie["sameSite"], cookie["domain"]) for name, cookie in cookies.items()}
    wanted = [("Lax", "api.x.localhost"), ("Strict", "api.x.localhost")]
    check(of_api == dict(zip(COOKIES, wanted)), f"{of_api}")
    browser.get(f"{api.at('app.x.localhost')}/#{api.at('api.x.localhost')}")
    browser.await_state("in")
    log_out(browser, api)
    passed(browser, "two subdomains: Lax and Strict cookies serve the trusted page; others get 403")


def move_to_domain(browser, before, after):
    """`before` sets cookies without `Domain`, and `after` cookies of the same names with one."""
    names = ["__Secure-access", "__Secure-refresh"]
    browser.fresh()

    def open_page(api, *answers):
        browser.get(f"{api.at('app.x.localhost')}/#{api.at('api.x.localhost')}")
        browser.until("it asked", lambda: browser.state() == "out")
        noted = [line.text for line in browser.find_elements(By.CSS_SELECTOR, "#log li")]
        check(noted == list(answers), f"{noted}")
        api.seen()

    open_page(before, "POST /refresh 401", "GET /me 401")
    press(browser, "login", "POST /login 204", "GET /me 200")
    # The server does not know the old cookies, and the login deletes them.
    open_page(after, "POST /refresh 401", "GET /me 401")
    press(browser, "login", "POST /login 204", "GET /me 200")
    check(seen(after, "/me", "GET")["cookies"] == names, "one cookie of each name")
    check(sorted(browser.cookies()) == names, "every host of the domain has them")
    press(browser, "refresh", "POST /refresh 200", "GET /me 200")

    # The old service again, on a server that was not updated yet.
    open_page(before, "POST /refresh 401", "GET /me 401")
    press(browser, "login", "POST /login 204", "GET /me 400")
    open_page(after, "GET /me 400")
    press(browser, "refresh", "POST /refresh 400", "GET /me 400")
    check(seen(after, "/me", "GET")["cookies"] == 2 * names, "two cookies of each name")
    press(browser, "login", "POST /login 204", "GET /me 200")
    check(seen(after, "/me", "GET")["cookies"] == names, "one cookie of each name")
    press(browser, "logout", "POST /logout 204", "POST /refresh 401", "GET /me 401")
    check(browser.cookies() == {}, "both are deleted")
    passed(browser, "two subdomains: two cookies of one name get 400, and a login deletes the old")


def server_pages(browser, api):
    base = api.at("localhost")
    browser.fresh()
    browser.get(f"{base}/#{base}")
    browser.await_state("out")
    press(browser, "login", "POST /login 204", "GET /me 200")
    users = """
        return [...document.querySelectorAll("iframe")]
            .map((frame) => frame.contentDocument.getElementById("user")?.textContent)
    """

    def ten_pages(what):
        """All ten are in flight before the refresh goes on."""
        before = api.counters()
        api.hold(10)
        api.seen()
        browser.get(f"{base}/frames")
        browser.until(f"{what}: ten pages", lambda: browser.execute_script(users) == ["alice"] * 10)
        pages = [request for request in api.seen() if request["path"].startswith("/pages/")]
        check([request["status"] for request in pages] == [200] * 10, f"{pages}")
        check(api.counters() == [before[0] + 1], f"{what}: {before}, {api.counters()}")
        return pages

    api.advance(400)
    answers = [browser.call("GET", f"/pages/{number}")["status"] for number in range(3)]
    check(answers == [401] * 3, f"a script's request is no navigation: {answers}")
    pages = ten_pages("expired")
    check(all(request["cookies"] == COOKIES for request in pages), f"{pages}")
    browser.shoot("14-ten-pages")
    browser.delete_cookie("__Host-access")
    pages = ten_pages("missing")
    check(all(request["cookies"] == COOKIES[1:] for request in pages), f"{pages}")
    passed(browser, "server-rendered: ten frames without a live access cookie: one rotation")

    api.advance(400)
    first, before = browser.current_window_handle, api.counters()
    # Tabs open one by one, and a page waits for 5 seconds at most.
    api.hold(3)
    browser.execute_script("for (let i = 1; i <= 10; i++) window.open(`/pages/${i}`)")
    browser.until("ten tabs", lambda: len(browser.window_handles) == 11)
    for tab in browser.window_handles:
        if tab != first:
            browser.switch_to.window(tab)
            user = "return document.getElementById('user')?.textContent"
            browser.until("a page", lambda: browser.execute_script(user) == "alice")
    check(api.counters() == [before[0] + 1], f"tabs: {before}, {api.counters()}")
    # The browser has the last refresh token: after the grace any other one is reuse.
    api.advance(11)
    check(browser.call("POST", "/refresh")["status"] == 200, "still logged in")
    check(browser.call("GET", "/me")["status"] == 200, "still logged in")
    check(browser.call("POST", "/logout")["status"] == 204, "logs out")
    check(browser.cookies() == {}, "logged out")
    passed(browser, "server-rendered: ten tabs at once, one rotation, and nobody is logged out")
