"""
The page at /docs: the OpenAPI document as plain HTML, without scripts or external resources.
"""

import json
import re
from base64 import b64encode
from collections.abc import Iterable, Mapping
from hashlib import sha256
from html import escape
from typing import Any, Final

_STYLE: Final = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { margin: 2rem auto; max-width: 60rem; padding: 0 1rem; }
h2 code { font-size: 1.25rem; }
h2 { border-top: 1px solid #8886; margin-top: 2.5rem; padding-top: 1.5rem; }
code, pre { font: 0.875rem/1.5 ui-monospace, monospace; }
pre { background: #8882; border-radius: 6px; overflow-x: auto; padding: 0.75rem 1rem; }
table { border-collapse: collapse; width: 100%; }
th, td { border-bottom: 1px solid #8886; padding: 0.35rem 1rem 0.35rem 0; text-align: left;
  vertical-align: top; }
"""
_STYLE_HASH: Final = b64encode(sha256(_STYLE.encode()).digest()).decode()
#: The page's policy: its own style, nothing else.
CONTENT_SECURITY_POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; frame-ancestors 'none'"
)

_CODE: Final = re.compile(r"`([^`]*)`")

type Document = Mapping[str, Any]


def render(document: Document) -> str:
    """
    The page.

    Args:
        document: OpenAPI 3.1, with all its schemas under `components`.
    """
    about = document["info"]
    operations = [
        _operation(document, method, path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    schemas = [_schema(*each) for each in document["components"]["schemas"].items()]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{escape(about['title'])}</title><style>{_STYLE}</style></head><body>"
        f"<h1>{escape(about['title'])}</h1><p>{escape(about['description'])} "
        'Machine-readable: <a href="openapi.json">openapi.json</a>.</p>'
        f"{''.join(operations)}<h2>Schemas</h2>{''.join(schemas)}</body></html>"
    )


def _operation(document: Document, method: str, path: str, operation: Document) -> str:
    parts = [
        f"<h2><code>{escape(method.upper())} {escape(path)}</code></h2>",
        f"<p>{_about(operation)}</p>",
    ]
    if parameters := operation.get("parameters"):
        rows = [
            (f"<code>{escape(each['name'])}</code>", _kind(each["schema"]), _about(each))
            for each in parameters
        ]
        parts.append("<h3>Query</h3>" + _table(rows))
    if body := operation.get("requestBody"):
        parts.append("<h3>Body</h3>" + _contents(body["content"]))
    parts.append("<h3>Answers</h3>")
    for status, answer in operation["responses"].items():
        parts.append(f"<p><strong>{escape(status)}</strong> {_about(answer)}</p>")
        parts.append(_contents(answer.get("content", {}), document=document))
    return "".join(parts)


def _contents(contents: Document, *, document: Document | None = None) -> str:
    parts = []
    for kind, content in contents.items():
        parts.append(f"<p><code>{escape(kind)}</code>: {_kind(content.get('schema', {}))}</p>")
        examples = [each["value"] for each in content.get("examples", {}).values()]
        if not examples and document is not None:
            examples = _examples_of(document, content.get("schema", {}))
        parts.extend(f"<pre>{escape(json.dumps(each, indent=2))}</pre>" for each in examples)
    return "".join(parts)


def _examples_of(document: Document, schema: Document) -> list[Any]:
    name = str(schema.get("$ref", "")).rpartition("/")[2]
    examples: list[Any] = document["components"]["schemas"].get(name, {}).get("examples", [])
    return examples


def _schema(name: str, schema: Document) -> str:
    required = schema.get("required", ())
    rows = [
        (
            f"<code>{escape(field)}</code>{'' if field in required else ' (optional)'}",
            _kind(about),
            _about(about),
        )
        for field, about in schema.get("properties", {}).items()
    ]
    values = ", ".join(map(str, schema.get("enum", ())))
    anchor = escape(name, quote=True)
    return f'<h3 id="{anchor}">{anchor}</h3><p>{_about(schema)} {escape(values)}</p>{_table(rows)}'


def _kind(schema: Document) -> str:
    """What a value may be, in HTML."""
    if ref := schema.get("$ref"):
        name = escape(str(ref).rpartition("/")[2], quote=True)
        return f'<a href="#{name}">{name}</a>'
    for together in ("anyOf", "oneOf", "allOf"):
        if options := schema.get(together):
            return " or ".join(map(_kind, options))
    if values := schema.get("enum"):
        return escape(", ".join(map(str, values)))
    if "items" in schema:
        return f"list of {_kind(schema['items'])}"
    bounds = [str(schema[key]) for key in ("minimum", "maximum") if key in schema]
    kind = "file" if "contentMediaType" in schema else str(schema.get("type", "any"))
    if schema.get("format") == "binary":
        kind = "the photo's bytes"
    return escape(" ".join([kind, " to ".join(bounds)]).strip())


def _about(described: Document) -> str:
    text = escape(str(described.get("description", "")))
    return _CODE.sub(r"<code>\1</code>", text)


def _table(rows: Iterable[tuple[str, str, str]]) -> str:
    lines = ["<tr><td>" + "</td><td>".join(cells) + "</td></tr>" for cells in rows]
    return f"<table>{''.join(lines)}</table>" if lines else ""
