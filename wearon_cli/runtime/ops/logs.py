"""
One log format for every role: structlog's and the libraries' lines, on stderr.

JSON for programs, text for people. Keys, tokens, signatures of addresses and e-mail addresses are
removed from every value, tracebacks included.
"""

import logging
import re
import sys
from collections.abc import Sequence
from typing import Any, Final

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from wearon_cli.core.settings import Settings

#: Libraries that log too much; only their warnings are logged.
QUIET: Final = (
    "httpx",
    "httpcore",
    "celery",
    "kombu",
    "uvicorn",
    "asyncio",
    "absl",
    "python_multipart",
)
SCRUBBED: Final = "[cut]"

_SECRETS: Final = (
    # Addresses keep their path, which support needs; their query and login are removed.
    (re.compile(r"(https?://[^\s\"'<>?]+)\?[^\s\"'<>]*"), rf"\1?{SCRUBBED}"),
    (re.compile(r"([a-z][a-z0-9+.-]*://)[^\s/@\"']*:[^\s/@\"']*@"), rf"\1{SCRUBBED}@"),
    (re.compile(r"\beyJ[\w-]+\.[\w-]+\.[\w-]*"), SCRUBBED),  # a JSON web token
    (re.compile(r"\b(?:sk|sb_secret|sb_publishable)[-_][\w-]{6,}"), SCRUBBED),
    (re.compile(r"(?i)\b(bearer|token=|apikey=)\s*[^\s,;\"']+"), rf"\1 {SCRUBBED}"),
    (re.compile(r"[\w.+%-]+@[\w-]+(?:\.[\w-]+)+"), SCRUBBED),  # an e-mail
)


def scrub(text: str) -> str:
    """The text without keys, tokens, signatures of addresses, passwords and e-mails."""
    for pattern, instead in _SECRETS:
        text = pattern.sub(instead, text)
    return text


def configure_logs(settings: Settings, role: str) -> None:
    """
    Send everything logged in this process, by us or by a library, to stderr in one form.

    Args:
        settings: Level and form.
        role: Written into every line.
    """
    as_json = settings.log_format == "json" or (
        settings.log_format == "auto" and not sys.stderr.isatty()
    )
    shared = _shared(role)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(settings.log_level),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                _scrub_event,
                *_rendering(as_json),
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=settings.log_level.upper(), force=True)
    logging.captureWarnings(True)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


def configure_quiet_logs(settings: Settings, command: str) -> None:
    """As `configure_logs`, for a command that answers on stdout: warnings only, unless set
    otherwise.
    """
    told = "log_level" in settings.model_fields_set
    configure_logs(
        settings if told else settings.model_copy(update={"log_level": "warning"}), command
    )


def _shared(role: str) -> Sequence[Processor]:
    def add_role(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        event["role"] = role
        return event

    return (
        structlog.contextvars.merge_contextvars,
        add_role,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    )


def _rendering(as_json: bool) -> Sequence[Processor]:
    if as_json:
        return (structlog.processors.JSONRenderer(ensure_ascii=False),)
    return (structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()),)


def _scrub_event(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    return {key: _scrub_value(value) for key, value in event.items()}


def _scrub_value(value: Any) -> Any:
    if isinstance(value, str):
        return scrub(value)
    if isinstance(value, dict):
        return {key: _scrub_value(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_scrub_value(inner) for inner in value]
    return value if isinstance(value, (int, float, bool, type(None))) else scrub(str(value))
