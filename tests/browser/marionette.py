"""Drives Firefox with Selenium, without geckodriver: neither Debian nor PyPI has it.

geckodriver translates WebDriver over HTTP into Marionette, the protocol of Firefox itself. The
commands of both are the same, so this has their other names.
"""

import itertools
import json
import socket

from selenium.common import exceptions
from selenium.webdriver.remote.command import Command

COMMANDS = {
    Command.NEW_SESSION: "NewSession",
    Command.QUIT: "DeleteSession",
    Command.GET: "Navigate",
    Command.GET_ALL_COOKIES: "GetCookies",
    Command.ADD_COOKIE: "AddCookie",
    Command.DELETE_COOKIE: "DeleteCookie",
    Command.FIND_ELEMENT: "FindElement",
    Command.FIND_ELEMENTS: "FindElements",
    Command.FIND_CHILD_ELEMENT: "FindElementFromElement",
    Command.FIND_CHILD_ELEMENTS: "FindElementsFromElement",
    Command.CLEAR_ELEMENT: "ElementClear",
    Command.CLICK_ELEMENT: "ElementClick",
    Command.SEND_KEYS_TO_ELEMENT: "ElementSendKeys",
    Command.GET_ELEMENT_TEXT: "GetElementText",
    Command.IS_ELEMENT_ENABLED: "IsElementEnabled",
    Command.NEW_WINDOW: "NewWindow",
    Command.CLOSE: "CloseWindow",
    Command.W3C_GET_CURRENT_WINDOW_HANDLE: "GetWindowHandle",
    Command.W3C_GET_WINDOW_HANDLES: "GetWindowHandles",
    Command.SWITCH_TO_WINDOW: "SwitchToWindow",
    Command.SET_TIMEOUTS: "SetTimeouts",
    Command.SET_WINDOW_RECT: "SetWindowRect",
    Command.W3C_EXECUTE_SCRIPT: "ExecuteScript",
    Command.W3C_EXECUTE_SCRIPT_ASYNC: "ExecuteAsyncScript",
}
ERRORS = {
    "no such element": exceptions.NoSuchElementException,
    "stale element reference": exceptions.StaleElementReferenceException,
    "javascript error": exceptions.JavascriptException,
}


class Marionette:
    """A connection that Selenium uses in place of one to geckodriver."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), 60)
        self.stream = self.socket.makefile("rb")
        self.ids = itertools.count()
        self.receive()

    def receive(self):
        """A message has its length before it."""
        length = b"".join(iter(lambda: self.stream.read(1) or b":", b":"))
        if not length:
            raise exceptions.WebDriverException("Firefox has closed the connection")
        return json.loads(self.stream.read(int(length)))

    def send(self, command, params):
        message = json.dumps([0, next(self.ids), command, params]).encode()
        self.socket.sendall(b"%d:%s" % (len(message), message))
        _, _, error, result = self.receive()
        if error:
            kind = ERRORS.get(error["error"], exceptions.WebDriverException)
            raise kind(f"{error['error']}: {error['message']}")
        return result if isinstance(result, dict) and "value" in result else {"value": result}

    def execute(self, command, params):
        params.pop("sessionId", None)
        match COMMANDS[command]:
            case "NewSession":
                always = params["capabilities"]["alwaysMatch"]
                params = {"acceptInsecureCerts": always.get("acceptInsecureCerts", False)}
            case "ExecuteScript" | "ExecuteAsyncScript":
                # In the page itself, not in a sandbox beside it.
                params["sandbox"] = None
            case "FindElementFromElement" | "FindElementsFromElement":
                params["element"] = params.pop("id")
            case "SwitchToWindow":
                params["focus"] = True
            case "NewWindow":
                params["focus"] = False
        return self.send(f"WebDriver:{COMMANDS[command]}", params)

    def close(self):
        self.stream.close()
        self.socket.close()
