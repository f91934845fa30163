"""The promises of every page, whatever is on it."""

import base64
import hashlib
import re

import pytest

from tests.judge.report.conftest import CASES, COMPARISONS, PREDICTIONS, SEARCHES
from tests.judge.report.tree import Tree

FETCHING = {"src", "srcset", "data", "poster", "action", "formaction", "background", "cite", "longdesc", "manifest", "xlink:href", "ping"}
NAMES = (*CASES, *SEARCHES, *COMPARISONS, *PREDICTIONS)


@pytest.fixture(scope="module", params=NAMES)
def page(request, page_of):
    html = page_of(request.param)
    return request.param, html, Tree(html)


def test_the_markup_is_well_formed_and_no_number_is_missing_or_odd(page):
    *_, tree = page
    assert tree.faults == []
    ids = [attributes["id"] for _, attributes in tree.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert not re.search(r"\b(nan|NaN|inf|None|Undefined)\b", tree.text)


def test_nothing_is_fetched_from_anywhere(page):
    _, html, tree = page
    for tag, attributes in tree.elements:
        for name in FETCHING & attributes.keys():
            assert attributes[name].startswith("data:"), (tag, name)
        assert "url(" not in (attributes.get("style") or "")
    assert not re.search(r'url\((?!#|"data:image/jpeg;base64,)|@import|@font-face', html)
    assert {tag for tag, _ in tree.elements} & {"link", "iframe", "object", "embed", "form", "base"} == set()


def test_no_script_runs_but_the_one_that_the_policy_names(page):
    case, html, tree = page
    assert not [name for _, attributes in tree.elements for name in attributes if name.startswith("on")]
    scripts = re.findall(r"<script>(.*?)</script>", html, re.S)
    assert tree.of("script") == [{}] * len(scripts)
    assert len(scripts) == (case not in COMPARISONS)
    digests = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', html)
    directives = dict(directive.split(maxsplit=1) for directive in policy.split("; "))
    assert directives.pop("default-src") == "'none'"
    assert directives.pop("style-src") == "'unsafe-inline'"
    assert directives.pop("script-src", "") == " ".join(f"'sha256-{digest}'" for digest in digests)
    assert set(directives.values()) == {"data:"}


def test_links_lead_to_sections_or_to_the_web(page):
    *_, tree = page
    ids = {attributes.get("id") for _, attributes in tree.elements}
    for link in tree.of("a"):
        assert link["href"][1:] in ids if link["href"].startswith("#") else link["href"].startswith(("http://", "https://"))
        assert "/#/experiments/" not in link["href"] or link["href"].endswith("?workflowType=machine_learning")


def test_pictures_speak_to_those_who_do_not_see_them(page):
    case, html, tree = page
    drawings = re.findall(r"<svg viewBox.*?</svg>", html, re.S)
    assert (len(drawings) >= 2) == (case not in ("bare", *PREDICTIONS))
    assert all(re.search(r"<title [^>]*>[^<]+</title><desc [^>]*>[^<]+</desc>", drawing) for drawing in drawings)
    ids = {attributes.get("id") for _, attributes in tree.elements}
    for drawing in tree.of("svg"):
        is_bar = "x" in drawing  # a part of a timeline
        is_hidden = drawing.get("aria-hidden") == "true"
        assert is_bar or is_hidden or (drawing["role"] == "img" and {"aria-label", "aria-labelledby"} & drawing.keys())
        assert set(drawing.get("aria-labelledby", "").split()) <= ids
    assert all(image["alt"] for image in tree.of("img"))


@pytest.mark.parametrize("case", [name for name in NAMES if "hostile" in name])
def test_names_are_text_never_markup(page_of, case):
    tree = Tree(page_of(case))
    assert len(tree.of("script")) <= 1
    assert all(image["src"].startswith("data:") for image in tree.of("img"))
    assert '<script>alert("x")</script>' in tree.text
    assert "onerror=alert(1)" in tree.text
    assert "\u202e" not in tree.text, "a name turns around what follows it"
