"""Whether the Hub can be reached from here, and where its client keeps things."""

import os
import socket
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit


def hub_answers(seconds: float = 4.0) -> bool:
    """Whether the Hub can be reached, told without its client and its minutes of retries.

    Args:
        seconds: to wait for a connection.
    """
    if switched_off():
        return False
    address = urlsplit(os.environ.get("HF_ENDPOINT") or "https://huggingface.co")
    proxy = urllib.request.getproxies().get(address.scheme)
    if proxy and not urllib.request.proxy_bypass(address.hostname or ""):
        address = urlsplit(proxy)
    port = address.port or (443 if address.scheme == "https" else 80)
    try:
        with socket.create_connection((address.hostname or "", port), timeout=seconds):
            return True
    except OSError:
        return False


def switched_off() -> bool:
    """Whether the environment forbids the Hub's client to use the network."""
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")


def hub_cache() -> Path:
    """Folder that models and data sets of the Hub are kept in."""
    home = os.environ.get("HF_HOME")
    return Path(home) if home else Path.home() / ".cache" / "huggingface"
