// SPDX-License-Identifier: GPL-2.0-or-later
/* Between fuse4fs and libfuse: $FAULT names what goes wrong without a word. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

extern int fuse_reply_err(void *req, int err);

static int fault(const char *name)
{
	const char *wanted = getenv("FAULT");

	return wanted && !strcmp(wanted, name);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

int fuse_reply_entry_iflags(void *req, const void *entry, unsigned int flags)
{
	if (fault("attributes"))
		flags = 0;
	return REAL(fuse_reply_entry_iflags)(req, entry, flags);
}

int fuse_reply_create_iflags(void *req, const void *entry, unsigned int flags, const void *file)
{
	if (fault("attributes"))
		flags = 0;
	if (fault("not-exclusive"))
		flags &= ~2u;
	return REAL(fuse_reply_create_iflags)(req, entry, flags, file);
}

int fuse_reply_iomap_config(void *req, const void *config)
{
	if (fault("configuration"))
		return fuse_reply_err(req, EINVAL);
	return REAL(fuse_reply_iomap_config)(req, config);
}

/* As in the sixth version, which has no body in this reply. */
int fuse_reply_iomap_ioend(void *req, int64_t size)
{
	if (fault("structures"))
		return fuse_reply_err(req, 0);
	return REAL(fuse_reply_iomap_ioend)(req, size);
}

int fuse_lowlevel_iomap_device_add(void *session, int fd, unsigned int flags)
{
	if (fault("device"))
		return -ENODEV;
	return REAL(fuse_lowlevel_iomap_device_add)(session, fd, flags);
}

/* A library whose last patch is missing hides it from servers. */
_Bool fuse_get_feature_flag(void *connection, uint64_t flag)
{
	if (fault("library"))
		return 0;
	return REAL(fuse_get_feature_flag)(connection, flag);
}

struct mapping {
	uint64_t offset, length, addr;
	uint16_t type, flags;
	uint32_t dev;
};

/* One byte beside the block: not what the kernel takes for a mapping. */
int fuse_reply_iomap_begin(void *req, const struct mapping *read, const struct mapping *write)
{
	struct mapping wrong = *read;

	wrong.offset++;
	return REAL(fuse_reply_iomap_begin)(req, fault("mappings") ? &wrong : read, write);
}
