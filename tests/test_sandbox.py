"""What a hostile program does, and what becomes of it. Each test is a program that really runs."""

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from vesalius import sandbox
from vesalius.errors import VesaliusError
from vesalius.sandbox import Limits, bubblewrap, cgroups

TIGHT = Limits(seconds=2, memory_mb=96, disk_mb=8, processes=24, files=200)
PYTHON = "/usr/bin/python3"


def _refusal() -> str | None:
    try:
        sandbox.check(TIGHT)
    except VesaliusError as error:
        return str(error)
    return None


REFUSAL = _refusal()
runs = pytest.mark.skipif(REFUSAL is not None, reason=f"programs cannot be limited here: {REFUSAL}")
with_python = pytest.mark.skipif(not Path(PYTHON).exists(), reason=f"there is no {PYTHON} on this system")


def shell(script: str, tmp_path: Path, **more):
    return sandbox.run(["/bin/sh", "-c", script], tmp_path / "out", more.pop("limits", TIGHT), **more)


def python(script: str, tmp_path: Path, **more):
    return sandbox.run([PYTHON, "-c", script], tmp_path / "out", more.pop("limits", TIGHT), **more)


def alive(mark: str) -> bool:
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=False).stdout
    return any(line.strip() == mark for line in listed.splitlines())


def groups() -> list[Path]:
    own = f"vesalius-{os.getpid()}-*"
    return [path for places in cgroups._mounts().values() for place in places for path in place.glob(own)]


@runs
def test_a_program_that_ends_well_leaves_its_files_and_an_account(tmp_path):
    outcome = shell("mkdir /output/a; echo hello > /output/a/b; echo said; echo told >&2", tmp_path)
    assert (outcome.status, outcome.exit_code, outcome.reason) == ("ok", 0, None)
    assert (tmp_path / "out/a/b").read_text() == "hello\n"
    assert (outcome.stdout, outcome.stderr) == ("said\n", "told\n")
    assert outcome.memory_mb is not None and 0 < outcome.memory_mb < TIGHT.memory_mb
    assert outcome.cpu_seconds is not None and outcome.seconds is not None
    assert groups() == []


@runs
@pytest.mark.parametrize(("script", "code"), [("exit 3", 3), ("kill -SEGV $$", 139), ("kill -9 $$", 137)])
def test_a_crash_is_told_by_its_exit_code(tmp_path, script, code):
    outcome = shell(f"echo half > /output/x; {script}", tmp_path)
    assert (outcome.status, outcome.exit_code) == ("crashed", code)
    assert not (tmp_path / "out").exists()


@runs
def test_a_program_that_is_not_there_is_a_crash_that_says_so(tmp_path):
    outcome = sandbox.run(["/bin/no-such-program"], tmp_path / "out", TIGHT)
    assert outcome.status == "crashed" and "No such file" in outcome.stderr


@runs
@pytest.mark.parametrize("script", ["sleep 60", "trap '' TERM INT HUP QUIT; while :; do :; done", "kill -STOP $$"])
def test_a_program_that_hangs_is_stopped_whatever_signals_it_ignores(tmp_path, script):
    outcome = shell(script, tmp_path, limits=Limits(seconds=0.5, memory_mb=96, disk_mb=8, processes=24))
    assert outcome.status == "timeout" and outcome.exit_code is None
    assert groups() == []


@runs
@pytest.mark.parametrize("place", ["/output", "/tmp"])
def test_a_program_that_fills_the_disk_is_stopped_and_fills_nothing_of_ours(tmp_path, place):
    free = os.statvfs(tmp_path).f_bavail
    outcome = shell(f"cat /dev/zero > {place}/x; sleep 60", tmp_path)
    assert outcome.status == "disk" and place in outcome.reason
    assert free - os.statvfs(tmp_path).f_bavail < 100_000  # blocks; others write here too
    assert not (tmp_path / "out").exists()


@runs
def test_shared_memory_counts_as_memory(tmp_path):
    outcome = shell("cat /dev/zero > /dev/shm/x", tmp_path, limits=Limits(5, 32, 64, 24))
    assert outcome.status == "memory"


@runs
def test_files_without_number_are_stopped(tmp_path):
    outcome = shell("i=0; while :; do i=$((i+1)); : > /output/$i; done", tmp_path)
    assert outcome.status in ("disk", "output") and "200 files" in outcome.reason


@runs
def test_a_program_that_prints_without_end_is_stopped_and_only_the_tail_is_kept(tmp_path):
    outcome = shell("yes", tmp_path)
    assert outcome.status == "disk" and "prints" in outcome.reason
    assert len(outcome.stdout) <= 4096


