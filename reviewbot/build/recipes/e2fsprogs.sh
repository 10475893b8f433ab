# SPDX-License-Identifier: GPL-2.0-or-later
# The stack's libfuse is at /stack; --enable-fuse2fs turns a silent "no libfuse found" into an error.
export PKG_CONFIG_PATH=/stack/lib/pkgconfig LDFLAGS="-L/stack/lib -Wl,-rpath,/stack/lib"
cd /obj
/src/configure --prefix=/stack --with-root-prefix=/stack --sysconfdir=/stack/etc --disable-nls --disable-uuidd \
	--disable-fsck --enable-fuse2fs --with-udev-rules-dir=no --with-systemd-unit-dir=no --with-crond-dir=no
make -j "$JOBS" V=1
make install DESTDIR=/out
rm -rf /out/stack/share/man /out/stack/share/info
has() { if [ -e "$1" ]; then echo yes; else echo no; fi; }
links() { if [ -e "$1" ]; then readelf -d "$1" | sed -n 's/.*(NEEDED).*\[\(libfuse[^]]*\)\].*/\1/p'; fi; }
if grep -q '^#define HAVE_FUSE_IOMAP' lib/config.h; then iomap=yes; else iomap=no; fi
cat > /out/facts <<FACTS
version=$(sed -n 's/^#define E2FSPROGS_VERSION "\(.*\)"/\1/p' /src/version.h)
fuse2fs=$(has /out/stack/bin/fuse2fs)
fuse4fs=$(has /out/stack/bin/fuse4fs)
fuse4fs_source=$(has /src/fuse4fs/Makefile.in)
fuse2fs_libfuse=$(links /out/stack/bin/fuse2fs)
fuse4fs_libfuse=$(links /out/stack/bin/fuse4fs)
libfuse3_wanted=$(if grep -q fuse3 /src/configure.ac; then echo yes; else echo no; fi)
iomap=$iomap
FACTS
