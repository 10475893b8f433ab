# SPDX-License-Identifier: GPL-2.0-or-later
"""Names and what hangs on them: files, directories, renames, links, extended attributes, ACLs."""

import ctypes
import errno
import os
import stat

from guest import Failed, NotRun, equal, expect, folder, read, refused, renameat2, run, supported, write

from smoke.rights import as_user

_EXCHANGE = 2


def files() -> None:
    """Create, write, append, overwrite, truncate, chmod, chown, times, unlink; an unlinked open file lives on."""
    os.chdir(folder("files"))
    content = bytes(range(256)) * 300  # 76800: whole blocks and a tail
    write("a", content)
    equal(os.stat("a").st_size, len(content), "size after writing")
    equal(read("a"), content, "content")
    with open("a", "ab") as file:
        file.write(b"tail")
    equal(read("a")[-6:], content[-2:] + b"tail", "appended")
    with open("a", "r+b") as file:
        file.seek(4090)
        file.write(b"across a block")
    equal(read("a")[4090:4104], b"across a block", "overwritten across a block boundary")
    _ends("a", len(content) + 4)
    os.truncate("a", 5000)
    os.truncate("a", 9000)
    equal(read("a")[5000:], bytes(4000), "bytes after truncating down and up")
    os.chmod("a", 0o6754)
    os.chown("a", 1234, 5678)
    os.chmod("a", 0o754)
    os.utime("a", ns=(10**18, 10**18 + 2 * 10**9))
    now = os.stat("a")
    equal((stat.S_IMODE(now.st_mode), now.st_uid, now.st_gid), (0o754, 1234, 5678), "mode, owner, group")
    equal((now.st_atime_ns, now.st_mtime_ns), (10**18, 10**18 + 2 * 10**9), "times")
    write("s", b"")
    os.chmod("s", 0o6777)
    os.chown("s", 1234, 5678)
    equal(oct(os.stat("s").st_mode & 0o6000), "0o0", "setuid and setgid bits of a file after chown(2)")
    os.chmod("s", 0o6777)
    if _append_as(4321, "s"):  # some servers refuse it, whatever the mode says
        equal(oct(os.stat("s").st_mode & 0o6000), "0o0", "setuid and setgid bits after a write by another user")
    handle = os.open("a", os.O_RDWR)
    os.unlink("a")
    refused(errno.ENOENT, "stat of an unlinked file", os.stat, "a")
    os.pwrite(handle, b"still here", 0)
    equal(os.pread(handle, 10, 0), b"still here", "an open file after unlink")
    os.close(handle)
    refused(errno.ENOENT, "opening a file that is not there", os.open, "nothing", os.O_RDONLY)
    write("b", b"")
    refused(errno.EEXIST, "O_EXCL on an existing file", os.open, "b", os.O_CREAT | os.O_EXCL | os.O_WRONLY)


def truncation() -> None:
    """O_TRUNC empties a file, also one that is open and cached."""
    os.chdir(folder("truncation"))
    write("f", b"long" * 20_000)
    with open("f", "rb") as file:
        write("f", b"short")
        equal(os.fstat(file.fileno()).st_size, 5, "size of a file that was long before O_TRUNC")
        equal(os.pread(file.fileno(), 100, 0), b"short", "content of a file that was long before O_TRUNC")


def _ends(path: str, size: int) -> None:
    """Reads and seeks at the end of a file, and a copy of it by sendfile(2)."""
    with open(path, "rb") as file, open(f"{path}-sent", "w+b") as target:
        handle = file.fileno()
        equal(os.lseek(handle, 0, os.SEEK_END), size, "what lseek(2) says of the end")
        equal(os.pread(handle, 100, size - 3), b"ail", "a read across the end")
        equal(os.pread(handle, 100, size + 5), b"", "a read behind the end")
        place = 0
        while sent := os.sendfile(target.fileno(), handle, place, size):
            place += sent
        expect(read(f"{path}-sent") == read(path), "sendfile(2) copies something else")
    os.unlink(f"{path}-sent")


