// System calls that fail, take their time or are noted down: what a disk does rarely, and no test can wait for.

import Platform

/// A library that a program is started with (`LD_PRELOAD`), in whose place of the C library's functions stand others.
package struct Interposed: Sendable {
    /// The environment to start a program with.
    package let environment: [String: String]
    private let log: String

    /// In front of each source: what its functions are made of.
    private static let prelude = """
        #define _GNU_SOURCE
        #include <dlfcn.h>
        #include <errno.h>
        #include <stdarg.h>
        #include <fcntl.h>
        #include <stdio.h>
        #include <stdlib.h>
        #include <string.h>
        #include <sys/stat.h>
        #include <sys/syscall.h>
        #include <time.h>
        #include <unistd.h>
        // Whether the descriptor is the file that the test is about.
        static int isStream(int descriptor) {
            struct stat one, other;
            return fstat(descriptor, &one) == 0 && stat(getenv("STREAM"), &other) == 0
                && one.st_ino == other.st_ino && one.st_dev == other.st_dev;
        }
        // A line in the log: what happened, and to which thread. One write, past the interposed ones.
        static void note(const char *what) {
            static int descriptor;
            char line[512];
            int saved = errno;
            if (!descriptor) descriptor = open(getenv("CALLS"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
            int length = snprintf(line, sizeof line, "%s %ld\\n", what, syscall(SYS_gettid));
            if (syscall(SYS_write, descriptor, line, length) != length) abort();
            errno = saved;
        }
        // A written line's action.
        static void noteAction(const void *bytes, size_t count) {
            const char *found = memmem(bytes, count, "\\"action\\":\\"", 10);
            char text[128];
            if (!found) return;
            found += 10;
            snprintf(text, sizeof text, "write %.*s", (int)strcspn(found, "\\""), found);
            note(text);
        }

        """

    /// Builds the library.
    ///
    /// - Parameters:
    ///   - source: the functions, in C, with `isStream`, `note` and `noteAction` at hand.
    ///   - stream: the file that `isStream` knows.
    package init(_ source: String, stream: String = "", in directory: TemporaryDirectory) throws {
        let name = RandomIdentifier.hex(4)
        let file = try directory.write("interposed-\(name).c", Self.prelude + source)
        let library = directory.path("interposed-\(name).so")
        log = directory.path("calls-\(name)")
        try runSuccessfully("clang", ["-shared", "-fPIC", "-O", "-o", library, file, "-ldl"])
        environment = ["LD_PRELOAD": library, "STREAM": stream, "CALLS": log]
    }

    /// What was noted so far: what happened, and in which thread.
    package func calls() throws -> [(what: String, thread: String)] {
        guard Files.exists(log) else { return [] }
        return try text(of: log).split(separator: "\n").map { line in
            let words = line.split(separator: " ")
            return (words.dropLast().joined(separator: " "), String(words.last ?? ""))
        }
    }

    /// In front of a program's name: the words that start it with the library.
    package var prefix: [String] { ["env"] + environment.map { "\($0)=\($1)" } }
}