@runs
def test_what_it_prints_cannot_steer_the_terminal(tmp_path):
    outcome = shell(r"printf '\033[2J\007\200bad' >&2; exit 1", tmp_path)
    assert "\x1b" not in outcome.stderr and "\x07" not in outcome.stderr and "bad" in outcome.stderr


@runs
@pytest.mark.parametrize("script", ["f() { f | f & }; f; sleep 60", "while :; do sleep 60 & done"])
def test_a_program_that_forks_without_end_is_stopped(tmp_path, script):
    outcome = shell(script, tmp_path)
    assert outcome.status == "processes" and "24" in outcome.reason
    assert groups() == []


@runs
@pytest.mark.parametrize("script", ["tail /dev/zero", "tail /dev/zero & wait; echo fine > /output/answer"])
def test_a_program_that_eats_memory_is_stopped_even_if_a_child_did(tmp_path, script):
    outcome = shell(script, tmp_path)
    assert outcome.status == "memory" and "96 MB" in outcome.reason


@runs
@with_python
def test_many_small_processes_share_one_memory_limit(tmp_path):
    script = (
        "import os, time\nfor _ in range(8):\n  if not os.fork(): x = b'1' * (20 << 20); time.sleep(9)\ntime.sleep(9)"
    )
    assert python(script, tmp_path).status == "memory"


@runs
@with_python
@pytest.mark.parametrize(
    "script",
    [
        "import socket; socket.create_connection(('192.0.2.7', 80), 1)",
        "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('198.51.100.1', 53))",
        "import socket; socket.socket(socket.AF_INET6).connect(('2001:db8::1', 80))",
        "import socket; socket.getaddrinfo('example.org', 80)",
    ],
)
def test_a_program_that_opens_a_socket_to_the_outside_fails_even_if_it_goes_on(tmp_path, script):
    swallowed = f"try:\n  {script}\nexcept OSError: pass\nopen('/output/answer', 'w').write('x')"
    outcome = python(swallowed, tmp_path)
    assert outcome.status == "network" and not (tmp_path / "out").exists()


@runs
@with_python
@pytest.mark.parametrize("family", [40, 17, 31, 38])  # vsock, packet, bluetooth, the kernel's cryptography
def test_sockets_that_lead_past_the_network_namespace_do_not_open(tmp_path, family):
    outcome = python(f"import socket; socket.socket({family}, socket.SOCK_RAW)", tmp_path)
    assert outcome.status == "crashed" and "Errno 97" in outcome.stderr


@runs
@with_python
def test_a_server_of_ours_on_this_machine_cannot_be_reached(tmp_path):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        outcome = python(f"import socket; socket.create_connection(('127.0.0.1', {port}), 1)", tmp_path)
    assert outcome.status == "crashed" and "refused" in outcome.stderr


@runs
def test_nothing_that_it_started_outlives_it(tmp_path):
    script = "(setsid sh -c 'trap \"\" TERM HUP; sleep 7531.5' &) ; (sleep 7531.5 &) ; sleep 0.2; echo x > /output/x"
    assert shell(script, tmp_path).status == "ok"
    assert not alive("sleep 7531.5")
    assert groups() == []


@runs
def test_nothing_is_written_outside_its_folder(tmp_path):
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_text("mine")
    places = "/ /usr /usr/bin /bin /etc /proc/sys/kernel /dev /input /home /root /var /proc/1 /sys"
    script = f"for p in {places} {precious}; do echo x > $p/intruder; done; echo x > /input/file; rm -r /input"
    script += "; echo x > /proc/sys/kernel/core_pattern; echo b > /proc/sysrq-trigger; mount -t tmpfs x /usr; true"
    before = Path("/proc/sys/kernel/core_pattern").read_text()
    outcome = shell(script, tmp_path, read_only={precious: "/input"})
    assert outcome.status == "ok" and list((tmp_path / "out").iterdir()) == []
    assert [p.name for p in precious.iterdir()] == ["file"] and (precious / "file").read_text() == "mine"
    assert Path("/proc/sys/kernel/core_pattern").read_text() == before
    assert not list(Path("/usr").glob("intruder"))


@runs
def test_it_is_nobody_without_capabilities_or_namespaces_of_its_own(tmp_path):
    outcome = shell("id -u; grep -E 'Cap|NoNewPrivs|Seccomp:' /proc/self/status", tmp_path)
    lines = outcome.stdout.split()
    assert lines[0] == "1000"
    capabilities = [lines[i + 1] for i, word in enumerate(lines) if word.startswith("Cap")]
    assert capabilities == ["0" * 16] * 5
    assert lines[lines.index("NoNewPrivs:") + 1] == "1" and lines[lines.index("Seccomp:") + 1] == "2"
    assert shell("unshare -Ur true", tmp_path).status == "crashed", "it could make a user namespace of its own"


