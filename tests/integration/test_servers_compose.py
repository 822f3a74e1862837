"""The compose backend against a `docker` that records its calls and runs the compose file's own script."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from langcache_cli.servers import (
    Backend,
    NotAnsweringError,
    ProbeResult,
    StartFailedError,
    follow,
    log_lines,
    probe,
    restart,
    shell_command,
    start,
    status,
    stop,
)
from langcache_cli.servers.compose import compose_file
from tests.integration.servers_support import SECRET, LocalServers, client, real_server

# Speaks as `docker` and as `docker-compose`. A container is the script of the compose file, run without one.
FAKE_DOCKER = r"""
import json, os, pathlib, signal, subprocess, sys, time
here = pathlib.Path(__file__).parent
words = sys.argv[1:]
with (here / "calls").open("a") as calls:
    argv = [pathlib.Path(sys.argv[0]).stem, *words]
    calls.write(json.dumps({"argv": argv, "env": dict(os.environ)}) + "\n")
if words[:1] == ["info"]:
    print("28.0.0") if (here / "engine").exists() else sys.exit("Cannot connect to the Docker daemon")
elif words == ["compose", "version"]:
    (here / "plugin").exists() or sys.exit("docker: 'compose' is not a docker command.")
elif "up" in words and (here / "full").exists():
    sys.exit("no space left on device, said " + os.environ["REDIS_PASSWORD"])
elif "up" in words and (here / "container.sh").exists():
    log = (here / "container.log").open("w")
    server = subprocess.Popen(["/bin/sh", "-eu", here / "container.sh"], stdout=log, stderr=log,
                              stdin=subprocess.DEVNULL, start_new_session=True, cwd=here / "data")
    (here / "pid").write_text(str(server.pid))
elif "stop" in words and (here / "pid").exists():
    os.kill(int((here / "pid").read_text()), signal.SIGTERM)
    while (stat := pathlib.Path("/proc", (here / "pid").read_text(), "stat")).exists():
        if stat.read_text().rpartition(")")[2].split()[0] in "ZX":
            break
        time.sleep(0.01)
    (here / "pid").unlink()
elif "logs" in words:
    print("Ready to accept connections")