def directories() -> None:
    """Many entries are listed exactly once, link counts follow, rmdir refuses what is not empty."""
    os.chdir(folder("directories"))
    names = {f"entry-{number:04d}-{'x' * (number % 40)}" for number in range(250)}
    os.mkdir("many")
    for name in names:
        os.close(os.open(f"many/{name}", os.O_CREAT | os.O_WRONLY))
    listed = os.listdir("many")
    equal(len(listed), len(names), "number of entries")
    equal(set(listed), names, "names")
    for name in sorted(names)[::2]:
        os.unlink(f"many/{name}")
    equal(set(os.listdir("many")), set(sorted(names)[1::2]), "names after removing every second")
    before = os.stat(".").st_nlink
    os.makedirs("a/b/c")
    equal(os.stat(".").st_nlink, before + 1, "link count of the parent")
    equal(os.stat("a").st_nlink, 3, "link count of a folder with one folder in it")
    refused(errno.ENOTEMPTY, "rmdir of a folder with entries", os.rmdir, "a")
    refused(errno.ENOTDIR, "a file used as a folder", os.listdir, f"many/{min(os.listdir('many'))}")
    os.removedirs("a/b/c")
    expect(not os.path.exists("a"), "a removed folder is still there")
    handle = os.open("many", os.O_RDONLY | os.O_DIRECTORY)
    for name in ("while", "it is", "open"):
        os.close(os.open(f"many/{name}", os.O_CREAT | os.O_WRONLY))
        os.lseek(handle, 0, os.SEEK_SET)
        expect(name in os.listdir(handle), "a directory that is open lacks a new name after rewinddir(3)")
    os.close(handle)


def rename() -> None:
    """Over nothing, over a file, across directories, of directories; what must be refused is."""
    os.chdir(folder("rename"))
    os.makedirs("d1/sub")
    os.mkdir("d2")
    write("one", b"one")
    write("two", b"two")
    inode = os.stat("one").st_ino
    os.rename("one", "new")
    equal((read("new"), os.stat("new").st_ino), (b"one", inode), "content and inode after a rename")
    expect(not os.path.exists("one"), "the old name is still there")
    kept = os.open("two", os.O_RDONLY)
    os.rename("new", "two")
    equal(read("two"), b"one", "content after a rename over a file")
    equal(os.read(kept, 10), b"two", "the replaced file, which was open")
    equal(os.fstat(kept).st_nlink, 0, "link count of the replaced file")
    os.close(kept)
    inside = os.open("two", os.O_RDWR)
    os.rename("two", "d2/moved")
    os.rename("d2", "d3")
    os.pwrite(inside, b"ONE", 0)
    equal((os.pread(inside, 9, 0), read("d3/moved")), (b"ONE", b"ONE"), "a file that was open during two renames")
    os.pwrite(inside, b"one", 0)
    os.close(inside)
    os.rename("d3", "d2")
    equal((os.listdir("d2"), read("d2/moved")), (["moved"], b"one"), "after a rename to another directory")
    os.rename("d1/sub", "d2/sub")
    equal(os.stat("d2/sub/..").st_ino, os.stat("d2").st_ino, "`..` of a moved directory")
    equal((os.stat("d1").st_nlink, os.stat("d2").st_nlink), (2, 3), "link counts of the parents")
    refused(errno.ENOTEMPTY, "rename over a directory with entries", os.rename, "d1", "d2")
    refused(errno.EINVAL, "rename of a directory into itself", os.rename, "d2", "d2/sub/x")
    os.mkdir("empty")
    os.rename("d2/sub", "empty")
    equal((os.listdir("d2"), os.stat("d2").st_nlink), (["moved"], 2), "after a rename over an empty directory")
    write("file", b"")
    refused(errno.EISDIR, "rename of a file over a directory", os.rename, "file", "d1")
    refused(errno.ENOTDIR, "rename of a directory over a file", os.rename, "d1", "file")


def exchange() -> None:
    """renameat2(RENAME_EXCHANGE), where the filesystem has it."""
    os.chdir(folder("exchange"))
    write("a", b"a")
    os.mkdir("b")
    with supported("RENAME_EXCHANGE", errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):
        renameat2("a", "b", _EXCHANGE)
    if not os.path.isdir("a"):
        raise Failed("RENAME_EXCHANGE was carried out as a plain rename")
    equal(read("b"), b"a", "content of `b`")


def links() -> None:
    """Hard links share an inode and count; symbolic links of any length, also dangling."""
    os.chdir(folder("links"))
    write("file", b"content")
    os.mkdir("d")
    os.link("file", "d/hard")
    numbers = {os.stat("file").st_ino, os.stat("d/hard").st_ino}
    equal(os.stat("file").st_nlink, 2, "link count")
    with open("d/hard", "ab") as file:
        file.write(b" more")
    equal(read("file"), b"content more", "content through the other name")
    os.unlink("file")
    equal((read("d/hard"), os.stat("d/hard").st_nlink), (b"content more", 1), "after one name is gone")
    # Inside the inode and in a block, which the longest has to fit into.
    for length in (length for length in (1, 59, 60, 1000, 4000) if length < os.statvfs(".").f_bsize):
        target = "t" * length
        os.symlink(target, f"s{length}")
        equal(os.readlink(f"s{length}"), target, f"symbolic link of {length} bytes")
        equal(os.lstat(f"s{length}").st_size, length, f"size of a symbolic link of {length} bytes")
    os.symlink("d/hard", "through")
    equal(read("through"), b"content more", "content through a symbolic link")
    refused(errno.ENOENT, "a dangling symbolic link", os.stat, "s1")
    os.symlink("loop", "loop")
    refused(errno.ELOOP, "a symbolic link to itself", os.stat, "loop")
    refused(errno.EPERM, "a hard link to a directory", os.link, "d", "dd")
    if len(numbers) > 1:
        raise Failed("the two names of a file have different inode numbers")


