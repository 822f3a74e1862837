"""What to type to install an extra: from where langcache itself was installed."""

import json

import pytest

from langcache_cli.cli.commands.extras import install_line


def test_a_clone_is_named_by_its_folder(tmp_path):
    folder = tmp_path / "my clone"
    folder.mkdir()
    recorded = {"url": folder.as_uri(), "dir_info": {}}
    unknown = install_line("dashboard", json.dumps(recorded))
    assert unknown == "pip install 'langcache-cli[dashboard]', or in a clone: pip install '.[dashboard]'"
    (folder / "pyproject.toml").touch()
    assert install_line("dashboard", json.dumps(recorded)) == f"pip install '{folder}[dashboard]'"
    recorded["dir_info"] = {"editable": True}
    assert install_line("dashboard", json.dumps(recorded)) == f"pip install -e '{folder}[dashboard]'"


def test_a_repository_is_named_by_its_url_but_not_with_a_login():
    recorded = {"url": "https://git.example/langcache.git", "vcs_info": {"vcs": "git", "commit_id": "0"}}
    line = install_line("dashboard", json.dumps(recorded))
    assert line == "pip install 'langcache-cli[dashboard] @ git+https://git.example/langcache.git'"
    recorded["url"] = "https://user:secret@git.example/langcache.git"
    assert "secret" not in install_line("dashboard", json.dumps(recorded))


@pytest.mark.parametrize("recorded", ["", "{", '{"url": "https://host/a.whl", "archive_info": {}}'])
def test_elsewhere_both_ways_are_named(recorded):
    line = install_line("dashboard", recorded)
    assert line == "pip install 'langcache-cli[dashboard]', or in a clone: pip install '.[dashboard]'"