"""


class FakeDocker:
    def __init__(self, local: LocalServers) -> None:
        self.local = local
        self.folder = local.programs
        (self.folder / "data").mkdir()

    def install(self, name: str = "docker", *, engine: bool = True, plugin: bool = True) -> None:
        self.local.python_program(name, FAKE_DOCKER)
        for state, there in (("engine", engine), ("plugin", plugin)):
            if there:
                (self.folder / state).touch()

    def install_container(self) -> None:
        """What the image and the compose file give: its script, an entry point, a server."""
        (self.folder / "container.sh").write_text(container_script(self.local), encoding="utf-8")
        self.local.program(
            "docker-entrypoint.sh", f'[ "$1" = redis-server ] && shift; exec "{real_server()}" "$@"'
        )
        for tool in ("sha256sum", "cut", "cat"):
            (self.folder / tool).symlink_to(shutil.which(tool, path="/usr/bin:/bin"))

    def calls(self, word: str) -> list[dict]:
        lines = (self.folder / "calls").read_text(encoding="utf-8").splitlines()
        return [call for call in map(json.loads, lines) if word in call["argv"]]


def container_script(local: LocalServers) -> str:
    """The first block of the compose file, as a shell in the container would get it."""
    text = compose_file().read_text(encoding="utf-8")
    block = re.search(r"- -euc\n      - \|\n(.*?)\n    ports:", text, re.DOTALL)[1]
    script = re.sub(r"^ {8}", "", block, flags=re.MULTILINE).replace("$$", "$")
    return script.replace("port 6379", f"port {local.port}").replace(
        "dir /data", f"dir {local.programs}/data"
    )


@pytest.fixture
def local(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalServers]:
    with LocalServers(tmp_path, monkeypatch) as local:
        yield local


@pytest.fixture
def docker(local: LocalServers) -> FakeDocker:
    return FakeDocker(local)


async def test_with_an_engine_the_server_runs_in_a_container(local, docker):
    docker.install()
    docker.install_container()
    local.install_server()

    report = await start(local.spec())
    again = await start(local.spec())
    found = await status(local.spec())

    assert (report.already_running, report.backend, report.pid, report.log_file) == (
        False,
        Backend.COMPOSE,
        None,
        None,
    )
    assert (again.already_running, again.ours, again.backend) == (True, True, Backend.COMPOSE)
    assert (found.result, found.ours, found.version) == (ProbeResult.ANSWERING, True, report.version)
    assert len(docker.calls("up")) == 1


async def test_the_command_lines_are_right_and_hold_no_password(local, docker):
    docker.install()
    docker.install_container()

    await start(local.spec())
    await log_lines(local.spec(), tail=7)
    await stop(local.spec())

    project = ["docker", "compose", "-p", f"langcache-{local.port}", "-f", str(compose_file())]
    (up,), (logs,), (down,) = docker.calls("up"), docker.calls("logs"), docker.calls("stop")
    assert up["argv"] == [*project, "up", "-d", "redis"]
    assert logs["argv"] == [*project, "logs", "--no-color", "--no-log-prefix", "--tail", "7", "redis"]
    assert down["argv"] == [*project, "stop", "redis"]
    assert up["env"]["REDIS_PASSWORD"] == SECRET
    assert (up["env"]["REDIS_PORT"], up["env"]["REDIS_MAXMEMORY"]) == (str(local.port), "256mb")
    assert not any(SECRET in word for call in docker.calls("docker") for word in call["argv"])


async def test_stop_ends_the_container_and_a_second_stop_says_there_was_none(local, docker):
    docker.install()
    docker.install_container()
    await start(local.spec())

    first, second = await stop(local.spec()), await stop(local.spec())

    assert (first.stopped, first.backend, second.stopped) == (True, Backend.COMPOSE, False)
    assert await probe(local.spec()) is ProbeResult.NOTHING


async def test_restart_goes_through_compose_again_and_keeps_the_data(local, docker):
    docker.install()
    docker.install_container()
    await start(local.spec())
    async with client(local.spec()) as redis:
        await redis.set("word", "Haus")

    report = await restart(local.spec())

    assert report.start.backend is Backend.COMPOSE
    async with client(local.spec()) as redis:
        assert await redis.get("word") == "Haus"


@pytest.mark.parametrize(
    ("username", "password"),
    [(None, "with space"), (None, "quo\"te's"), ("ops", SECRET), (None, "pässwörd $HOME `id`"), (None, None)],
)
async def test_the_compose_file_takes_any_user_and_password(local, docker, username, password):
    docker.install()
    docker.install_container()
    spec = local.spec(username=username, password=password)

    await start(spec)

    assert await probe(spec) is ProbeResult.ANSWERING
    other = ProbeResult.WRONG_PASSWORD if password else ProbeResult.NO_PASSWORD
    assert await probe(local.spec(password="no")) is other
    server = local.servers()[0]
    if password:
        assert password not in " ".join(server.cmdline())
        assert password not in server.environ().values()


async def test_the_old_docker_compose_is_used_when_there_is_no_plugin(local, docker):
    docker.install("docker-compose")
    docker.install(plugin=False)
    (docker.folder / "plugin").unlink()
    docker.install_container()

    await start(local.spec())

    assert docker.calls("up")[0]["argv"][:2] == ["docker-compose", "-p"]


async def test_without_an_engine_the_installed_server_is_taken(local, docker):
    docker.install(engine=False)
    local.install_server()

    assert (await start(local.spec())).backend is Backend.BINARY
    assert docker.calls("up") == []


async def test_an_address_containers_are_not_published_on_is_served_without_docker(local, docker):
    docker.install()

    report = await start(local.spec(host="127.0.0.2"))

    assert report.backend is Backend.EMBEDDED
    assert await probe(local.spec(host="127.0.0.2")) is ProbeResult.ANSWERING


async def test_an_engine_that_refuses_is_quoted_without_the_password(local, docker):
    docker.install()
    (docker.folder / "full").touch()

    with pytest.raises(StartFailedError) as caught:
        await start(local.spec())

    assert caught.value.log_lines == ("no space left on device, said ***",)
    assert "--backend binary" in caught.value.hint
    assert (await stop(local.spec())).stopped is False


async def test_a_container_that_never_answers_is_stopped_again(local, docker):
    docker.install()

    with pytest.raises(NotAnsweringError) as caught:
        await start(local.spec(), wait_seconds=0.2)

    assert caught.value.log_lines == ("Ready to accept connections",)
    assert len(docker.calls("stop")) == 1
    assert (await status(local.spec())).ours is False


async def test_following_a_container_ends_the_log_command(local, docker):
    docker.install()
    docker.install_container()
    await start(local.spec())

    lines = [line async for line in follow(local.spec())]

    assert lines == ["Ready to accept connections"]
    assert "--follow" in docker.calls("logs")[0]["argv"]


async def test_the_shell_is_the_container_s_when_this_machine_has_none(local, docker, monkeypatch):
    docker.install()
    docker.install_container()
    await start(local.spec(db=2))
    monkeypatch.setattr("langcache_cli.servers.binaries._PACKAGES", ())

    command = await shell_command(local.spec(db=2))

    assert command.argv[:2] == ("docker", "compose")
    assert command.argv[-6:-2] == ("exec", "redis", "sh", "-c")
    assert command.argv[-1] == "2"
    assert not any(SECRET in word for word in command.argv)