@runs
def test_it_is_not_root_outside_either(tmp_path):
    with ThreadPoolExecutor() as pool:
        future = pool.submit(shell, "sleep 1.2345", tmp_path)
        end, owners = time.monotonic() + 10, []
        while not owners and time.monotonic() < end:
            listed = subprocess.run(["ps", "-eo", "uid,args"], capture_output=True, text=True, check=False).stdout
            owners = [line.split()[0] for line in listed.splitlines() if line.endswith(" sleep 1.2345")]
        assert owners and owners[0] != "0"
        assert future.result().status == "ok"


@runs
def test_secrets_of_the_caller_are_not_in_its_environment_or_proc(tmp_path, monkeypatch):
    monkeypatch.setenv("API_KEY", "hunter2-in-the-environment")
    outcome = shell("cat /proc/*/environ /proc/*/cmdline /proc/keys /proc/cmdline 2>/dev/null; env", tmp_path)
    assert "hunter2" not in outcome.stdout and "pytest" not in outcome.stdout
    outcome = shell("cat /proc/1/environ", tmp_path)
    assert os.getcwd() not in outcome.stdout and "HOME" not in outcome.stdout
    outcome = shell("ls /proc | grep -c '^[0-9]'; ls -1 /proc/self/fd | wc -l", tmp_path)
    processes, descriptors = map(int, outcome.stdout.split())
    assert processes <= 6 and descriptors <= 4  # its own, and the one that ls opens


@runs
@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("ln -s /etc/passwd /output/answer.json", "is a link"),
        ("ln -s /etc /output/folder", "is a link"),
        ("mkfifo /output/answer.json", "neither file nor folder"),
        ("truncate -s 1T /output/mask.nii.gz", "more than 8 MB"),
        ("cd /output; i=0; while [ $i -lt 40 ]; do mkdir d; cd d; i=$((i+1)); done", "deeper than 16"),
        ("mkdir /output/a; ln /output/nothing /output/b; ln -s ../../../etc/shadow /output/a/b", "is a link"),
    ],
)
def test_output_that_is_no_plain_file_is_refused_and_nothing_is_taken(tmp_path, script, words):
    outcome = shell(f"echo fine > /output/first; {script}; exit 0", tmp_path)
    assert outcome.status == "output" and words in outcome.reason
    assert not (tmp_path / "out").exists()


@runs
def test_files_that_it_locks_or_names_oddly_come_out_as_plain_files(tmp_path):
    outcome = shell("echo x > \"/output/$(printf 'a\\nb')\"; echo y > /output/-rf; chmod 4777 /output/-rf", tmp_path)
    assert outcome.status == "ok"
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["-rf", "a\nb"]
    assert not (tmp_path / "out/-rf").stat().st_mode & 0o7000


@runs
def test_an_unpacked_image_stands_as_the_root(tmp_path):
    image = tmp_path / "image"
    (image / "etc").mkdir(parents=True)
    (image / "etc/os-release").write_text("ID=theirs\n")
    for name in ("usr", "bin", "lib", "lib64"):
        source = Path("/", name)
        if source.is_symlink():
            (image / name).symlink_to(os.readlink(source))
    # a file system of one's own would be large: the system's /usr is given into it
    (image / "usr").mkdir()
    outcome = shell("cat /etc/os-release; touch /etc/x", tmp_path, root=image, read_only={Path("/usr"): "/usr"})
    assert "ID=theirs" in outcome.stdout and "Read-only" in outcome.stderr


@runs
def test_a_driver_that_is_killed_takes_the_program_with_it(tmp_path):
    script = (
        "from pathlib import Path; from vesalius import sandbox\n"
        f"limits, out = sandbox.Limits(60, 96, 8, 24), Path({str(tmp_path / 'out')!r})\n"
        "sandbox.run(['/bin/sh', '-c', 'sleep 7642.5'], out, limits)"
    )
    driver = subprocess.Popen([sys.executable, "-c", script])
    end = time.monotonic() + 20
    while not alive("sleep 7642.5") and time.monotonic() < end:
        time.sleep(0.05)
    assert alive("sleep 7642.5")
    driver.kill()
    driver.wait()
    while alive("sleep 7642.5") and time.monotonic() < end:
        time.sleep(0.05)
    assert not alive("sleep 7642.5")
    assert shell("true", tmp_path).status == "ok"  # and the next run removes the groups it left
    left = f"vesalius-{driver.pid}-*"
    assert not [p for places in cgroups._mounts().values() for place in places for p in place.glob(left)]


