// Conditions under which a publication is refused, or must hold: what is away or full, and another converter beside it.

import Glibc
import Notifications
import Platform
import Support
import Testing

extension CernVMTests {
    @Test("a full temporary directory is named, and nothing is published")
    func full() throws {
        let disk = try SmallDisk(kilobytes: 4096)
        // They fit in bytes, which is all that can be known before, but not in pages.
        let layers = (0..<3).map { number in
            TestImage.Layer(
                TarBuilder.archive { $0.add("\(number)", content: [UInt8](repeating: 1, count: 2727 * 512)) },
                .none)
        }
        let size = layers.reduce(0) { $0 + $1.archive.count }
        #expect(size <= 4 << 20 && layers.allSatisfy { $0.archive.count % 4096 == 1024 })
        try TestImage(layers).write(to: converting.layout, tag: "1")
        let result = try converting.start(
            ["convert-single-image", "oci:\(converting.layout):1", converting.repository],
            environment: ["DUCC_TMP_DIR": disk.path]
        ).wait()
        #expect(
            result.code == 1 && result.errors.contains("temporary directory \(disk.path) is full"),
            "\(result.errors)")
        #expect(try server.operations().isEmpty && !server.isInTransaction)
        #expect(try converting.last(.endImageConversion)?[.status] == "error")
    }

    @Test(
        "what can't be read is an error before anything is fetched, and never taken for absent",
        arguments: [
            ".metadata", ".layers", ".flat", "link", "podmanStore",
        ])
    func unreadable(part: String) throws {
        let registry = try DockerRegistry()
        let written = try TestImage([layer("a")]).write(to: converting.layout, tag: "1")
        try registry.push(converting.layout, tag: "1", as: "some:1")
        func convert(_ environment: [String: String], _ options: [String] = []) throws -> CommandResult {
            try converting.start(
                ["convert-single-image", "http://\(registry.host)/some:1", converting.repository] + options,
                environment: environment
            ).wait()
        }
        #expect(try convert([:]).code == 0)
        let requests = try registry.requests().count
        let interposed = try Interposed(
            """
            static int isBroken(const char *path) {
                const char *broken = getenv("BROKEN");
                return path && broken && !strncmp(path, broken, strlen(broken));
            }
            int fstatat(int at, const char *path, struct stat *found, int flags) {
                if (isBroken(path)) { errno = EIO; return -1; }
                return ((int (*)(int, const char *, struct stat *, int))dlsym(RTLD_NEXT, "fstatat"))(
                    at, path, found, flags);
            }
            ssize_t readlinkat(int at, const char *restrict path, char *restrict text, size_t size) {
                if (isBroken(path)) { errno = EIO; return -1; }
                return ((ssize_t (*)(int, const char *, char *, size_t))dlsym(RTLD_NEXT, "readlinkat"))(
                    at, path, text, size);
            }
            int openat(int at, const char *path, int flags, ...) {
                if (isBroken(path)) { errno = EIO; return -1; }
                va_list list;
                va_start(list, flags);
                mode_t mode = va_arg(list, mode_t);
                va_end(list);
                return ((int (*)(int, const char *, int, ...))dlsym(RTLD_NEXT, "openat"))(at, path, flags, mode);
            }
            """, in: converting.directory)
        let path = part == "link" ? "\(registry.host)/some:1" : part
        let broken = interposed.environment.merging(["BROKEN": "\(server.mounted)/\(path)"]) { $1 }
        for options in [[], ["--convert-again"]] {
            let result = try convert(broken, options)
            // A look at the image's own entries comes first; of podman's store only the commit needs more.
            let isRefused = result.code == 1 && result.errors.contains("Input/output error")
            #expect(
                isRefused || options.isEmpty && result.code == 0 && result.output.contains("unchanged"),
                "\(result)")
        }
        let layers = try registry.requests().dropFirst(requests).filter { $0.contains(written.layers[0]) }
        #expect(layers.isEmpty, "\(layers)")
        #expect(try server.operations().count == 1 && !server.isInTransaction)
    }

    @Test("two converters that want the same new image make one publication, and one of them tells of it")
    func sameImage() throws {
        try TestImage([layer("a"), layer("b")]).write(to: converting.layout, tag: "1")
        let reached = converting.directory.path("reached")
        try server.setFault(
            "ingest-begin",
            "{\"once\": true, \"touch\": \"\(reached)\", \"wait\": \"\(converting.directory.path("go"))\"}")
        let arguments = ["convert-single-image", "oci:\(converting.layout):1", converting.repository]
        let first = try converting.start(arguments)
        try waitUntil("the first one publishes") { Files.exists(reached) }
        let second = try converting.start(arguments)
        try waitUntil("the second one waits") { second.errorsSoFar.contains("waiting for") }
        try converting.directory.write("go", "")
        #expect(try first.wait(seconds: 60).code == 0)
        let result = try second.wait(seconds: 60)
        #expect(result.code == 0 && result.output.contains("unchanged"), "\(result)")
        #expect(try server.operations().count == 1 && server.isWhole())
        let actions = try converting.actions()
        for action in ["publish_image", "publish_flat_image", "publish_podman_image"] {
            #expect(actions.count { $0 == action } == 1, "\(action)")
        }
        #expect(actions.count { $0 == "publish_layer" } == 2)
    }
}
