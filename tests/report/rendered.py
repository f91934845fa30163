"""What becomes of Markdown once it is rendered: with HTML let through and addresses made into links, as the most willing renderers do."""

from html.parser import HTMLParser

from markdown_it import MarkdownIt

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


class _Rendered(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.links, self.text = [], [], ""

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [value for name, value in attrs if name in ("href", "src")]

    def handle_data(self, data):
        self.text += data


def rendered(markdown):
    """Tags, links, and the text without what is there to break addresses."""
    found = _Rendered()
    found.feed(MarkdownIt("gfm-like", {"html": True}).render(markdown))
    found.close()
    return found.tags, found.links, " ".join(found.text.replace("\u2060", "").split())
