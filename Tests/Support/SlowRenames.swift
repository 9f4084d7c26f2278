// Renames that take a while, so that what happens between two of them can be looked at, or struck.

/// What a program is started with to make its renames slow.
package enum SlowRenames {
    /// - Parameter milliseconds: how long each rename waits before it happens.
    /// - Returns: the environment to start a program with.
    package static func environment(in directory: TemporaryDirectory, milliseconds: Int) throws -> [String:
        String]
    {
        try Interposed(
            """
            int rename(const char *from, const char *to) {
                int (*next)(const char *, const char *) = dlsym(RTLD_NEXT, "rename");
                usleep(\(milliseconds * 1000));
                return next(from, to);
            }
            """, in: directory
        ).environment
    }
}
