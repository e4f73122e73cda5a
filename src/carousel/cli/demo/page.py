"""The page of the demo, put together from its files."""

import json
from importlib.resources import files
from typing import Any


def page(facts: dict[str, Any], nonce: str) -> str:
    """The page as HTML; its own styles and scripts carry the nonce, and nothing else runs.

    facts: what it says of the network (`Reader.facts`).
    """
    own, report = files("carousel.cli.demo"), files("carousel.report") / "templates"
    style = "\n".join(path.read_text(encoding="utf-8") for path in (report / "style.css", own / "page.css"))
    known = json.dumps(facts).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    parts = {
        "STYLE": style,
        "FACTS": known,
        "SCRIPT": (own / "page.js").read_text(encoding="utf-8"),
        "NONCE": nonce,
    }
    html = (own / "page.html").read_text(encoding="utf-8")
    for name, content in parts.items():
        html = html.replace(f"[[{name}]]", content)
    return html
