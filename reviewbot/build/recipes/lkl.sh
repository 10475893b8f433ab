# SPDX-License-Identifier: GPL-2.0-or-later
# LKL builds in its tree and keeps its objects there. Which libfuse lklfuse wants is the tree's own choice.
export PKG_CONFIG_PATH=/stack/lib/pkgconfig LDFLAGS="-L/stack/lib -Wl,-rpath,/stack/lib"
export KBUILD_BUILD_TIMESTAMP='Thu Jan  1 00:00:00 UTC 1970' KBUILD_BUILD_USER=reviewbot KBUILD_BUILD_HOST=reviewbot
make -C tools/lkl -j "$JOBS" lklfuse || make -C tools/lkl -j "$JOBS"
mkdir -p /out/stack/bin
cp tools/lkl/lklfuse /out/stack/bin/
cat > /out/facts <<FACTS
version=$(make -s kernelversion ARCH=lkl 2>/dev/null || sed -n 's/^VERSION = //p' Makefile)
libfuse=$(readelf -d tools/lkl/lklfuse | sed -n 's/.*(NEEDED).*\[\(libfuse[^]]*\)\].*/\1/p')
FACTS
