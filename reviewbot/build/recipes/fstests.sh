# SPDX-License-Identifier: GPL-2.0-or-later
# fstests runs from its build tree. io_uring makes spurious EBUSY on umount with some servers, so it is left out.
export ac_cv_header_liburing_h=no
make -j "$JOBS"
mkdir -p /out/stack/fstests
tar -c --exclude=./.git --exclude='*.o' --exclude='*.lo' --exclude='*.la' --exclude=./autom4te.cache . | tar -x -C /out/stack/fstests
if grep -q 'fuse\.ext' common/rc; then support=yes; else support=no; fi
cat > /out/facts <<FACTS
tests=$(cat tests/*/group.list | grep -c '^[0-9]')
fuse_ext4_support=$support
FACTS
