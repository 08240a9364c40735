"""Opening a page in the browser of this machine."""

import tempfile
import webbrowser
from html import escape
from pathlib import Path


def open_address(address: str) -> Path:
    """
    Open an address that holds a token. It goes through a file that only this user can read: on the
    command line of a browser, every user of the machine would see it. The caller removes the file.
    """
    page = f'<!doctype html><meta http-equiv="refresh" content="0;url={escape(address)}">'
    with tempfile.NamedTemporaryFile("w", prefix="wearon-", suffix=".html", delete=False) as file:
        file.write(page)
    path = Path(file.name)
    webbrowser.open(path.as_uri())
    return path
