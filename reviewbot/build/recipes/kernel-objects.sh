# SPDX-License-Identifier: GPL-2.0-or-later
# Compiles the named objects, before `kernel.sh build` compiles all: those that failed when the build began elsewhere.
export KBUILD_BUILD_TIMESTAMP='Thu Jan  1 00:00:00 UTC 1970' KBUILD_BUILD_VERSION=1 \
	KBUILD_BUILD_USER=reviewbot KBUILD_BUILD_HOST=reviewbot
make -C /src O=/obj LOCALVERSION="$LOCAL_VERSION" -s -j "$JOBS" "$@"
