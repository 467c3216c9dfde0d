"""A headless Chromium, spoken to over DevTools' pipe: no driver, no port, no other package."""

import base64
import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-sync",
    "--disable-crash-reporter",
    "--remote-debugging-pipe",
)
PATIENCE = 120
"""Seconds until a browser that does not answer is given up."""


def chromium() -> str | None:
    """Path of a Chromium on this machine: ``STILT_CHROMIUM``, or one on PATH."""
    own = os.environ.get("STILT_CHROMIUM")
    return own or next((path for name in NAMES if (path := shutil.which(name))), None)


class Browser:
    """One page of one browser process, for the time of a ``with`` block."""

    def __init__(self, binary: str, profile: Path) -> None:
        self._binary, self._profile = binary, profile
        self._number, self._buffer, self._session = 0, b"", None
        self.complaints: list[str] = []
        """What the console, the security policy or a script complained about."""
        self.requests: list[str] = []
        """Addresses that pages asked for, data URIs left out."""

    def __enter__(self) -> "Browser":
        from_us, self._to = os.pipe()
        self._from, to_us = os.pipe()
        # Chromium reads its file descriptor 3 and writes 4. The shell moves ours there, also where
        # ours are 3 and 4 in the other order.
        moved = f'exec "$0" "$@" 8<&{from_us} 9>&{to_us} 3<&8 4>&9'
        profile = f"--user-data-dir={self._profile}"
        self._process = subprocess.Popen(
            ["bash", "-c", moved, self._binary, *FLAGS, profile, "about:blank"],
            pass_fds=(from_us, to_us),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(from_us)
        os.close(to_us)
        page = self._call("Target.createTarget", url="about:blank", session=False)["targetId"]
        attached = self._call("Target.attachToTarget", targetId=page, flatten=True, session=False)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._call(f"{domain}.enable")
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._to)
        os.close(self._from)

    def open(self, path: Path, fragment: str = "") -> None:
        """Opens a file and waits until its scripts have run."""
        # from a page that is open already, another fragment would not load anything
        self._call("Page.navigate", url="about:blank")
        self._call("Page.navigate", url=path.as_uri() + fragment)
        end = time.monotonic() + PATIENCE
        while self.run("document.readyState + location.protocol") != "completefile:":
            if time.monotonic() > end:
                raise TimeoutError(f"{path} did not load")
            time.sleep(0.05)

    def run(self, script: str) -> object:
        """Value of a JavaScript expression on the page, as JSON would carry it."""
        answer = self._call(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in answer:
            raise AssertionError(f"{script}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def press(self, key: str, code: int, text: str = "") -> None:
        """Presses a key, as from a keyboard."""
        for kind in ("keyDown", "keyUp"):
            self._call(
                "Input.dispatchKeyEvent", type=kind, key=key, code=key,
                windowsVirtualKeyCode=code, text=text if kind == "keyDown" else "",
            )  # fmt: skip

    def media(self, **features: str) -> None:
        """Emulates CSS media features, such as ``prefers_color_scheme="dark"``."""
        values = [{"name": k.replace("_", "-"), "value": v} for k, v in features.items()]
        self._call("Emulation.setEmulatedMedia", features=values)

    def scripts(self, on: bool) -> None:
        """Switches JavaScript on or off for the pages that are opened next."""
        self._call("Emulation.setScriptExecutionDisabled", value=not on)

    def resize(self, width: int, height: int) -> None:
        """Gives the window a size, in CSS pixels."""
        self._call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height,
            deviceScaleFactor=1, mobile=False,
        )  # fmt: skip

    def screenshot(self, path: Path, *, whole: bool = False) -> None:
        """Saves a PNG of the window, or of the whole page."""
        answer = self._call("Page.captureScreenshot", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(answer["data"]))

    def pdf(self, path: Path) -> None:
        """Prints the page on A4."""
        answer = self._call(
            "Page.printToPDF", preferCSSPageSize=True, paperWidth=8.27, paperHeight=11.69,
            printBackground=False,
        )  # fmt: skip
        path.write_bytes(base64.b64decode(answer["data"]))

    def _call(self, method: str, *, session: bool = True, **parameters: object) -> dict:
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        end = time.monotonic() + PATIENCE
        while True:
            answer = self._read(end)
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise AssertionError(f"{method}: {answer['error']}")
                return answer["result"]
            self._note(answer)

    def _read(self, end: float) -> dict:
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._from], [], [], max(0.0, end - time.monotonic()))
            part = os.read(self._from, 1 << 20) if ready else b""
            if not part:
                raise TimeoutError(f"{self._binary} does not answer")
            self._buffer += part
        line, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(line)

    def _note(self, event: dict) -> None:
        """Keeps what a page complains about and what it asks for."""
        content = event.get("params", {})
        match event.get("method"):
            case "Runtime.exceptionThrown":
                self.complaints.append(str(content["exceptionDetails"]))
            case "Runtime.consoleAPICalled":
                self.complaints.append(str(content["args"]))
            case "Log.entryAdded":
                self.complaints.append(content["entry"]["text"])
            case "Network.requestWillBeSent":
                address = content["request"]["url"]
                if not address.startswith(("data:", "about:")):
                    self.requests.append(address)
