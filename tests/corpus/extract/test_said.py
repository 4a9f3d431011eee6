"""What a page says about itself: wishes of its owner and its licence."""

import pytest

from vesalius.corpus.extract.said import said
from vesalius.corpus.extract.scan import scan

CC = "https://creativecommons.org/licenses/by/4.0/"


@pytest.mark.parametrize(
    "head, facts",
    [
        ('<META NAME=Robots content="noai, noimageai">', {"robots": "noai, noimageai"}),
        ("<meta content='noai' name='robots'><meta name=robots content=nofollow>", {"robots": "noai, nofollow"}),
        ("<meta name=tdm-reservation content=1>", {"tdm_reservation": "1"}),
        (f"<link rel='license' href={CC}>", {"licence": CC}),
        (f"<a rel='license noopener' href={CC}>CC</a><a rel=license href={CC}>CC</a>", {"licence": CC}),
        ("<a rel=license href=/a>one</a><a rel=license href=/b>another's</a>", {}),
        ("<meta name=DC.rights content=CC0>", {"licence": "CC0"}),
        ("<meta\nname = 'robots'\ncontent = noai />", {"robots": "noai"}),
        ("<template><meta name=robots content=noai></template>", {}),
        ("<meta name=googlebot content=noai>", {}),
        ("<!-- <meta name=robots content=noai> -->", {}),
        ('<script>\'<meta name="robots" content="noai">\'</script>', {}),
        ("<p>The robots meta tag has a license.</p>", {}),
    ],
)
def test_it_is_read_where_the_page_says_it(head: str, facts: dict) -> None:
    html = f"<html><head>{head}</head><body><p>x</p></body></html>".encode()
    assert said(html, scan(html).notes) == facts


@pytest.mark.parametrize(
    "piece", [b"license ", b' rel="license" ', b"<meta name=robots content=x>", b"<a rel=license>"]
)
def test_a_page_that_repeats_itself_comes_to_an_end(piece: bytes) -> None:
    html = b"<html><body>" + piece * (3_000_000 // len(piece))
    assert set(said(html, scan(html).notes)) <= {"robots"}  # looked at from its start each time it would take hours