def xattr() -> None:
    """user.* attributes: set, replace, list, remove; small, large, on directories."""
    os.chdir(folder("xattr"))
    write("f", b"")
    try:
        os.setxattr("f", "user.first", b"1")
    except OSError as error:
        if error.errno == errno.EOPNOTSUPP:
            raise NotRun("this mount has no user.* attributes (EOPNOTSUPP)") from None
        raise
    block = os.statvfs(".").f_bsize  # all attributes of a file share one
    large = b"x" * min(2000, block // 2)
    os.setxattr("f", "user.second", large)
    os.setxattr("f", "user.first", b"replaced", os.XATTR_REPLACE)
    equal(os.getxattr("f", "user.first"), b"replaced", "a replaced attribute")
    equal(os.getxattr("f", "user.second"), large, f"an attribute of {len(large)} bytes")
    equal(sorted(n for n in os.listxattr("f") if n.startswith("user.")), ["user.first", "user.second"], "names")
    os.removexattr("f", "user.first")
    refused(errno.ENODATA, "reading a removed attribute", os.getxattr, "f", "user.first")
    equal(_room("f", "user.second", 0), len(large), "getxattr(2) that asks for the size")
    refused(errno.ERANGE, "getxattr(2) with too little room", _room, "f", "user.second", 3)
    refused(errno.ERANGE, "listxattr(2) with too little room", _room, "f", "", 3)
    os.mkdir("d")
    os.setxattr("d", "user.dir", b"\x00\xff")
    equal(os.getxattr("d", "user.dir"), b"\x00\xff", "attribute of a directory")
    write("g", b"")
    for number in range(4):
        for size in (size for size in (1, 100, 500, 1000, 1030, 1500, 2000, 3000) if size < block - 100):
            value = bytes([65 + number]) * size
            os.setxattr("g", "user.sized", value)
            equal(os.getxattr("g", "user.sized"), value, f"an attribute of {size} bytes in place of another")
    refused(errno.ENODATA, "removing an attribute that is not there", os.removexattr, "f", "user.first")


def _room(path: str, name: str, size: int) -> int:
    """What getxattr(2), or without a name listxattr(2), answers when it has room for so many bytes. Raises OSError."""
    libc, buffer = ctypes.CDLL(None, use_errno=True), ctypes.create_string_buffer(size + 1)
    words = (os.fsencode(path), name.encode(), buffer, size)
    answer: int = libc.getxattr(*words) if name else libc.listxattr(words[0], buffer, size)
    if answer < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return answer


def acl() -> None:
    """An ACL is stored, shown, and decides who may read."""
    os.chdir(folder("acl"))
    write("f", b"secret")
    os.chmod("f", 0o600)
    _setfacl("-m", "u:1234:r", "f")
    shown = run("getfacl", "-cn", "f").stdout
    expect("user:1234:r--" in shown, f"getfacl does not show the entry: {shown!r}")
    equal(_read_as(4321, "f"), None, "what user 4321 reads of a file that only 1234 may read")
    if _read_as(1234, "f") != b"secret":
        raise Failed("an ACL that lets user 1234 read is stored, and 1234 may not read")


def default_acl() -> None:
    """A default ACL is inherited, by files created later."""
    os.chdir(folder("default-acl"))
    os.mkdir("d")
    _setfacl("-d", "-m", "u:1234:rx", "d")
    write("d/child", b"")
    shown = run("getfacl", "-cn", "d/child").stdout
    if "user:1234:" not in shown:
        raise Failed("the default ACL was not inherited")
    expect("user:1234:r-x" in shown, f"the default ACL was inherited wrongly: {shown!r}")


def _setfacl(*words: str) -> None:
    done = run("setfacl", *words, check=False)
    if done.returncode and "not supported" in done.stdout:
        raise NotRun("this mount has no POSIX ACLs (setfacl: Operation not supported)")
    if done.returncode:
        raise Failed(done.stdout.strip())


def _read_as(user: int, path: str) -> bytes | None:
    """Content as another user sees it, None when refused."""
    return as_user(user, lambda: read(path))


def _append_as(user: int, path: str) -> bool:
    """Whether another user may."""

    def append() -> bytes:
        with open(path, "ab") as file:
            file.write(b"more")
        return b""

    return as_user(user, append) is not None


CHECKS = {
    "files": files, "truncation": truncation, "directories": directories, "rename": rename, "exchange": exchange,
    "links": links, "xattr": xattr, "acl": acl, "default-acl": default_acl,
}  # fmt: skip
