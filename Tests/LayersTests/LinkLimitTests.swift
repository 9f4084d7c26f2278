import Glibc
import Platform
import Support
import Testing

@Suite("More names than a file may have")
struct LinkLimitTests {
    /// `linkat` as on a file system whose files have two names at the most.
    private static let source = """
        int linkat(int from, const char *name, int to, const char *other, int flags) {
            struct stat information;
            if (fstatat(from, name, &information, AT_SYMLINK_NOFOLLOW) == 0 && information.st_nlink >= 2) {
                note("EMLINK");
                errno = EMLINK;
                return -1;
            }
            return syscall(SYS_linkat, from, name, to, other, flags);
        }
        """

    @Test("a name that can be no link is a copy, within a layer and in the flat image")
    func copies() throws {
        let directory = try TemporaryDirectory()
        let layout = directory.path("layout")
        let image = TestImage({ tar in
            tar.directory(".")
            tar.add(
                "file", content: Array("content".utf8), mode: 0o4751,
                uid: geteuid() == 0 ? 12 : 0, gid: geteuid() == 0 ? 34 : 0,
                pax: [
                    ("mtime", Array("1600000000.123456789".utf8)),
                    ("SCHILY.xattr.user.colour", Array("blue".utf8)),
                ])
            for index in 0..<5 { tar.hardLink("name-\(index)", to: "file") }
            tar.symbolicLink("link", to: "file")
            for index in 0..<3 { tar.hardLink("link-\(index)", to: "link") }
            tar.add("pipe", type: "6", mode: 0o622)
            for index in 0..<3 { tar.hardLink("pipe-\(index)", to: "pipe") }
        })
        try image.write(to: layout, tag: "1")
        func convert(_ repository: String, _ environment: [String: String]) throws {
            try runSuccessfully(
                Programs.ducc,
                ["convert-single-image", "oci:\(layout):1", directory.path(repository)],
                environment: environment.merging(["DUCC_LOCK_FILE": directory.path("lock")]) { $1 })
        }
        try convert("linked", [:])
        let interposed = try Interposed(Self.source, stream: layout, in: directory)
        try convert("copied", interposed.environment)
        #expect(try interposed.calls().count > 10)

        let one = directory.path("linked/localhost/layout:1/")
        let other = directory.path("copied/localhost/layout:1/")
        // Nothing differs but which names are one file.
        #expect(try TreeComparison.differences(one, other) { _, field in field == .inode } == [])
        #expect(!(try TreeComparison.differences(one, other).isEmpty))
    }

    @Test(
        "as on a file system that ends at 65,000 names", .enabled(if: geteuid() == 0, "only root can mount"),
        .enabled(if: TestScale.isLong, "65,000 names take their time"))
    func realLimit() throws {
        let directory = try TemporaryDirectory()
        let layout = directory.path("layout")
        let names = 66_000
        try TestImage({ tar in
            tar.file("file", "content")
            for index in 1..<names { tar.hardLink("name-\(index)", to: "file") }
        }).write(to: layout, tag: "1")
        // ext4 in a file, mounted in a namespace that ends with the program.
        let disk = directory.path("disk")
        let script = """
            truncate -s 1G "$0" && mkfs.ext4 -q -N 200000 "$0" && mkdir "$0.d" && mount -o loop "$0" "$0.d" &&
            "$1" convert-single-image "oci:$2:1" "$0.d/repository" >&2 &&
            cd "$0.d/repository/localhost/layout:1/" && find . -maxdepth 1 -type f | wc -l &&
            find . -maxdepth 1 -type f -exec cat {} + | tr -d '\\n' | wc -c && stat -c %h file
            """
        let output = try runSuccessfully(
            "unshare", ["-m", "sh", "-c", script, disk, Programs.ducc, layout],
            environment: ["DUCC_LOCK_FILE": directory.path("lock")], seconds: 600)
        let numbers = output.split(separator: "\n").compactMap { Int($0) }
        #expect(numbers.count == 3 && numbers[0] == names && numbers[1] == names * 7)
        #expect(numbers.last.map { $0 <= 65_000 } == true)
    }
}
