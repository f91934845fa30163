"""A page, and Markdown once it is rendered, as elements and text, and the faults of its markup.

Markdown is rendered with HTML let through and addresses made into links, as the most willing renderers do."""

import csv
import io
import re
from html import unescape
from html.parser import HTMLParser

import yaml
from markdown_it import MarkdownIt

VOID = {"meta", "img", "br", "link", "input", "hr", "area", "base", "col", "embed", "source", "track", "wbr"}


class Tree(HTMLParser):
    def __init__(self, html):
        super().__init__()
        self.open, self.faults, self.elements, self.texts = [], [], [], []
        self.feed(html)
        self.close()
        self.text = " ".join(" ".join(self.texts).split())
        self.faults += [f"<{tag}> is never closed" for tag in self.open]

    def handle_starttag(self, tag, attrs):
        names = [name for name, _ in attrs]
        if len(names) != len(set(names)):
            self.faults.append(f"<{tag}> has an attribute twice: {names}")
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"</{tag}> at {self.getpos()} closes nothing")

    def handle_data(self, data):
        if self.open[-1:] != ["style"]:
            self.texts.append(data)

    def of(self, name):
        return [attributes for tag, attributes in self.elements if tag == name]


def plain(html):
    """The text of a piece of a page, without the titles of its marks."""
    return " ".join(unescape(re.sub(r"<title>.*?</title>|<[^>]+>", " ", html)).split())


def rows_of(table):
    """The cells of a table as text, a list for each row."""
    return [
        [plain(cell) for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.S)] for row in re.findall(r"<tr.*?</tr>", table, re.S)
    ]


def csv_rows(content):
    return list(csv.DictReader(io.StringIO(content.decode())))


def without_settings(html):
    """Drop the options from a page: they are described as in the form, for datasets of either kind."""
    return re.sub(r'<table class="settings">.*?</table>', "", html, flags=re.S)


def words_of(svg):
    """The texts of a drawing, and the titles of its marks, shown under the pointer."""
    return re.findall(r"<text[^>]*>([^<]*)</text>", svg), re.findall(r"<title[^>]*>([^<]*)</title>", svg)[1:]


def stays_within(svg):
    """Whether all marks of a drawing lie in its frame."""
    width, height = (float(n) for n in re.search(r'viewBox="0 0 (\S+) (\S+)"', svg).groups())
    marks = [(float(x), float(y)) for x, y in re.findall(r'<use [^>]*x="(\S+)" y="(\S+)"', svg)]
    return bool(marks) and all(0 <= x <= width and 0 <= y <= height for x, y in marks)


HOSTILE = (
    "![x](http://evil/p.png)", "[a](http://evil)", "[a]: http://evil 'x'", "www.evil.example", "WWW.evil.com/x", "https://evil.com",
    "<https://evil.com>", "evil.com", "//evil.com", "mailto:a@evil.com", "a@b.example", "@someone", "<img src=x>",
    "<script>alert(1)</script>", "&lt;img&gt; &amp;", "a | b || c", "a\n\n# b\r\nc\u2028d", "`code` ``more``", "*a* _b_ __c__ ~~d~~",
    "# a", "- a", "+ a", "1. a", "10) a", "===", "---", "~~~", "a\\", "\\[a](b)", "![", "> a",
)  # fmt: skip

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
