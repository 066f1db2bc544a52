/* A disk that fails and forgets, between a program and the C library (LD_PRELOAD; built by tests/integration/shim.rs).
 *
 * It stands in front of every call that changes files below FAULT_DIR. It injects what the control page asks for,
 * and it keeps a journal by which a test can turn the directory into what a power cut would have left.
 *
 *   FAULT_DIR       the directory, absolute
 *   FAULT_CONTROL   a file of CONTROL_WORDS int64, mapped: a test writes it, the faults apply at once
 *   FAULT_JOURNAL   the journal; without it nothing is recorded
 *   FAULT_GRAVE     a directory where removed files stay linked, by inode number, so that a removal can be undone
 *   FAULT_BOOT_ID   read in place of the kernel's boot id
 *
 * Journal: records of { kind u32, data_length u32, inode u64, offset u64, length u64, old_size u64, time_ns u64 } and
 * data.
 * A record is complete before its call is made, so a kill leaves at most a record whose call did not happen: undoing
 * that one changes nothing.
 *
 *   WRITE       data: the bytes that are written over
 *   TRUNCATE    offset: the new size; data: the bytes that are cut off
 *   SYNC_BEGIN  offset: a number; what was recorded before it is durable once SYNC_END with this number is there
 *   SYNC_END
 *   CREATE, UNLINK                    data: name
 *   RENAME                            data: old name, 0, new name; offset: inode that the new name had, or 0
 *
 * Inode 0 is the directory itself. A file's sync makes its bytes durable, not its name: that takes the directory's.
 * sync_file_range makes nothing durable and is not intercepted. RocksDB writes through no mapping.
 */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { WRITE = 1, TRUNCATE, SYNC_BEGIN, SYNC_END, CREATE, RENAME, UNLINK };

/* Words of the control page; tests/integration/shim.rs has the same list. */
enum {
    BUDGET,       /* bytes by which files may still grow, -1: as many as they like */
    WRITE_ERROR,  /* errno of every write, 0: none */
    SYNC_ERROR,   /* errno of syncs, 0: none */
    SYNC_COUNT,   /* how many syncs fail, -1: all */
    PATHS,        /* which files the faults concern: 1 logs, 2 tables, 4 manifests, 8 others */
    SHORT_WRITES, /* writes take half of what they are given */
    IGNORE_SYNC,  /* syncs say that they worked and do nothing */
    HOLD_SYNC,    /* syncs wait for as long as this is set */
    INJECTED,     /* counted here: faults injected so far */
    CONTROL_WORDS = 16
};

#define FD_COUNT 65536
#define NAME_BYTES 256

struct file {
    int tracked;
    int is_directory;
    int kind; /* as in PATHS */
    int reader;
    ino_t inode;
};

static struct file files[FD_COUNT];
static int64_t unlimited[CONTROL_WORDS] = { -1 };
static volatile int64_t *control = unlimited;
static char directory[4096], grave[4096], boot_id[4096];
static size_t directory_length;
static int journal = -1;
static uint64_t sync_number;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;

#define REAL(result, name, ...) static result (*real_##name)(__VA_ARGS__)
REAL(int, open, const char *, int, ...);
REAL(ssize_t, write, int, const void *, size_t);
REAL(ssize_t, pwrite, int, const void *, size_t, off_t);
REAL(int, fsync, int);
REAL(int, fdatasync, int);
REAL(int, ftruncate, int, off_t);
REAL(int, fallocate, int, int, off_t, off_t);
REAL(int, rename, const char *, const char *);
REAL(int, unlink, const char *);
REAL(int, link, const char *, const char *);
REAL(int, close, int);
REAL(int, statvfs, const char *, struct statvfs *);

static void copy_variable(char *target, const char *name) {
    const char *value = getenv(name);
    snprintf(target, 4096, "%s", value ? value : "");
}

