/* The disk fails under the index at the worst moment: loaded into a service with LD_PRELOAD.
 *
 * Once a blob has got its name, the next sync of SQLite's log says EIO, although its bytes have
 * been written, and from then on so does every write to the log.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int is_armed, is_broken;

static int is_log(int descriptor)
{
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, sizeof path - 1);
    return length > 4 && memcmp(path + length - 4, "-wal", 4) == 0;
}

static int fails(int descriptor)
{
    if (!is_armed || !is_log(descriptor))
        return 0;
    is_broken = 1;
    errno = EIO;
    return 1;
}

int rename(const char *from, const char *to)
{
    static int (*real)(const char *, const char *);
    if (!real)
        real = dlsym(RTLD_NEXT, "rename");
    int result = real(from, to);
    if (strstr(to, "/blobs/"))
        is_armed = 1;
    return result;
}

int fsync(int descriptor)
{
    static int (*real)(int);
    if (!real)
        real = dlsym(RTLD_NEXT, "fsync");
    return fails(descriptor) ? -1 : real(descriptor);
}

int fdatasync(int descriptor)
{
    static int (*real)(int);
    if (!real)
        real = dlsym(RTLD_NEXT, "fdatasync");
    return fails(descriptor) ? -1 : real(descriptor);
}

ssize_t pwrite64(int descriptor, const void *bytes, size_t length, off64_t offset)
{
    static ssize_t (*real)(int, const void *, size_t, off64_t);
    if (!real)
        real = dlsym(RTLD_NEXT, "pwrite64");
    return is_broken && fails(descriptor) ? -1 : real(descriptor, bytes, length, offset);
}
