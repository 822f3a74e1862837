"""The files of the page: all there, small, without data, and with headers that keep others out."""

import gzip
import re
from importlib import resources

import pytest

from langcache_cli.web import files
from langcache_cli.web.security import CONTENT_SECURITY_POLICY
from tests.web.web_support import dashboard

PATHS = ["/", *(f"/{name}" for name in files.FILES if name != files.INDEX)]


def test_the_package_has_exactly_the_files_that_are_served():
    found = {file.name for file in resources.files("langcache_cli.web").joinpath("static").iterdir()}
    assert found == set(files.FILES)


def test_what_the_files_refer_to_is_served():
    for name in files.FILES:
        text = files.file(name).content.decode()
        for link in re.findall(r'(?:src|href)="([^"#]+)"|from "\./([^"]+)"', text):
            assert "".join(link) in files.FILES


def test_the_page_is_small():
    contents = [files.file(name).content for name in files.FILES]
    assert sum(map(len, contents)) < 85_000
    assert sum(len(gzip.compress(content, 9)) for content in contents) < 30_000


def test_no_file_makes_markup_of_text():
    for name in files.FILES:
        text = files.file(name).content.decode()
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|style=|\son\w+=", text
        )


@pytest.mark.parametrize("path", PATHS)
async def test_files_are_open_and_carry_the_headers(cache, path):
    async with dashboard(cache) as client:
        answer = await client.get(path, headers={"Authorization": ""})
        assert answer.status_code == 200
        assert answer.headers["content-security-policy"] == CONTENT_SECURITY_POLICY
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert answer.headers["cross-origin-opener-policy"] == "same-origin"
        assert answer.headers["cache-control"] == "no-cache"
        again = await client.get(path, headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


async def test_data_is_never_kept(cache):
    async with dashboard(cache) as client:
        for path in ("/api/overview", "/api/keys", "/api/key?key=cache%3Anone", "/api/key"):
            answer = await client.get(path)
            assert answer.headers["cache-control"] == "no-store"
            assert answer.headers["content-security-policy"] == CONTENT_SECURITY_POLICY
