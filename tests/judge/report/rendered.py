"""What becomes of Markdown once it is rendered: with HTML let through and addresses made into links, as the most willing renderers do."""

import re

import yaml
from markdown_it import MarkdownIt

from tests.judge.report.tree import Tree

HOSTILE = (
    "![x](http://evil/p.png)",
    "[a](http://evil)",
    "[a]: http://evil 'x'",
    "www.evil.example",
    "WWW.evil.com/x",
    "https://evil.com",
    "<https://evil.com>",
    "evil.com",
    "//evil.com",
    "mailto:a@evil.com",
    "a@b.example",
    "@someone",
    "<img src=x>",
    "<script>alert(1)</script>",
    "&lt;img&gt; &amp;",
    "a | b || c",
    "a\n\n# b\r\nc\u2028d",
    "`code` ``more``",
    "*a* _b_ __c__ ~~d~~",
    "# a",
    "- a",
    "+ a",
    "1. a",
    "10) a",
    "===",
    "---",
    "~~~",
    "a\\",
    "\\[a](b)",
    "![",
    "> a",
)

HOSTILE_NAME = "<img src=x> [a](http://evil) | `b` *c*\n# d"
"""As much as fits in a name that is not cut; each by itself is tried in `tests/test_wording.py`."""


def rendered(markdown):
    """Tags, links, and the text without what is there to break addresses."""
    tree = Tree(MarkdownIt("gfm-like", {"html": True}).render(markdown))
    links = [value for _, attributes in tree.elements for name, value in attributes.items() if name in ("href", "src")]
    return [tag for tag, _ in tree.elements], links, " ".join("".join(tree.texts).replace("\u2060", "").split())


def front_matter(card):
    """Split a model card into its front matter and its text."""
    _, head, body = re.split(r"^---$", card, maxsplit=2, flags=re.M)
    return yaml.safe_load(head), body
