#pragma once
// What Linux has and Swift's Glibc module doesn't show: variadic system calls, and declarations behind _GNU_SOURCE.
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <spawn.h>
#include <sys/eventfd.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <sys/xattr.h>

// openat2(2) has no wrapper in the C library. Resolves `path` at `directory` under `resolve`'s restrictions.
static inline int ducc_openat2(int directory, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve) {
    struct open_how how = {.flags = flags, .mode = mode, .resolve = resolve};
    return (int)syscall(SYS_openat2, directory, path, &how, sizeof how);
}

// Exchanges two names in one step (renameat2(2), RENAME_EXCHANGE).
static inline int ducc_exchange(const char *one, const char *other) {
    return (int)syscall(SYS_renameat2, AT_FDCWD, one, AT_FDCWD, other, 2);
}

// pidfd_open(2): a descriptor that is readable once the process has ended.
static inline int ducc_pidfd_open(pid_t process) { return (int)syscall(SYS_pidfd_open, process, 0); }

enum {
    ducc_O_PATH = 010000000,
    ducc_AT_EMPTY_PATH = 0x1000,
    ducc_F_OFD_SETLK = 37,
    ducc_RESOLVE_NO_MAGICLINKS = RESOLVE_NO_MAGICLINKS,
    ducc_RESOLVE_NO_SYMLINKS = RESOLVE_NO_SYMLINKS,
    ducc_RESOLVE_IN_ROOT = RESOLVE_IN_ROOT
};

extern const char *strerrordesc_np(int code);
extern int syncfs(int descriptor);
extern ssize_t copy_file_range(int input, int64_t *inputOffset, int output, int64_t *outputOffset, size_t count,
                               unsigned int flags);
extern int posix_spawn_file_actions_addclosefrom_np(posix_spawn_file_actions_t *actions, int from);
extern int posix_spawn_file_actions_addchdir_np(posix_spawn_file_actions_t *actions, const char *path);

// A non-blocking, close-on-exec event counter.
static inline int ducc_eventfd(void) { return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK); }

// Sending to a socket without waiting and without SIGPIPE: an enum that Swift doesn't take for a number.
#include <sys/socket.h>
enum { ducc_MSG_DONTWAIT_NOSIGNAL = MSG_DONTWAIT | MSG_NOSIGNAL };

// makedev(3) is a macro.
static inline dev_t ducc_makedev(unsigned int major, unsigned int minor) { return makedev(major, minor); }

// A file in memory without a name, close-on-exec: what is given to a program to read without anybody having to wait.
#include <sys/mman.h>
extern int memfd_create(const char *name, unsigned int flags);
static inline int ducc_memory_file(const char *name) { return memfd_create(name, 1U); }

// A pipe whose ends no other program inherits. The first descriptor is read, the second written.
static inline int ducc_pipe(int ends[2]) {
    extern int pipe2(int[2], int);
    return pipe2(ends, O_CLOEXEC);
}
