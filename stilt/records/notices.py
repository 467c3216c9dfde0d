"""What a webhook is told of a study: that a run has failed, and that a submit's runs have ended.

Each is told once for a submit, by whichever process finds it first. Nothing depends on its arrival.
The address, which is a secret of whoever gave it, lies in a file that its owner alone can read, and
only until the last message was sent.
"""

import http.client
import json
import os
import urllib.request
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from stilt.config import Frozen, parse, read_json
from stilt.errors import ConfigError, first_line
from stilt.folder import StudyFolder
from stilt.study import Study
from stilt.system.files import create_text, make_folder, write_text
from stilt.system.units import counted

SECONDS = 10
"""For a webhook to answer."""
Event = Literal["failed", "ended"]


class Asked(Frozen):
    """Who wants to be told, and of which submit."""

    url: str
    submission: str

    @property
    def host(self) -> str:
        """The part of the address that is no secret."""
        return host_of(self.url)


class Notice(Frozen):
    """One message, sent or not."""

    submission: str
    event: Event
    when: str
    """UTC, ISO 8601."""
    host: str
    text: str
    problem: str | None
    """Why it did not arrive; None where it did."""


def host_of(url: str) -> str:
    """The host of a webhook's address.

    Raises:
        ConfigError: It is no address of the web.
    """
    try:
        parts = urlsplit(url)
        if parts.scheme in ("http", "https") and parts.hostname:
            return parts.hostname
    except ValueError:
        pass
    raise ConfigError("--notify: a webhook's address is expected, which begins with https://")


def ask_for(folder: StudyFolder, url: str, submission: str) -> None:
    """Keeps whom to tell of a submit; an earlier submit's webhook gives way."""
    make_folder(folder.notices)
    temporary = folder.notices / f".webhook.{uuid.uuid4().hex}.part"
    text = Asked(url=url, submission=submission).model_dump_json() + "\n"
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    temporary.replace(_address(folder))


def asked(folder: StudyFolder) -> Asked | None:
    """Whom to tell; None where nobody asked, or the last message was sent."""
    path = _address(folder)
    try:
        found = parse(Asked, read_json(path), path)
        host_of(found.url)
    except (ConfigError, OSError):
        return None
    return found


def forget(folder: StudyFolder, submission: str) -> None:
    """Removes the address, if it is that of a submission."""
    found = asked(folder)
    if found is not None and found.submission == submission:
        _address(folder).unlink(missing_ok=True)


def tell(folder: StudyFolder, event: Event, text: str, submission: str | None = None) -> None:
    """Sends a message, unless it was sent before; whatever becomes of it, nothing is raised.

    Args:
        folder: the study's.
        event: what happened; each is told once for a submit.
        text: what is told.
        submission: the submit that this is about; the one that last asked, where absent.
    """
    found = asked(folder)
    if found is None or submission not in (None, found.submission):
        return
    told = Notice(
        submission=found.submission,
        event=event,
        when=datetime.now(UTC).isoformat(timespec="seconds"),
        host=found.host,
        text=text,
        problem="its sender died",
    )
    path = folder.notices / f"{found.submission}.{event}.json"
    try:
        if not create_text(path, told.model_dump_json() + "\n"):
            return
        told = told.model_copy(update={"problem": _post(found.url, text)})
        write_text(path, told.model_dump_json() + "\n")
        if event == "ended":
            forget(folder, found.submission)
    except OSError:
        # a full disk, say: it is not for a message to fail what it is about
        return


def _post(url: str, text: str) -> str | None:
    """Sends a text as JSON, as Slack, Mattermost and others take it; why it did not arrive."""
    body = json.dumps({"text": text}).encode()
    headers = {"Content-Type": "application/json", "User-Agent": "stilt-lab"}
    try:
        request = urllib.request.Request(url, body, headers)
        with urllib.request.urlopen(request, timeout=SECONDS):
            return None
    except (OSError, ValueError, http.client.HTTPException) as error:
        # others may quote the address
        return first_line(error) if isinstance(error, OSError) else type(error).__name__


def notices(folder: StudyFolder) -> list[Notice]:
    """Every message of a study, oldest first."""
    found = []
    for path in folder.notices.glob("[!.]*.*.json"):
        try:
            found.append(parse(Notice, read_json(path), path))
        except (ConfigError, OSError):
            continue
    return sorted(found, key=lambda notice: (notice.when, notice.event == "ended"))


def ending(study: Study, folder: StudyFolder, verb: str = "has ended") -> str:
    """What is told at the end of a submit."""
    done, failed = (
        len({path.stem for path in place.glob("[!.]*.json")} & study.cells.keys())
        for place in (folder.results, folder.failures)
    )
    cells = counted(len(study.cells), "cell")
    return f"study {study.name} {verb}: {done} of {cells} done, {failed} failed"


def _address(folder: StudyFolder) -> Path:
    return folder.notices / "webhook.json"
