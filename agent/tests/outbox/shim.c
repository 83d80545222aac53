/* Preloaded into the child: writes down, in order, what it does to the files below RIG_DIR, and lets chosen writes
 * find the disk full.
 *
 * RIG_LOG: the log, records of (op, path length, path, offset, length, data), little-endian; ops W(rite) T(runcate)
 * S(ync) D(atasync) R(ename, data = new path) U(nlink).
 * RIG_FULL_AT=n, RIG_FULL_FOR=k: writes n to n+k-1 (from 1) fail with ENOSPC, as does making a file longer.
 * RIG_KILL_AT=n: before the n-th thing that it would do to a file, the process is killed (as by kill -9).
 * RIG_COUNT: at the end the number of writes, and of all things done, is put into this file.
 * Files are followed by their descriptor from open on; what is opened outside RIG_DIR is not looked at.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MOST 4096
static pthread_mutex_t lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
static char *paths[MOST];
static const char *dir;
static size_t dir_length;
static int log_fd = -1;
static long writes, steps, full_at, full_for, kill_at;

#define REAL(name, type, ...) \
    static type (*real)(__VA_ARGS__); \
    if (!real) real = (type (*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

static long number(const char *name) {
    const char *text = getenv(name);
    return text ? atol(text) : 0;
}

__attribute__((constructor)) static void begin(void) {
    dir = getenv("RIG_DIR");
    dir_length = dir ? strlen(dir) : 0;
    full_at = number("RIG_FULL_AT");
    full_for = number("RIG_FULL_FOR");
    kill_at = number("RIG_KILL_AT");
    const char *log = getenv("RIG_LOG");
    if (log) log_fd = (int)syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

__attribute__((destructor)) static void end(void) {
    const char *count = getenv("RIG_COUNT");
    if (!count) return;
    char text[32];
    int length = snprintf(text, sizeof text, "%ld %ld", writes, steps);
    int fd = (int)syscall(SYS_openat, AT_FDCWD, count, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    syscall(SYS_write, fd, text, (size_t)length);
    syscall(SYS_close, fd);
}

static int ours(const char *path) {
    return dir && path && strncmp(path, dir, dir_length) == 0 && path[dir_length] == '/';
}

static const char *path_of(int fd) {
    return fd >= 0 && fd < MOST ? paths[fd] : NULL;
}

static void put(const void *bytes, size_t length) {
    const char *at = bytes;
    while (length > 0) {
        long done = syscall(SYS_write, log_fd, at, length);
        if (done <= 0) abort();
        at += done;
        length -= (size_t)done;
    }
}

static void note(char op, const char *path, uint64_t offset, const void *data, uint64_t length) {
    if (log_fd < 0) return;
    const char *below = path + dir_length + 1;
    uint16_t path_length = (uint16_t)strlen(below);
    put(&op, 1);
    put(&path_length, 2);
    put(below, path_length);
    put(&offset, 8);
    put(&length, 8);
    if (data) put(data, length);
}

/* One more thing to be done, if it gets that far. */
static void step(void) {
    steps++;
    if (steps == kill_at) syscall(SYS_kill, getpid(), SIGKILL);
}

/* One more write: true if it finds the disk full. */
static int is_full(void) {
    writes++;
    return full_at > 0 && writes >= full_at && writes < full_at + full_for;
}

static int opened(int fd, const char *path, int flags) {
    if (fd < 0 || fd >= MOST) return fd;
    pthread_mutex_lock(&lock);
    free(paths[fd]);
    paths[fd] = NULL;
    struct stat about;
    if (ours(path) && fstat(fd, &about) == 0 && S_ISREG(about.st_mode)) {
        paths[fd] = strdup(path);
        if (flags & O_TRUNC) note('T', path, 0, NULL, 0);
        if (flags & O_CREAT) note('T', path, (uint64_t)about.st_size, NULL, 0);
    }
    pthread_mutex_unlock(&lock);
    return fd;
}

#define MODE(flags) \
    mode_t mode = 0; \
    if ((flags) & (O_CREAT | O_TMPFILE)) { va_list list; va_start(list, flags); mode = (mode_t)va_arg(list, int); va_end(list); }

