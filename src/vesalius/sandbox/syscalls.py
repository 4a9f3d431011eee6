"""System calls that a program has no need of, as a seccomp filter in classic BPF.

No network is the network namespace's business, which is empty. The filter closes what namespaces leave open: sockets
that lead past it (vsock to the machine's host, Bluetooth, ...), the caller's keyrings, and calls whose history is one
of holes in the kernel. Everything else is allowed: medical programs are Python, C++ and Java.
"""

import errno
import platform
import socket
import struct

from vesalius.errors import VesaliusError

ALLOW, ERRNO, KILL = 0x7FFF0000, 0x00050000, 0x80000000
LOAD, EQUAL, AT_LEAST, RETURN = 0x20, 0x15, 0x35, 0x06
NUMBER, ARCH, FIRST = 0, 4, 16  # offsets into struct seccomp_data; FIRST is the low half of the first argument

# AUDIT_ARCH, socket, and those denied: add_key request_key keyctl, perf_event_open bpf userfaultfd, io_uring_* (it
# opens sockets without socket(2)), kexec_load, open_by_handle_at, move_pages
MACHINES: dict[str, tuple[int, int, tuple[int, ...]]] = {
    "x86_64": (0xC000003E, 41, (248, 249, 250, 298, 321, 323, 425, 426, 427, 246, 304, 279)),
    "aarch64": (0xC00000B7, 198, (217, 218, 219, 241, 280, 282, 425, 426, 427, 104, 265, 239)),
}
FAMILIES = (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6, 16)  # 16 is netlink, in which libc looks for addresses
X32 = 0x40000000  # the same calls under other numbers, on x86_64


def program() -> bytes:
    """The filter, as bubblewrap's `--seccomp` reads it.

    Raises:
        VesaliusError: this machine's calls are not known.
    """
    machine = platform.machine()
    if machine not in MACHINES:
        problem = f"the calls of a {machine} cannot be limited"
        raise VesaliusError(problem, remedy=f"run it on {' or '.join(MACHINES)}, or as container:IMAGE", code="limit")
    arch, call, denied = MACHINES[machine]
    deny, no_family = ERRNO | errno.ENOSYS, ERRNO | errno.EAFNOSUPPORT
    steps: list[tuple[int, int, int, int]] = [
        (LOAD, 0, 0, ARCH), (EQUAL, 1, 0, arch), (RETURN, 0, 0, KILL),
        (LOAD, 0, 0, NUMBER), (AT_LEAST, 0, 1, X32), (RETURN, 0, 0, KILL),
    ]  # fmt: skip
    for number in denied:
        steps += [(EQUAL, 0, 1, number), (RETURN, 0, 0, deny)]
    steps += [(EQUAL, 1, 0, call), (RETURN, 0, 0, ALLOW), (LOAD, 0, 0, FIRST)]
    for family in FAMILIES:
        steps += [(EQUAL, 0, 1, int(family)), (RETURN, 0, 0, ALLOW)]
    steps.append((RETURN, 0, 0, no_family))
    return b"".join(struct.pack("<HBBI", *step) for step in steps)
