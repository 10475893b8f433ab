# SPDX-License-Identifier: GPL-2.0-or-later
"""`deaf_fuse.py DIR`: a FUSE server that answers the first word of the kernel and then reads requests for ever.

Runs in the guest, with nothing but Python: a request that a server has read is waited for even by a task that was
killed, so its client is blocked until the connection is aborted.
"""

import ctypes
import os
import struct
import sys

ROOT_MODE = "40000"
INIT = 26

folder = sys.argv[1]
device = os.open("/dev/fuse", os.O_RDWR)
options = f"fd={device},rootmode={ROOT_MODE},user_id=0,group_id=0,allow_other"
if ctypes.CDLL(None, use_errno=True).mount(b"deaf", folder.encode(), b"fuse.deaf", 0, options.encode()):
    raise OSError(ctypes.get_errno(), "mount")
request = os.read(device, 1 << 20)
_, opcode, unique = struct.unpack_from("=IIQ", request)
assert opcode == INIT, opcode
# struct fuse_init_out: version, readahead, flags, background and congestion, write size, the rest of 64 bytes
answer = struct.pack("=IIIIHHIIHH", 7, 31, 1 << 17, 0, 12, 9, 1 << 17, 1, 32, 0).ljust(64, b"\0")
os.write(device, struct.pack("=IiQ", 16 + len(answer), 0, unique) + answer)
while True:
    os.read(device, 1 << 20)