int open(const char *path, int flags, ...) {
    REAL("open", int, const char *, int, ...);
    MODE(flags);
    return opened(real(path, flags, mode), path, flags);
}

int open64(const char *path, int flags, ...) {
    REAL("open64", int, const char *, int, ...);
    MODE(flags);
    return opened(real(path, flags, mode), path, flags);
}

int close(int fd) {
    REAL("close", int, int);
    pthread_mutex_lock(&lock);
    if (fd >= 0 && fd < MOST) { free(paths[fd]); paths[fd] = NULL; }
    pthread_mutex_unlock(&lock);
    return real(fd);
}

static ssize_t write_at(int fd, const void *data, size_t length, off64_t offset, int positioned) {
    pthread_mutex_lock(&lock);
    const char *path = path_of(fd);
    ssize_t done;
    if (path) step();
    if (path && is_full()) {
        errno = ENOSPC;
        done = -1;
    } else {
        if (path && !positioned) {
            int append = fcntl(fd, F_GETFL) & O_APPEND;
            offset = lseek64(fd, 0, append ? SEEK_END : SEEK_CUR);
        }
        done = positioned ? syscall(SYS_pwrite64, fd, data, length, offset) : syscall(SYS_write, fd, data, length);
        if (path && done > 0) note('W', path, (uint64_t)offset, data, (uint64_t)done);
    }
    int kept = errno;
    pthread_mutex_unlock(&lock);
    errno = kept;
    return done;
}

ssize_t write(int fd, const void *data, size_t length) { return write_at(fd, data, length, 0, 0); }
ssize_t pwrite(int fd, const void *data, size_t length, off_t offset) { return write_at(fd, data, length, offset, 1); }
ssize_t pwrite64(int fd, const void *data, size_t length, off64_t offset) { return write_at(fd, data, length, offset, 1); }

static int truncated(int fd, off64_t length) {
    pthread_mutex_lock(&lock);
    const char *path = path_of(fd);
    struct stat about;
    int done = -1;
    if (path) step();
    if (path && fstat(fd, &about) == 0 && about.st_size < length && is_full()) {
        errno = ENOSPC;
    } else {
        done = (int)syscall(SYS_ftruncate, fd, length);
        if (path && done == 0) note('T', path, (uint64_t)length, NULL, 0);
    }
    pthread_mutex_unlock(&lock);
    return done;
}

int ftruncate(int fd, off_t length) { return truncated(fd, length); }
int ftruncate64(int fd, off64_t length) { return truncated(fd, length); }

static int synced(int fd, char op, long call) {
    pthread_mutex_lock(&lock);
    const char *path = path_of(fd);
    if (path) step();
    int done = (int)syscall(call, fd);
    if (path && done == 0) note(op, path, 0, NULL, 0);
    pthread_mutex_unlock(&lock);
    return done;
}

int fsync(int fd) { return synced(fd, 'S', SYS_fsync); }
int fdatasync(int fd) { return synced(fd, 'D', SYS_fdatasync); }

int rename(const char *from, const char *to) {
    REAL("rename", int, const char *, const char *);
    pthread_mutex_lock(&lock);
    if (ours(from)) step();
    int done = real(from, to);
    if (done == 0 && ours(from) && ours(to)) {
        note('R', from, 0, to + dir_length + 1, strlen(to) - dir_length - 1);
        /* A folder takes its files along. */
        size_t length = strlen(from);
        for (int fd = 0; fd < MOST; fd++)
            if (paths[fd] && strncmp(paths[fd], from, length) == 0 && (paths[fd][length] == 0 || paths[fd][length] == '/')) {
                char *moved = malloc(strlen(to) + strlen(paths[fd]) - length + 1);
                strcpy(moved, to);
                strcat(moved, paths[fd] + length);
                free(paths[fd]);
                paths[fd] = moved;
            }
    }
    pthread_mutex_unlock(&lock);
    return done;
}

int unlink(const char *path) {
    REAL("unlink", int, const char *);
    pthread_mutex_lock(&lock);
    if (ours(path)) step();
    int done = real(path);
    if (done == 0 && ours(path)) note('U', path, 0, NULL, 0);
    pthread_mutex_unlock(&lock);
    return done;
}
