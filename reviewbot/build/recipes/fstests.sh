# SPDX-License-Identifier: GPL-2.0-or-later
# fstests builds in its tree and runs from it. A copy is built, from nothing: half a minute, and no program of another
# version of the tree stays behind. io_uring makes spurious EBUSY on umount with some servers, so it is left out.
export ac_cv_header_liburing_h=no
cp -a /src/. /obj
cd /obj
make -j "$JOBS"
mkdir -p /out/stack/fstests
tar -c --exclude=./.git --exclude='*.o' --exclude='*.lo' --exclude='*.la' --exclude=.libs --exclude=.dep \
	--exclude=./autom4te.cache . | tar -x -C /out/stack/fstests
if grep -q 'fuse\.ext' common/rc; then support=yes; else support=no; fi
without=
for feature in HAVE_AIO HAVE_FALLOCATE HAVE_LIBCAP; do # each decides whether dozens of tests run
	if grep -q "^$feature *= *false" include/builddefs; then without="$without $feature"; fi
done
cat > /out/facts <<FACTS
tests=$(cat tests/*/group.list | grep -c '^[0-9]')
without=$without
fuse_ext4_support=$support
FACTS
