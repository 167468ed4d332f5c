"""Chromium without a screen, driven over WebDriver's HTTP interface: no package beside Debian's two is needed."""

import base64
import json
import shutil
import subprocess
import time
from contextlib import contextmanager
from urllib.error import HTTPError
from urllib.request import Request, urlopen

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
         "--disable-background-networking", "--disable-component-update", "--disable-sync"]  # fmt: skip
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
PATIENCE_S = 120


class Browser:
    """A window of Chromium, whose microphone hears a WAV."""

    def __init__(self, address, folder, width, height, heard):
        self.address = address
        flags = [*FLAGS, f"--user-data-dir={folder}", f"--window-size={width},{height}"]
        if heard is not None:
            flags += ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
            flags.append(f"--use-file-for-fake-audio-capture={heard}")
        options = {"goog:chromeOptions": {"binary": CHROMIUM, "args": flags}, "goog:loggingPrefs": {"browser": "ALL"}}
        session = self._ask("POST", "/session", {"capabilities": {"alwaysMatch": options}})["sessionId"]
        self.address += f"/session/{session}"

    def _ask(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        try:
            with urlopen(
                Request(self.address + path, data, {"Content-Type": "application/json"}, method=method)
            ) as found:
                return json.load(found)["value"]
        except HTTPError as error:
            raise AssertionError(json.load(error)["value"]["message"].splitlines()[0]) from error

    def open(self, url):
        self._ask("POST", "/url", {"url": url})

    def run(self, script, *given):
        """What a function's body returns, in the page."""
        return self._ask("POST", "/execute/sync", {"script": script, "args": list(given)})

    def wait(self, script, *given):
        """Until a function's body returns something true; gives it."""
        end = time.monotonic() + PATIENCE_S
        while not (found := self.run(script, *given)):
            assert time.monotonic() < end, f"never: {script}\n{self.run('return document.body.innerText')[:2000]}"
            time.sleep(0.1)
        return found

    def see(self, text):
        """Wait until a text is to be seen."""
        self.wait("return document.body.innerText.includes(arguments[0])", text)

    def click(self, text, kind="button"):
        """Click what has exactly this text."""
        found = "[...document.querySelectorAll(arguments[1])]"
        find = f"{found}.find(e => e.innerText.trim() === arguments[0] && e.offsetParent)"
        self.wait(f"return !!{find}", text, kind)
        self.run(f"{find}.click()", text, kind)

    def upload(self, path, css="input[type=file]"):
        """Choose a file."""
        self.wait("return !!document.querySelector(arguments[0])", css)
        element = self._ask("POST", "/element", {"using": "css selector", "value": css})[ELEMENT]
        self._ask("POST", f"/element/{element}/value", {"text": str(path)})

    def press(self, css, x, frame):
        """Press what is `x` pixels from the left edge of an element in a frame, as a hand with a mouse does."""
        inner = self._ask("POST", "/element", {"using": "css selector", "value": frame})
        self._ask("POST", "/frame", {"id": inner})
        element = self._ask("POST", "/element", {"using": "css selector", "value": css})
        left = x - int(self._ask("GET", f"/element/{element[ELEMENT]}/rect")["width"] / 2)
        moves = [{"type": "pointerMove", "origin": element, "x": left, "y": 0}]
        moves += [{"type": "pointerDown", "button": 0}, {"type": "pointerUp", "button": 0}]
        self._ask("POST", "/actions", {"actions": [{"type": "pointer", "id": "mouse", "actions": moves}]})
        self._ask("POST", "/frame", {"id": None})

    def screenshot(self, path):
        path.write_bytes(base64.b64decode(self._ask("GET", "/screenshot")))

    def errors(self):
        """What scripts complained of."""
        found = self._ask("POST", "/se/log", {"type": "browser"})
        return [each["message"] for each in found if each["level"] == "SEVERE" and "ERR_" not in each["message"]]

    def close(self):
        self._ask("DELETE", "")


@contextmanager
def browser(folder, width=1240, height=1500, heard=None):
    """A browser with a profile of its own in a folder."""
    driver = subprocess.Popen([DRIVER, "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        for line in driver.stdout:
            if "successfully on port" in line:
                break
        port = line.rstrip().rstrip(".").rpartition(" ")[2]
        opened = Browser(f"http://127.0.0.1:{port}", folder, width, height, heard)
        try:
            yield opened
        finally:
            opened.close()
    finally:
        driver.terminate()
        driver.wait()
        driver.stdout.close()
