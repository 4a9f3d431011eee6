"""The world that a program sees, as arguments of bubblewrap.

The system's programs and libraries (or an unpacked image as `/`), the folders it is given, /proc and /dev of its own,
no network, no capability, no environment but what is given, one user who is nobody. All of it is read-only but /output,
/tmp and /dev/shm, which live in memory, are limited in size and vanish with it. Its process namespace makes sure that
nothing it started outlives it.

Root never runs a program as root: a root without capabilities still owns /proc/sys, and with it the machine. He becomes
nobody, after the folders that are given were bound to a place that nobody can reach. Anybody else runs it as himself.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from vesalius.sandbox.limits import MB, Limits

SYSTEM = ("usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32", "etc/ld.so.cache", "etc/alternatives")
OWN = ("proc", "dev", "sys", "tmp", "input", "output", "program")  # never taken from an image
STAGE = next((place for place in ("/mnt", "/media", "/srv") if os.path.isdir(place)), "/tmp")
# Before root becomes nobody: folders (the arguments before "--") are bound into a private place, then seen at STAGE.
BECOME_NOBODY = f"""set -e; place=$1; shift; n=0; mount -t tmpfs -o mode=755 none "$place"
while [ "$1" != -- ]; do
  if [ -d "$1" ]; then mkdir "$place/$n"; else : > "$place/$n"; fi
  mount --rbind "$1" "$place/$n"; n=$((n + 1)); shift
done
shift; mount --rbind "$place" {STAGE}; exec setpriv --reuid 65534 --regid 65534 --clear-groups "$@" """
HIDDEN = ("keys", "key-users", "kcore", "kallsyms", "vmallocinfo", "slabinfo", "timer_list", "cmdline",
          "sched_debug", "sysrq-trigger", "kmsg", "locks")  # fmt: skip
ETC = {
    "passwd": "nobody:x:1000:1000:nobody:/tmp:/bin/sh\n",
    "group": "nobody:x:1000:\n",
    "hosts": "127.0.0.1 localhost\n::1 localhost\n",
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
    "resolv.conf": "nameserver 192.0.2.1\n",  # nobody's address: asking for a name is seen as looking for a way out
}
ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/tmp", "TMPDIR": "/tmp", "LANG": "C.UTF-8"}


def command(
    place: Path,
    limits: Limits,
    read_only: Mapping[Path, str],
    env: Mapping[str, str],
    root: Path | None,
    devices: Sequence[Path],
    descriptors: Mapping[str, int],
) -> list[str]:
    """The command that makes the world; a program and its arguments follow.

    Args:
        place: an empty folder for root's mounts; they are seen by no other process.
        limits, read_only, env, root, devices: as in `run`.
        descriptors: the open ones that bubblewrap writes to (`status`), reads (`block`, `calls`) and makes files of
            (those of `ETC`, by name).
    """
    seen = {path: str(path.absolute()) for path in [*read_only, *_system(root)]}
    become: list[str] = []
    if os.geteuid() == 0:
        given = [
            path for path in dict.fromkeys([*read_only, *(_system(root) if root else ())]) if not path.is_symlink()
        ]
        become = ["unshare", "--mount", "--propagation", "private", "--", "sh", "-c", BECOME_NOBODY, "sh", str(place)]
        become += [*(str(path.absolute()) for path in given), "--"]
        seen |= {path: f"{STAGE}/{n}" for n, path in enumerate(given)}
    # a core of at most one byte is none; 0 would still start the machine's core handler
    args = ["prlimit", "--core=1:1", "--", *become, "bwrap", "--json-status-fd", str(descriptors["status"])]
    args += ["--block-fd", str(descriptors["block"]), "--seccomp", str(descriptors["calls"])]
    args += ["--unshare-all", "--unshare-user", "--uid", "1000", "--gid", "1000", "--disable-userns"]
    args += ["--cap-drop", "ALL", "--die-with-parent", "--new-session", "--hostname", "localhost", "--clearenv"]
    for name, value in {**ENVIRONMENT, **env}.items():
        args += ["--setenv", name, value]
    for source in _system(root):
        inside = f"/{source.relative_to(root or '/')}"
        if source.is_symlink():
            args += ["--symlink", os.readlink(source), inside]
        else:
            args += ["--ro-bind", seen[source], inside]
    args += ["--proc", "/proc", "--ro-bind", "/proc/sys", "/proc/sys", "--dev", "/dev"]
    for name in HIDDEN:
        if Path("/proc", name).exists():
            args += ["--ro-bind", "/dev/null", f"/proc/{name}"]
    for device in devices:
        args += ["--dev-bind", str(device), str(device)]
    for writable in ("/dev/shm", "/tmp", "/output"):
        args += ["--size", str(limits.disk_mb * MB), "--tmpfs", writable]
    for path, where in read_only.items():
        args += ["--ro-bind", seen[path], where]
    for name in ETC:
        if root is None or (root / "etc" / name).is_file():  # a mount needs a place
            args += ["--ro-bind-data", str(descriptors[name]), f"/etc/{name}"]
    return [*args, "--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/tmp", "--"]


def _system(root: Path | None) -> list[Path]:
    if root is None:
        return [path for name in SYSTEM if (path := Path("/", name)).exists()]
    return sorted(path for path in root.iterdir() if path.name not in OWN)