static void start(void) {
#define FIND(name) *(void **)&real_##name = dlsym(RTLD_NEXT, #name)
    FIND(open); FIND(write); FIND(pwrite); FIND(fsync); FIND(fdatasync); FIND(ftruncate); FIND(fallocate);
    FIND(rename); FIND(unlink); FIND(link); FIND(close); FIND(statvfs);
    copy_variable(directory, "FAULT_DIR");
    copy_variable(grave, "FAULT_GRAVE");
    copy_variable(boot_id, "FAULT_BOOT_ID");
    directory_length = strlen(directory);
    const char *path = getenv("FAULT_CONTROL");
    int fd = path ? real_open(path, O_RDWR) : -1;
    if (fd >= 0) {
        void *page = mmap(NULL, CONTROL_WORDS * 8, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (page != MAP_FAILED) control = page;
        real_close(fd);
    }
    path = getenv("FAULT_JOURNAL");
    if (path) journal = real_open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static void begin(void) { pthread_once(&once, start); }

/* The name of a file in the directory, "" for the directory itself, NULL for all others. */
static const char *name_of(const char *path) {
    begin();
    if (!path || !directory_length || strncmp(path, directory, directory_length) != 0) return NULL;
    path += directory_length;
    if (*path && *path != '/') return NULL;
    while (*path == '/') path++;
    return path;
}

static int kind_of(const char *name) {
    const char *dot = strrchr(name, '.');
    if (dot && !strcmp(dot, ".log")) return 1;
    if (dot && !strcmp(dot, ".sst")) return 2;
    if (!strncmp(name, "MANIFEST-", 9)) return 4;
    return 8;
}

static struct file *file_of(int fd) {
    begin();
    return fd >= 0 && fd < FD_COUNT && files[fd].tracked ? &files[fd] : NULL;
}

static int injects(int kind) { return (control[PATHS] & kind) != 0; }

static int fail(int error) {
    __atomic_add_fetch(&control[INJECTED], 1, __ATOMIC_SEQ_CST);
    errno = error;
    return -1;
}

static void record(uint32_t kind, ino_t inode, uint64_t offset, uint64_t length, uint64_t old_size,
                   const void *data, uint32_t data_length) {
    if (journal < 0) return;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    struct { uint32_t kind, data_length; uint64_t inode, offset, length, old_size, time_ns; } head = {
        kind, data_length, inode, offset, length, old_size, now.tv_sec * 1000000000ull + now.tv_nsec };
    struct iovec parts[2] = { { &head, sizeof head }, { (void *)data, data_length } };
    syscall(SYS_writev, journal, parts, data_length ? 2 : 1);
}

static ino_t inode_of(const char *path) {
    struct stat status;
    return stat(path, &status) == 0 ? status.st_ino : 0;
}

/* Keeps a file that is about to lose its name. */
static void bury(const char *path, ino_t inode) {
    char target[4200];
    if (journal < 0 || !*grave || !inode) return;
    snprintf(target, sizeof target, "%s/%llu", grave, (unsigned long long)inode);
    real_link(path, target);
}

/* Records the bytes of [from, to) that a change destroys. */
static void record_change(uint32_t kind, int reader, ino_t inode, uint64_t offset, uint64_t length, uint64_t old_size,
                          uint64_t from, uint64_t to) {
    if (journal < 0) return;
    if (to > old_size) to = old_size;
    size_t wanted = to > from ? to - from : 0, have = 0;
    char *bytes = wanted ? malloc(wanted) : NULL;
    while (bytes && have < wanted) {
        ssize_t got = pread(reader, bytes + have, wanted - have, from + have);
        if (got <= 0) break;
        have += got;
    }
    record(kind, inode, offset, length, old_size, bytes, have);
    free(bytes);
}

static int open_tracked(const char *path, const char *name, int flags, mode_t mode) {
    pthread_mutex_lock(&lock);
    ino_t before = inode_of(path);
    int writes = (flags & O_ACCMODE) != O_RDONLY;
    if (before && writes && (flags & O_TRUNC)) {
        struct stat status;
        int reader = real_open(path, O_RDONLY | O_CLOEXEC);
        if (reader >= 0 && fstat(reader, &status) == 0 && status.st_size > 0)
            record_change(TRUNCATE, reader, before, 0, 0, status.st_size, 0, status.st_size);
        if (reader >= 0) real_close(reader);
    }
    int fd = real_open(path, flags, mode);
    int error = errno;
    struct stat status;
    if (fd >= 0 && fd < FD_COUNT && fstat(fd, &status) == 0) {
        if (!before && (flags & O_CREAT)) record(CREATE, status.st_ino, 0, 0, 0, name, strlen(name));
        int is_directory = S_ISDIR(status.st_mode);
        if (writes || is_directory) {
            int reader = is_directory ? -1 : real_open(path, O_RDONLY | O_CLOEXEC);
            files[fd] = (struct file){ 1, is_directory, kind_of(name), reader, is_directory ? 0 : status.st_ino };
        }
    }
    pthread_mutex_unlock(&lock);
    errno = error;
    return fd;
}

static int open_any(const char *path, int flags, mode_t mode) {
    const char *name = name_of(path);
    if (*boot_id && !strcmp(path, "/proc/sys/kernel/random/boot_id")) path = boot_id;
    return name ? open_tracked(path, name, flags, mode) : real_open(path, flags, mode);
}

#define MODE(flags) ({ mode_t mode = 0; if ((flags) & (O_CREAT | O_TMPFILE)) { \
    va_list list; va_start(list, flags); mode = va_arg(list, mode_t); va_end(list); } mode; })