@runs
def test_a_limit_on_processor_time_holds(tmp_path):
    outcome = shell("while :; do :; done", tmp_path, limits=Limits(1, 96, 8, 24, cpus=0.2))
    assert outcome.status == "timeout"
    assert outcome.cpu_seconds is not None and outcome.cpu_seconds < 0.6  # of 1 s, where 0.2 are allowed


def test_without_bubblewrap_nothing_runs_and_the_remedy_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(VesaliusError, match=r"bwrap is not installed.*install bubblewrap"):
        shell("echo x > /output/x", tmp_path)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("missing", ["memory", "pids", "cpu"])
def test_a_limit_without_its_controller_is_refused_by_name(tmp_path, monkeypatch, missing):
    mounts = {name: [tmp_path, tmp_path] for name in ("memory", "pids", "cpu") if name != missing}
    monkeypatch.setattr(cgroups, "_mounts", lambda: mounts)
    monkeypatch.setattr(bubblewrap, "_check_tools", lambda: None)
    words = {"memory": "memory limit of 96 MB", "pids": "limit of 24 processes", "cpu": "limit of 2 cpus"}[missing]
    with pytest.raises(VesaliusError, match=rf"{words} cannot be enforced.*{missing}.*systemd-run") as caught:
        shell("true", tmp_path, limits=Limits(2, 96, 8, 24, cpus=2))
    assert caught.value.code == "limit"
    assert not list(tmp_path.iterdir())


def test_a_limit_that_does_not_hold_when_it_is_read_back_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(cgroups, "_mounts", lambda: {name: [tmp_path / name] for name in ("memory", "pids")})
    for name in ("memory", "pids"):
        (tmp_path / name).mkdir()
    kept = Path.read_text
    fake = lambda self, *a, **k: "max" if self.name == "pids.max" else kept(self, *a, **k)  # noqa: E731
    monkeypatch.setattr(Path, "read_text", fake)
    with (
        pytest.raises(VesaliusError, match=r"24 processes cannot be enforced: .*pids.max says max"),
        cgroups.group(TIGHT),
    ):
        pass


def test_controllers_of_one_hierarchy_share_a_group(tmp_path, monkeypatch):
    places = {"memory": "memory", "pids": "pids", "cpu": "cpu,cpuacct", "cpuacct": "cpu,cpuacct"}
    for name in places.values():
        (tmp_path / name).mkdir(exist_ok=True)
    monkeypatch.setattr(cgroups, "_mounts", lambda: {name: [tmp_path / place] for name, place in places.items()})
    folders = cgroups._make(Limits(2, 96, 8, 24, cpus=1)).folders
    assert folders["cpu"] == folders["cpuacct"] and len(set(folders.values())) == 3


def test_swap_that_nobody_counts_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(cgroups, "_mounts", lambda: {name: [tmp_path] for name in ("memory", "pids")})
    monkeypatch.setattr(cgroups, "_has_swap", lambda: True)
    with pytest.raises(VesaliusError, match=r"does not count this machine's swap"), cgroups.group(TIGHT):
        pass


def test_cgroup_v2_is_limited_by_its_documented_files(tmp_path, monkeypatch):
    """The kernel's interface (admin-guide/cgroup-v2) on a folder of plain files: which files, and what is in them."""
    (tmp_path / "cgroup.subtree_control").write_text("cpu memory pids")
    monkeypatch.setattr(cgroups, "_mounts", lambda: {"unified": [tmp_path, tmp_path]})
    made = cgroups._make(Limits(2, 96, 8, 24, cpus=1.5))
    folder = made.folders["memory"]
    (folder / "memory.swap.max").write_text("max")
    made.limit(Limits(2, 96, 8, 24, cpus=1.5))
    texts = {file.name: file.read_text() for file in folder.iterdir()}
    assert texts == {
        "memory.max": str(96 << 20), "memory.swap.max": "0", "pids.max": "24", "cpu.max": "150000 100000",
    }  # fmt: skip
    (folder / "memory.events").write_text("low 0\nhigh 0\nmax 9\noom 2\noom_kill 1\n")
    (folder / "pids.events").write_text("max 3\n")
    (folder / "cpu.stat").write_text("usage_usec 2500000\nuser_usec 1\n")
    (folder / "memory.peak").write_text(str(5 << 20))
    assert (made.memory_kills, made.refused_forks, made.cpu_seconds, made.memory_mb) == (1, 3, 2.5, 5)


def test_a_cgroup_v2_that_is_not_delegated_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(cgroups, "_mounts", lambda: {"unified": [tmp_path / "gone", tmp_path / "gone"]})
    with pytest.raises(VesaliusError, match=r"memory limit of 96 MB cannot be enforced.*Delegate=yes"):
        cgroups._make(TIGHT)
