import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))

from publish import put_between


def test_only_what_stands_between_the_markers_changes(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- a:begin -->\nold\n<!-- a:end -->\nafter <!-- b:begin --><!-- b:end -->\n")
    put_between(page, "a", "new | 1 |\n")
    put_between(page, "a", "newer | 2 |")
    want = "before\n<!-- a:begin -->\nnewer | 2 |\n<!-- a:end -->\nafter <!-- b:begin --><!-- b:end -->\n"
    assert page.read_text() == want


def test_a_page_without_the_markers_is_left_alone(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("nothing <!-- a:begin -->")
    with pytest.raises(ValueError, match=r"needs the markers <!-- a:begin --> and <!-- a:end -->"):
        put_between(page, "a", "new")
    assert page.read_text() == "nothing <!-- a:begin -->"
