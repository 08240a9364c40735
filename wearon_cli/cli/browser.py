"""Opens a page in this machine's browser."""

import tempfile
import webbrowser
from html import escape
from pathlib import Path


def open_address(address: str) -> Path:
    """
    Open an address that holds a token. It is passed in a file that only this user can read: every
    user of the machine can see a browser's command line. The caller removes the file.
    """
    page = f'<!doctype html><meta http-equiv="refresh" content="0;url={escape(address)}">'
    with tempfile.NamedTemporaryFile("w", prefix="wearon-", suffix=".html", delete=False) as file:
        file.write(page)
    path = Path(file.name)
    webbrowser.open(path.as_uri())
    return path
