// Renames that take a while, so that what happens between two of them can be looked at, or struck.

import Platform

/// A library that a program is started with (`LD_PRELOAD`) to make its renames slow.
package enum SlowRenames {
    /// Builds the library.
    ///
    /// - Parameter milliseconds: how long each rename waits before it happens.
    /// - Returns: the environment to start a program with.
    package static func environment(in directory: TemporaryDirectory, milliseconds: Int) throws -> [String:
        String]
    {
        let source = try directory.write(
            "slow-renames.c",
            """
            #define _GNU_SOURCE
            #include <dlfcn.h>
            #include <unistd.h>
            int rename(const char *from, const char *to) {
                int (*real)(const char *, const char *) = dlsym(RTLD_NEXT, "rename");
                usleep(\(milliseconds * 1000));
                return real(from, to);
            }
            """)
        let library = directory.path("slow-renames.so")
        try runSuccessfully("clang", ["-shared", "-fPIC", "-O", "-o", library, source, "-ldl"])
        return ["LD_PRELOAD": library]
    }
}