int open(const char *path, int flags, ...) { mode_t mode = MODE(flags); return open_any(path, flags, mode); }
int open64(const char *path, int flags, ...) { mode_t mode = MODE(flags); return open_any(path, flags, mode); }
int creat(const char *path, mode_t mode) { return open_any(path, O_CREAT | O_WRONLY | O_TRUNC, mode); }

static int openat_any(int at, const char *path, int flags, mode_t mode) {
    begin();
    return at == AT_FDCWD || *path == '/' ? open_any(path, flags, mode) : syscall(SYS_openat, at, path, flags, mode);
}

int openat(int at, const char *path, int flags, ...) {
    mode_t mode = MODE(flags);
    return openat_any(at, path, flags, mode);
}
int openat64(int at, const char *path, int flags, ...) {
    mode_t mode = MODE(flags);
    return openat_any(at, path, flags, mode);
}

int close(int fd) {
    struct file *file = file_of(fd);
    if (file) {
        pthread_mutex_lock(&lock);
        if (file->reader >= 0) real_close(file->reader);
        file->tracked = 0;
        pthread_mutex_unlock(&lock);
    }
    return real_close(fd);
}

/* Takes what the growth of a file costs from the budget: the bytes that can be written. */
static size_t spend(uint64_t position, size_t length, uint64_t size) {
    int64_t budget = control[BUDGET];
    uint64_t end = position + length;
    int64_t growth = end > size ? end - size : 0;
    if (budget < 0 || growth == 0) return length;
    int64_t over = growth > budget ? growth - budget : 0;
    int64_t left = budget - (growth - over);
    /* Lost to a test that gives the space back at this moment. */
    __atomic_compare_exchange_n(&control[BUDGET], &budget, left, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    return (uint64_t)over >= length ? 0 : length - over;
}

/* position -1: where the descriptor stands. */
static ssize_t write_tracked(struct file *file, int fd, const void *bytes, size_t length, off_t position) {
    pthread_mutex_lock(&lock);
    struct stat status;
    fstat(fd, &status);
    uint64_t size = status.st_size;
    off_t at = position >= 0 ? position : (fcntl(fd, F_GETFL) & O_APPEND) ? status.st_size : lseek(fd, 0, SEEK_CUR);
    ssize_t result = -1;
    if (injects(file->kind)) {
        if (control[WRITE_ERROR]) { fail(control[WRITE_ERROR]); goto end; }
        if (control[SHORT_WRITES] && length > 1) { length /= 2; fail(0); }
        size_t affordable = spend(at, length, size);
        if (affordable == 0 && length > 0) { fail(ENOSPC); goto end; }
        length = affordable;
    }
    record_change(WRITE, file->reader, file->inode, at, length, size, at, at + length);
    result = position >= 0 ? real_pwrite(fd, bytes, length, position) : real_write(fd, bytes, length);
end:;
    int error = errno;
    pthread_mutex_unlock(&lock);
    errno = error;
    return result;
}

ssize_t write(int fd, const void *bytes, size_t length) {
    struct file *file = file_of(fd);
    return file ? write_tracked(file, fd, bytes, length, -1) : real_write(fd, bytes, length);
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t position) {
    struct file *file = file_of(fd);
    return file ? write_tracked(file, fd, bytes, length, position) : real_pwrite(fd, bytes, length, position);
}
ssize_t pwrite64(int fd, const void *bytes, size_t length, off_t position) {
    return pwrite(fd, bytes, length, position);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    struct file *file = file_of(fd);
    if (!file) return syscall(SYS_writev, fd, parts, count);
    ssize_t total = 0;
    for (int i = 0; i < count; i++) {
        ssize_t written = write_tracked(file, fd, parts[i].iov_base, parts[i].iov_len, -1);
        if (written < 0) return total ? total : -1;
        total += written;
        if ((size_t)written < parts[i].iov_len) break;
    }
    return total;
}

static int sync_tracked(struct file *file, int fd, int (*real)(int)) {
    if (injects(file->kind) && control[SYNC_ERROR] && control[SYNC_COUNT]) {
        if (control[SYNC_COUNT] > 0) __atomic_sub_fetch(&control[SYNC_COUNT], 1, __ATOMIC_SEQ_CST);
        return fail(control[SYNC_ERROR]);
    }
    if (control[IGNORE_SYNC]) { fail(0); return 0; }
    if (injects(file->kind) && control[HOLD_SYNC]) fail(0);
    while (injects(file->kind) && control[HOLD_SYNC]) usleep(1000);
    uint64_t number = __atomic_add_fetch(&sync_number, 1, __ATOMIC_SEQ_CST);
    pthread_mutex_lock(&lock);
    record(SYNC_BEGIN, file->inode, number, 0, 0, NULL, 0);
    pthread_mutex_unlock(&lock);
    int result = real(fd);
    if (result == 0) {
        pthread_mutex_lock(&lock);
        record(SYNC_END, file->inode, number, 0, 0, NULL, 0);
        pthread_mutex_unlock(&lock);
    }
    return result;
}

int fsync(int fd) {
    struct file *file = file_of(fd);
    return file ? sync_tracked(file, fd, real_fsync) : real_fsync(fd);
}

int fdatasync(int fd) {
    struct file *file = file_of(fd);
    return file ? sync_tracked(file, fd, real_fdatasync) : real_fdatasync(fd);
}

static void record_size(struct file *file, int fd, uint64_t size) {
    struct stat status;
    fstat(fd, &status);
    record_change(TRUNCATE, file->reader, file->inode, size, 0, status.st_size, size, status.st_size);
}

int ftruncate(int fd, off_t size) {
    struct file *file = file_of(fd);
    if (!file) return real_ftruncate(fd, size);
    pthread_mutex_lock(&lock);
    record_size(file, fd, size);
    int result = real_ftruncate(fd, size);
    pthread_mutex_unlock(&lock);
    return result;
}
int ftruncate64(int fd, off_t size) { return ftruncate(fd, size); }

int fallocate(int fd, int mode, off_t offset, off_t length) {
    struct file *file = file_of(fd);
    if (!file) return real_fallocate(fd, mode, offset, length);
    if (injects(file->kind) && control[BUDGET] >= 0 && length > control[BUDGET]) return fail(ENOSPC);
    pthread_mutex_lock(&lock);
    struct stat status;
    if (!(mode & FALLOC_FL_KEEP_SIZE) && fstat(fd, &status) == 0 && offset + length > status.st_size)
        record_size(file, fd, offset + length);
    int result = real_fallocate(fd, mode, offset, length);
    pthread_mutex_unlock(&lock);
    return result;
}
int fallocate64(int fd, int mode, off_t offset, off_t length) { return fallocate(fd, mode, offset, length); }

int rename(const char *old, const char *new) {
    const char *old_name = name_of(old), *new_name = name_of(new);
    if (!old_name || !new_name) return real_rename(old, new);
    char names[2 * NAME_BYTES];
    int length = snprintf(names, sizeof names, "%s%c%s", old_name, 0, new_name);
    pthread_mutex_lock(&lock);
    ino_t replaced = inode_of(new);
    bury(new, replaced);
    record(RENAME, inode_of(old), replaced, 0, 0, names, length);
    int result = real_rename(old, new);
    pthread_mutex_unlock(&lock);
    return result;
}
int renameat(int old_at, const char *old, int new_at, const char *new) {
    return old_at == AT_FDCWD && new_at == AT_FDCWD ? rename(old, new)
                                                    : syscall(SYS_renameat2, old_at, old, new_at, new, 0);
}

int unlink(const char *path) {
    const char *name = name_of(path);
    if (!name) return real_unlink(path);
    pthread_mutex_lock(&lock);
    ino_t inode = inode_of(path);
    bury(path, inode);
    if (inode) record(UNLINK, inode, 0, 0, 0, name, strlen(name));
    int result = real_unlink(path);
    int error = errno;
    pthread_mutex_unlock(&lock);
    errno = error;
    return result;
}

int link(const char *old, const char *new) {
    const char *name = name_of(new);
    if (!name) return real_link(old, new);
    pthread_mutex_lock(&lock);
    record(CREATE, inode_of(old), 0, 0, 0, name, strlen(name));
    int result = real_link(old, new);
    pthread_mutex_unlock(&lock);
    return result;
}

/* The budget is what is free. */
int statvfs(const char *path, struct statvfs *status) {
    const char *name = name_of(path);
    int result = real_statvfs(path, status);
    int64_t budget = control[BUDGET];
    if (name && result == 0 && budget >= 0) status->f_bfree = status->f_bavail = budget / status->f_frsize;
    return result;
}
int statvfs64(const char *path, struct statvfs64 *status) { return statvfs(path, (struct statvfs *)status); }
