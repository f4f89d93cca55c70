"""Runs a command on a kernel that knows fewer calls: without.py ERRNO LINKS COMMAND...

A seccomp filter answers `renameat2` with ERRNO where it has flags. Where LINKS is "no-links", it
answers `linkat` with EPERM. That is what a file system answers that knows neither.
"""

import ctypes
import os
import platform
import struct
import sys

LOAD, EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, FAIL = 0x7FFF0000, 0x00050000
FLAGS = 16 + 4 * 8  # the low half of the fifth argument
RENAMEAT2, LINKAT = {"x86_64": (316, 265), "aarch64": (276, 37)}[platform.machine()]
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2

errno, links, command = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
linkat = LINKAT if links == "no-links" else 0xFFFFFFFF
program = [
    (LOAD, 0, 0, 0),
    (EQUAL, 0, 1, linkat),
    (RETURN, 0, 0, FAIL | 1),
    (EQUAL, 0, 3, RENAMEAT2),
    (LOAD, 0, 0, FLAGS),
    (EQUAL, 1, 0, 0),
    (RETURN, 0, 0, FAIL | errno),
    (RETURN, 0, 0, ALLOW),
]
code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in program))


class Program(ctypes.Structure):
    _fields_ = [("len", ctypes.c_ushort), ("code", ctypes.c_void_p)]


libc = ctypes.CDLL(None, use_errno=True)
filter = Program(len(program), ctypes.cast(code, ctypes.c_void_p))
if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
    sys.exit(f"no_new_privs: {os.strerror(ctypes.get_errno())}")
if libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(filter), 0, 0):
    sys.exit(f"seccomp: {os.strerror(ctypes.get_errno())}")
os.execvp(command[0], command)
