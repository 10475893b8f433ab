# SPDX-License-Identifier: GPL-2.0-or-later
# The stack's libfuse is at /stack. Asking for a server turns a silent "no libfuse found" into an error of configure.
# A variant adds its CFLAGS and LDFLAGS.
export PKG_CONFIG_PATH=/stack/lib/pkgconfig LDFLAGS="-L/stack/lib -Wl,-rpath,/stack/lib ${LDFLAGS:-}"
servers=--enable-fuse2fs
if [ -e /src/fuse4fs/Makefile.in ]; then servers="$servers --enable-fuse4fs"; fi
units=no # also those that have nothing to do with a server
if ls /src/fuse?fs/*.socket* > /dev/null 2>&1; then units=/stack/lib/systemd/system; fi
cd /obj
# shellcheck disable=SC2086 # the words of $servers
/src/configure --prefix=/stack --with-root-prefix=/stack --sysconfdir=/stack/etc --disable-nls --disable-uuidd \
	--disable-fsck $servers --with-udev-rules-dir=no --with-systemd-unit-dir=$units --with-crond-dir=no
make -j "$JOBS" V=1
make install DESTDIR=/out
rm -rf /out/stack/share/man /out/stack/share/info

has() { if [ -e "$1" ]; then echo yes; else echo no; fi; }
says() { if grep -q "$@"; then echo yes; else echo no; fi; }
dynamic() { readelf -d "$2" 2> /dev/null | sed -n "s/.*($1).*\[\(.*\)\].*/\1/p"; }
libfuse_of() { dynamic NEEDED "$1" | grep '^libfuse' || true; }
bin=/out/stack/bin
wanted=no package=fuse
if grep -q fuse3 /src/configure.ac; then wanted=yes package=fuse3; fi
# A server has iomap when configure found it and the server calls it; one may, and the other not.
configured=$(says '^#define HAVE_FUSE_IOMAP 1' lib/config.h)
has_iomap() {
	if [ $configured = no ] || [ ! -e "$1" ]; then echo no && return; fi
	# Not in a pipe: `grep -q` ends at its first match, and then nm dies of a broken pipe more often than not.
	nm -D --undefined-only "$1" > /tmp/undefined
	says iomap /tmp/undefined
}
fuse2fs_iomap=$(has_iomap $bin/fuse2fs)
fuse4fs_iomap=$(has_iomap $bin/fuse4fs)
iomap=no
if [ "$fuse2fs_iomap$fuse4fs_iomap" != nono ]; then iomap=yes; fi
cat > /out/facts <<FACTS
version=$(sed -n 's/^#define E2FSPROGS_VERSION "\(.*\)"/\1/p' /src/version.h)
libfuse=$(pkg-config --modversion $package)
libfuse3_wanted=$wanted
libfuse3_soname=$(dynamic SONAME /stack/lib/libfuse3.so)
libfuse3_iomap=$(says -r fuse_iomap /stack/include/fuse3)
fuse2fs=$(has $bin/fuse2fs)
fuse2fs_iomap=$fuse2fs_iomap
fuse2fs_libfuse=$(libfuse_of $bin/fuse2fs)
fuse2fs_rpath=$(dynamic 'R[UN]*PATH' $bin/fuse2fs)
fuse4fs=$(has $bin/fuse4fs)
fuse4fs_source=$(has /src/fuse4fs/Makefile.in)
fuse4fs_iomap=$fuse4fs_iomap
fuse4fs_libfuse=$(libfuse_of $bin/fuse4fs)
fuse4fs_rpath=$(dynamic 'R[UN]*PATH' $bin/fuse4fs)
fuse4fs_service=$(has /out/stack/lib/systemd/system/fuse4fs.socket)
api=$(sed -n 's/^#define FUSE_USE_VERSION \([0-9]*\)$/\1/p' lib/config.h)
iomap=$iomap
iomap_source=$(says HAVE_FUSE_IOMAP /src/configure.ac)
FACTS
# With counters: gcov wants what the compiler noted of each object.
(cd /obj && find . -name '*.gcno' -not -name 'conftest*' -exec sh -c 'mkdir -p /out/gcno && cp --parents -t /out/gcno "$@"' sh {} +)
