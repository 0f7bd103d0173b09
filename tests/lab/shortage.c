/* A file system that is full, over a quota, read-only, failing or without memory for a while: loaded into a
 * service with LD_PRELOAD.
 *
 * SHORTAGE names a file whose first four bytes are an errno, or 0 while all is well; whoever writes
 * another one there switches it. SHORTAGE_FOLDER is the folder in which what needs room then fails; with EIO
 * reads and syncs fail too, with ENOMEM whatever is opened.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static volatile int *now;
static const char *folder = "";

__attribute__((constructor)) static void begin(void)
{
    const char *name = getenv("SHORTAGE");
    int file = name ? open(name, O_RDONLY | O_CLOEXEC) : -1;
    if (file >= 0) {
        now = mmap(NULL, sizeof(int), PROT_READ, MAP_SHARED, file, 0);
        close(file);
        folder = getenv("SHORTAGE_FOLDER");
    }
}

static int is_inside(const char *path) { return strncmp(path, folder, strlen(folder)) == 0; }

static int fails_at(const char *path)
{
    int number = now ? *now : 0; /* Read once: it may be switched off meanwhile, and no call fails with errno 0. */
    if (!number || !is_inside(path))
        return 0;
    errno = number;
    return 1;
}

static int fails(int descriptor)
{
    char link[64], path[4096];
    if (!now || !*now)
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0)
        return 0;
    path[length] = 0;
    return fails_at(path);
}

#define REAL(name) static __typeof__(&name) real; if (!real) real = dlsym(RTLD_NEXT, #name)

ssize_t write(int fd, const void *bytes, size_t size)
{
    REAL(write);
    return fails(fd) ? -1 : real(fd, bytes, size);
}

ssize_t pwrite64(int fd, const void *bytes, size_t size, off64_t at)
{
    REAL(pwrite64);
    return fails(fd) ? -1 : real(fd, bytes, size, at);
}

ssize_t pwrite(int fd, const void *bytes, size_t size, off_t at)
{
    REAL(pwrite);
    return fails(fd) ? -1 : real(fd, bytes, size, at);
}

static int fails_with(int number, int descriptor) { return now && *now == number && fails(descriptor); }

ssize_t read(int fd, void *bytes, size_t size)
{
    REAL(read);
    return fails_with(EIO, fd) ? -1 : real(fd, bytes, size);
}

ssize_t pread64(int fd, void *bytes, size_t size, off64_t at)
{
    REAL(pread64);
    return fails_with(EIO, fd) ? -1 : real(fd, bytes, size, at);
}

int fsync(int fd)
{
    REAL(fsync);
    return fails_with(EIO, fd) ? -1 : real(fd);
}

int fdatasync(int fd)
{
    REAL(fdatasync);
    return fails_with(EIO, fd) ? -1 : real(fd);
}

int ftruncate64(int fd, off64_t size)
{
    REAL(ftruncate64);
    return fails(fd) ? -1 : real(fd, size);
}

int fallocate64(int fd, int mode, off64_t at, off64_t size)
{
    REAL(fallocate64);
    return fails(fd) ? -1 : real(fd, mode, at, size);
}

int rename(const char *from, const char *to)
{
    REAL(rename);
    return fails_at(to) ? -1 : real(from, to);
}

/* What is removed needs no room, but cannot be where nothing may be written. */
int unlink(const char *path)
{
    REAL(unlink);
    return now && *now == EROFS && fails_at(path) ? -1 : real(path);
}

static int opens(const char *path, int flags)
{
    return flags & (O_CREAT | O_TRUNC | O_TMPFILE) || (now && *now == ENOMEM) || (now && *now == EROFS && flags & (O_WRONLY | O_RDWR))
               ? fails_at(path)
               : 0;
}

#define OPEN(name)                                                                                                 \
    int name(const char *path, int flags, ...)                                                                     \
    {                                                                                                              \
        va_list more;                                                                                              \
        va_start(more, flags);                                                                                     \
        int mode = va_arg(more, int);                                                                              \
        va_end(more);                                                                                              \
        REAL(name);                                                                                                \
        return opens(path, flags) ? -1 : real(path, flags, mode);                                                  \
    }

OPEN(open)
OPEN(open64)
