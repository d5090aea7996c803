"""Chromium and Firefox, with what the cases need of them."""

import base64
import contextlib
import json
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from marionette import Marionette

PATIENCE = 30

PEOPLE = {
    "alice": "correct horse",
    "bob": "battery staple",
    "carol": "paper clip",
    "dave": "rubber stamp",
}

START = time.monotonic()


def check(condition, what):
    if not condition:
        raise AssertionError(what)


def passed(browser, what):
    print(f"ok {time.monotonic() - START:4.0f} s  {type(browser).__name__}: {what}", flush=True)


# From the first script on, in each page.
WATCH_POLICY = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) =>
    window.violations.push(`${event.effectiveDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`));
"""


class Browser(webdriver.Remote):
    """What both have in common."""

    # Where the pictures go, and what their names begin with.
    pictures = None
    prefix = ""

    def fresh(self):
        """As if it had just been opened: one tab, no cookies, nothing said so far."""
        first, *others = self.window_handles
        for tab in others:
            self.switch_to.window(tab)
            self.close()
        self.switch_to.window(first)
        self.get("about:blank")
        self.forget_cookies()

    def watch_policy(self):
        """Lists violations of the policy of each page, in `window.violations`."""

    def check_policy_kept(self):
        """Nothing that the page does offends its own Content-Security-Policy."""

    def new_tab(self):
        self.switch_to.new_window("tab")
        self.watch_policy()
        return self.current_window_handle

    def until(self, what, condition, patience=PATIENCE):
        def attempt(_):
            return condition()

        try:
            return WebDriverWait(self, patience, poll_frequency=0.05).until(attempt)
        except Exception as error:
            self.shoot("failed")
            raise AssertionError(f"never: {what}; the page says {self.text('body')!r}") from error

    def save(self, name, picture):
        (self.pictures / f"{self.prefix}{name}.png").write_bytes(base64.b64decode(picture))

    def find(self, id):
        return self.find_element(By.ID, id)

    def text(self, css):
        return self.find_element(By.CSS_SELECTOR, css).text

    def click(self, id):
        self.until(f"{id} can be clicked", lambda: self.find(id).is_displayed() and self.find(id).is_enabled())
        self.find(id).click()

    def state(self):
        return self.execute_script("return document.body.dataset.state")

    def notice(self):
        return self.execute_script("return document.getElementById('notice').dataset.kind ?? null")

    def await_state(self, state):
        self.until(f"state {state}", lambda: self.state() == state)

    def await_notice(self, kind):
        self.until(f"notice {kind}", lambda: self.notice() == kind)

    def fill_in(self, name, password, binding="none"):
        self.execute_script("document.getElementById('binding').value = arguments[0]", binding)
        for id, value in (("username", name), ("password", password)):
            self.find(id).clear()
            self.find(id).send_keys(value)
        self.find_element(By.CSS_SELECTOR, "#login .primary").click()

    def log_in(self, base, name="alice", binding="none"):
        self.get(base)
        self.await_state("out")
        self.fill_in(name, PEOPLE[name], binding)
        self.await_state("in")
        self.until("the session is listed", lambda: self.find_elements(By.CSS_SELECTOR, "#list .badge"))

    def call(self, method, url, headers=None, **options):
        """A fetch by a script of the page: status, body and a header of the answer; or the error that the script gets."""
        return self.execute_async_script(
            """
            const [method, url, headers, options, done] = arguments;
            fetch(url, { method, headers, cache: "no-store", ...options }).then(
                async (response) => done({
                    status: response.status,
                    type: response.type,
                    body: await response.text(),
                    challenge: response.headers.get("WWW-Authenticate"),
                }),
                (error) => done({ error: error.name }),
            );
            """,
            method, url, headers or {}, options,
        )

    def submit_form(self, url, data):
        self.execute_script(
            """
            const form = document.createElement("form");
            form.method = "POST";
            form.action = arguments[0];
            for (const [name, value] of Object.entries(arguments[1])) {
                const input = document.createElement("input");
                input.name = name;
                input.value = value;
                form.append(input);
            }
            document.body.append(form);
            form.submit();
            """,
            url, data,
        )

    def shows(self, url):
        state = self.execute_script("return [location.href, document.readyState]")
        return state == [url, "complete"]

    def own_session(self):
        """The session of this page, as the server lists it."""
        answer = self.call("GET", "/sessions")
        check(answer.get("status") == 200, f"/sessions: {answer}")
        return next(session for session in json.loads(answer["body"]) if session["current"])

    def cookies(self):
        return {cookie["name"]: cookie for cookie in self.get_cookies()}

    def overflow(self):
        return self.execute_script("return document.documentElement.scrollWidth - document.documentElement.clientWidth")


class Chromium(Browser, webdriver.Chrome):
    @staticmethod
    @contextlib.contextmanager
    def open(blocks_other_sites=False):
        """`blocks_other_sites`: their cookies, unless they are partitioned."""
        profile = tempfile.mkdtemp(prefix="browser-")
        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium")
        options.accept_insecure_certs = True
        for argument in (
            "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
            "--disable-component-update --disable-sync --disable-dev-shm-usage --window-size=1200,900"
        ).split():
            options.add_argument(argument)
        options.add_argument(f"--user-data-dir={profile}")
        # Debian's blocks them by default. Most cases must hold in browsers that do not.
        prefs = {
            "profile.block_third_party_cookies": blocks_other_sites,
            "profile.cookie_controls_mode": int(blocks_other_sites),
        }
        options.add_experimental_option("prefs", prefs)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        browser = Chromium(options=options, service=Service(shutil.which("chromedriver")))
        try:
            browser.set_script_timeout(PATIENCE)
            browser.watch_policy()
            yield browser
        finally:
            browser.quit()
            shutil.rmtree(profile, ignore_errors=True)

    def watch_policy(self):
        self.execute_cdp_cmd("Page.enable", {})
        self.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": WATCH_POLICY})

    def fresh(self):
        super().fresh()
        self.get_log("browser")
        self.forget_traffic()

    def forget_cookies(self):
        self.execute_cdp_cmd("Network.clearBrowserCookies", {})

    def forget_traffic(self):
        self.requests = {}
        self.get_log("performance")

    def traffic(self):
        """What went over the wire since it was forgotten, by request: what the browser's page may not see too."""
        requests = self.requests
        for entry in self.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            params = message["params"]
            match message["method"]:
                case "Network.requestWillBeSent":
                    record = requests.setdefault(params["requestId"], {})
                    record.update(
                        url=params["request"]["url"],
                        method=params["request"]["method"],
                        preflight=params["initiator"]["type"] == "preflight",
                    )
                case "Network.requestWillBeSentExtraInfo":
                    headers = {name.lower(): value for name, value in params["headers"].items()}
                    requests.setdefault(params["requestId"], {})["sent"] = headers
                case "Network.responseReceivedExtraInfo":
                    headers = {name.lower(): value for name, value in params["headers"].items()}
                    requests.setdefault(params["requestId"], {}).update(status=params["statusCode"], received=headers)
        return list(requests.values())

    def await_answer(self, url, method="POST"):
        """The request to `url`, once it was answered."""
        def answered():
            fits = [r for r in self.traffic() if r.get("url") == url and r.get("method") == method]
            return next((r for r in fits if "status" in r and "sent" in r), None)

        return self.until(f"{method} {url} is answered", answered)

    def shoot(self, name, width=None, dark=False):
        """The whole page, as a picture."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
        if width:
            metrics = {"width": width, "height": 844, "deviceScaleFactor": 2, "mobile": True}
            self.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        picture = self.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True, "format": "png"})
        self.save(name, picture["data"])
        self.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        self.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})

    def check_policy_kept(self):
        """Nothing that the page does offends its own Content-Security-Policy."""
        violations = self.execute_script("return window.violations")
        check(violations == [], f"violations: {violations}")
        said = [entry["message"] for entry in self.get_log("browser")]
        check(not [text for text in said if "Content Security Policy" in text], f"console: {said}")


class Firefox(Browser):
    prefix = "firefox-"

    @staticmethod
    @contextlib.contextmanager
    def open():
        profile = Path(tempfile.mkdtemp(prefix="browser-"))
        # Any free port, which Firefox then writes to a file.
        (profile / "user.js").write_text('user_pref("marionette.port", 0);\n')
        command = ["firefox-esr", "--headless", "--no-remote", "--width=1200", "--height=900"]
        # `forget_cookies` needs access to the browser itself.
        command += ["--marionette", "--remote-allow-system-access", "--profile", str(profile)]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            port = Firefox.port(process, profile / "MarionetteActivePort")
            options = webdriver.FirefoxOptions()
            options.accept_insecure_certs = True
            connection = Marionette(port)
            try:
                browser = Firefox(command_executor=connection, options=options)
                browser.set_script_timeout(PATIENCE)
                yield browser
            finally:
                connection.close()
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            shutil.rmtree(profile, ignore_errors=True)

    @staticmethod
    def port(process, file):
        until = time.monotonic() + PATIENCE
        while not (file.exists() and file.read_text().strip()):
            check(process.poll() is None and time.monotonic() < until, "Firefox does not start")
            time.sleep(0.05)
        return int(file.read_text())

    def forget_cookies(self):
        connection = self.command_executor
        connection.send("Marionette:SetContext", {"value": "chrome"})
        connection.send("WebDriver:ExecuteScript", {"script": "Services.cookies.removeAll()"})
        connection.send("Marionette:SetContext", {"value": "content"})

    def forget_traffic(self):
        pass

    def shoot(self, name, width=None, dark=False):
        """The whole page, as a picture. Firefox has neither widths nor the dark variant."""
        if width or dark:
            return
        picture = self.command_executor.send("WebDriver:TakeScreenshot", {"full": True})
        self.save(name, picture["value"])
