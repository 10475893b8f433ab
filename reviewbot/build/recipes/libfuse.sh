# SPDX-License-Identifier: GPL-2.0-or-later
# MESON_OPTIONS, and CFLAGS and LDFLAGS, which meson reads: of a variant.
# No set-uid, no device node, no init script, no udev rule: the guest's agent is root and needs none of them.
# Without a folder for units there is no fuservicemount3, which mounts contained services.
units=$(sed -n "s/^option('\(systemd[a-z-]*unit[a-z-]*\)'.*/-D\1=\/stack\/lib\/systemd\/system/p" /src/meson_options.txt)
# shellcheck disable=SC2086 # the words of $MESON_OPTIONS
meson setup /obj /src ${MESON_OPTIONS:-} $units --prefix=/stack --libdir=lib --sysconfdir=/stack/etc --buildtype=debugoptimized \
	-Dexamples=false -Dtests=false -Duseroot=false -Dinitscriptdir= -Dudevrulesdir=/stack/lib/udev/rules.d
ninja -C /obj -j "$JOBS"
DESTDIR=/out ninja -C /obj install
if grep -q fuse_iomap /out/stack/include/fuse3/*.h; then iomap=yes; else iomap=no; fi
cat > /out/facts <<FACTS
version=$(sed -n 's/^Version: //p' /out/stack/lib/pkgconfig/fuse3.pc)
soname=$(readelf -d /out/stack/lib/libfuse3.so | sed -n 's/.*(SONAME).*\[\(.*\)\].*/\1/p')
iomap=$iomap
iomap_enabled=$(if grep -qs 'capable_ext |= FUSE_CAP_IOMAP' /src/lib/fuse_lowlevel.c; then echo yes; else echo no; fi)
service=$(if [ -e /out/stack/sbin/fuservicemount3 ]; then echo yes; else echo no; fi)
symbols=$(readelf -VW /out/stack/lib/libfuse3.so | grep -o 'FUSE_[0-9.]*' | sort -V | tail -n 1)
protocol=$(sed -n 's/^#define FUSE_KERNEL_MINOR_VERSION \([0-9]*\)$/7.\1/p' /src/include/fuse_kernel.h)
FACTS
# With counters: gcov wants what the compiler noted of each object.
(cd /obj && find . -name '*.gcno' -not -name 'conftest*' -exec sh -c 'mkdir -p /out/gcno && cp --parents -t /out/gcno "$@"' sh {} +)
