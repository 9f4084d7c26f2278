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
#include "marks.h"

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
    ducc_F_SETPIPE_SZ = 1031,
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

// makedev(3) and its like are macros.
static inline dev_t ducc_makedev(unsigned int major, unsigned int minor) { return makedev(major, minor); }
static inline unsigned int ducc_major(dev_t device) { return major(device); }
static inline unsigned int ducc_minor(dev_t device) { return minor(device); }

// A file in memory without a name, close-on-exec: what is given to a program to read without anybody having to wait.
#include <sys/mman.h>
extern int memfd_create(const char *name, unsigned int flags);
static inline int ducc_memory_file(const char *name) { return memfd_create(name, 1U); }

// A pipe whose ends no other program inherits. The first descriptor is read, the second written.
static inline int ducc_pipe(int ends[2]) {
    extern int pipe2(int[2], int);
    return pipe2(ends, O_CLOEXEC);
}

// Starting a program as another user, for which posix_spawn(3) has no attribute.
#include <errno.h>
#include <limits.h>
#include <signal.h>
extern pid_t _Fork(void);
extern int dup3(int descriptor, int number, int flags);
extern void closefrom(int from);

// Where a child failed.
enum { ducc_CHILD_FORK, ducc_CHILD_USER, ducc_CHILD_DIRECTORY, ducc_CHILD_DESCRIPTORS, ducc_CHILD_EXEC };

struct ducc_child {
    const char *program;
    char *const *arguments;
    char *const *environment;
    const char *search;       // what a bare name is looked for in
    const char *directory;    // or NULL
    int input, output, errors; // -1: stays as it is
    uid_t user;
    gid_t group;
    const gid_t *groups;
    size_t groupCount;
    // The soft limit on open descriptors; 0: as it is.
    uint64_t descriptors;
};

struct ducc_child_failure {
    int stage, code;
};

// execve(2) for each place where a bare name can be; returns the errno. No file without `#!` is given to a shell.
static inline int ducc_execute(const struct ducc_child *child) {
    if (__builtin_strchr(child->program, '/')) {
        execve(child->program, child->arguments, child->environment);
        return errno;
    }
    char path[PATH_MAX];
    size_t length = __builtin_strlen(child->program);
    int code = ENOENT;
    for (const char *place = child->search; length; place++) {
        size_t count = __builtin_strcspn(place, ":");
        if (count + length + 2 <= sizeof path) {
            __builtin_memcpy(path, place, count);
            path[count] = '/';
            // An empty place is the working directory.
            __builtin_memcpy(path + count + (count > 0), child->program, length + 1);
            execve(path, child->arguments, child->environment);
            if (errno == EACCES) code = EACCES;
            else if (errno != ENOENT && errno != ENOTDIR) return errno;
        }
        place += count;
        if (!*place) break;
    }
    return code;
}

// What the child does. It is a copy of one thread of a program that may have many: nothing here allocates or locks.
static inline struct ducc_child_failure ducc_become(const struct ducc_child *child, int *report) {
    struct ducc_child_failure failure = {ducc_CHILD_DESCRIPTORS, 0};
    // Out of the way of the numbers that are given out below, which any of these may have.
    int moved = fcntl(*report, F_DUPFD_CLOEXEC, 4);
    if (moved < 0) return failure.code = errno, failure;
    *report = moved;
    int given[3] = {child->input, child->output, child->errors};
    for (int number = 0; number < 3; number++) {
        if (given[number] < 0) continue;
        given[number] = fcntl(given[number], F_DUPFD_CLOEXEC, 4);
        if (given[number] < 0) return failure.code = errno, failure;
    }
    for (int number = 0; number < 3; number++)
        if (given[number] >= 0 && dup2(given[number], number) < 0) return failure.code = errno, failure;
    if (dup3(*report, 3, O_CLOEXEC) < 0) return failure.code = errno, failure;
    *report = 3;
    closefrom(4);
    uint64_t limit[2];
    if (child->descriptors && syscall(SYS_prlimit64, 0, 7 /* RLIMIT_NOFILE */, NULL, limit) == 0) {
        limit[0] = child->descriptors;
        syscall(SYS_prlimit64, 0, 7, limit, NULL);
    }
    setpgid(0, 0);

    // By raw system calls: the C library's would ask all threads to do the same, and there is only this one. Groups
    // first, for whoever isn't root any more can't change them.
    failure.stage = ducc_CHILD_USER;
    if (syscall(SYS_setgroups, child->groupCount, child->groups) != 0
        || syscall(SYS_setresgid, child->group, child->group, child->group) != 0
        || syscall(SYS_setresuid, child->user, child->user, child->user) != 0)
        return failure.code = errno, failure;

    // With the user's own rights.
    failure.stage = ducc_CHILD_DIRECTORY;
    if (child->directory && chdir(child->directory) != 0) return failure.code = errno, failure;

    // The two signals that the C library keeps for itself included. All zero means the default.
    const uint64_t nothing[4] = {0};
    for (int number = 1; number <= 64; number++) syscall(SYS_rt_sigaction, number, nothing, NULL, 8);
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, nothing, NULL, 8);

    failure.stage = ducc_CHILD_EXEC;
    failure.code = ducc_execute(child);
    return failure;
}

// Starts a program as another user. Returns the process, or -1 with what failed.
//
// fork and not vfork, which would be faster: while a vforked child is another user but still in our memory, that
// user's other processes could reach into it; the kernel prevents that by taking away the right to be traced or to
// dump core, and takes it from us for good, since it belongs to the memory.
static inline pid_t ducc_start_as(const struct ducc_child *child, struct ducc_child_failure *failure) {
    int ends[2];
    failure->stage = ducc_CHILD_FORK;
    extern int pipe2(int[2], int);
    if (pipe2(ends, O_CLOEXEC) != 0) return failure->code = errno, -1;

    // No handler of ours may run in the child.
    const uint64_t all = ~UINT64_C(0);
    uint64_t mask = 0;
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &mask, 8);
    pid_t process = _Fork();
    if (process == 0) {
        int report = ends[1];
        struct ducc_child_failure found = ducc_become(child, &report);
        if (write(report, &found, sizeof found) != sizeof found) _exit(126);
        _exit(127);
    }
    int code = errno;
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &mask, NULL, 8);
    close(ends[1]);
    ssize_t count = 0;
    if (process > 0) {
        // Ends with the program's start, which closes the other end, or with a failure's report.
        do count = read(ends[0], failure, sizeof *failure);
        while (count < 0 && errno == EINTR);
    } else {
        failure->code = code;
    }
    close(ends[0]);
    if (process < 0 || count == 0) return process;
    extern pid_t waitpid(pid_t, int *, int);
    while (waitpid(process, NULL, 0) < 0 && errno == EINTR) {}
    return -1;
}

// Whether this process may be traced and dump core (prctl(2), PR_GET_DUMPABLE): what ducc_start_as leaves as it is.
static inline int ducc_is_dumpable(void) { return (int)syscall(SYS_prctl, 3, 0, 0, 0, 0) == 1; }

/// The first place of some bytes in others (memmem(3)); NULL where there is none.
extern void *memmem(const void *haystack, size_t haystack_length, const void *needle, size_t needle_length);

