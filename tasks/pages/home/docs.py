"""Render Retake's documentation as pages: the Markdown files of a folder, and their pictures."""

import re
from html import escape
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

_MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable("table")
_SERVED = re.compile(r"https?://|#|[\w-]+\.md(#|$)")
"""Links that lead somewhere from a page of the browser. Others name files of the repository."""
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="icon" href="../home/static/icon.svg">
<link rel="stylesheet" href="../home/static/home.css">
<script src="../label/static/lead_out.js" defer></script>
</head>
<body class="text">
<header class="top"><nav aria-label="Retake"><a href="../">Retake</a> <a href="./">All pages</a></nav></header>
<main>
{body}
</main>
</body>
</html>
"""


def contents(folder: Path) -> str:
    """List the pages of the folder."""
    lines = [f'<li><a href="{escape(path.name)}">{escape(title_of(path))}</a></li>' for path in sorted(folder.glob("*.md"))]
    return PAGE.format(title="Retake: documentation", body="<h1>Documentation</h1>\n<ul class='contents'>\n" + "\n".join(lines) + "\n</ul>")


def title_of(path: Path) -> str:
    """Return the first heading of a page."""
    heading = re.search(r"^# (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return heading[1].replace("`", "") if heading else path.stem


def rendered(path: Path) -> str:
    """Render a page; HTML in it stays text, and links to files that are not served lead nowhere."""
    tokens = _MARKDOWN.parse(path.read_text(encoding="utf-8"))
    for number, token in enumerate(tokens):
        if token.type == "heading_open":
            token.attrSet("id", anchor(tokens[number + 1].content))
        for child in token.children or ():
            _lead(child)
    # A wide table scrolls by itself, and can be reached by keys.
    body = _MARKDOWN.renderer.render(tokens, _MARKDOWN.options, {})
    body = body.replace("<table>", '<div class="wide" tabindex="0" role="group" aria-label="Table"><table>').replace(
        "</table>", "</table></div>"
    )
    return PAGE.format(title=escape(title_of(path)), body=body.replace("<pre>", '<pre tabindex="0">'))


def anchor(heading: str) -> str:
    """Make the anchor of a heading as GitHub does."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def _lead(token: Token) -> None:
    href = str(token.attrGet("href") or "")
    if token.type != "link_open":
        return
    if not _SERVED.match(href):
        del token.attrs["href"]
    elif href.startswith("http"):
        token.attrSet("target", "_top")
