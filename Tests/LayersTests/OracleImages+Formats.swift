// The same content in every form that a layer comes in: compressions, labels, and the tar formats of GNU tar itself.

import Glibc
import Platform
import Support

extension OracleImage {
    static let formats: [OracleImage] = compressions + tarFormats + sparseFormats

    private static let compressions: [OracleImage] = [
        OracleImage("gzip of several members, one of them empty", layers: { try [several()] }),
        OracleImage(
            "gzip as gzip -9 makes it",
            layers: { [.init(archive, .gzip, blob: try Compression.tool("gzip", ["-9", "-c"], archive))] }),
        // Go's gzip takes zeros behind the data for a damaged member. gzip(1) ignores them ("trailing zeros"), and
        // registries hold such blobs.
        OracleImage("zeros behind gzip", layers: { [padded()] }).readable(by: { [.init(archive)] }),
        // umoci 0.4.7 knows no zstd; the specification does (layer.md, "+zstd Media Types").
        OracleImage("zstd", layers: { [.init(archive, .zstd)] }).readable(by: { [.init(archive)] }),
        OracleImage(
            "no zeros at the archive's end, and an archive behind the end",
            layers: {
                [
                    .init(Array(second.dropLast(1024))), .init(archive + third),
                    .init(third + Array("rubbish".utf8)),
                ]
            }),
        OracleImage("plain tar", layers: { [.init(archive, .none)] }),
        // umoci believes labels, and fails. What a blob is can be seen.
        OracleImage(
            "media types that are wrong",
            layers: {
                [
                    .init(archive, .gzip, label: ""), .init(second, .none, label: "+gzip"),
                    .init(third, .zstd, label: "+gzip"),
                ]
            }
        ).readable(by: { [.init(archive), .init(second), .init(third)] }),
    ]

    private static func several() throws -> TestImage.Layer {
        let half = archive.count / 2
        var blob = Compression.storedGzip(Array(archive[..<half]))
        blob += Compression.storedGzip([])
        blob += Compression.storedGzip(Array(archive[half...]))
        return TestImage.Layer(archive, .gzip, blob: blob)
    }

    private static func padded() -> TestImage.Layer {
        var blob = Compression.storedGzip(archive)
        blob += [UInt8](repeating: 0, count: 700)
        return TestImage.Layer(archive, .gzip, blob: blob)
    }

    private static let tarFormats: [OracleImage] = ["pax", "gnu", "ustar"].map { format in
        OracleImage(
            "GNU tar's \(format)",
            layers: { [.init(try GNUTar.archive(["--format=\(format)"]))] })
    }

    private static let sparseFormats: [OracleImage] =
        ["1.0", "0.1", "0.0"].map { version in
            OracleImage(
                "sparse files in pax \(version)",
                layers: {
                    [
                        .init(
                            try GNUTar.sparseArchive([
                                "--format=pax", "--sparse", "--sparse-version=\(version)",
                            ]))
                    ]
                })
        } + [
            // umoci 0.4.7 refuses GNU's own form ("unknown typeflag"): it reads the same files with their holes written
            // out.
            OracleImage(
                "sparse files in GNU's form",
                layers: { [.init(try GNUTar.sparseArchive(["--format=gnu", "--sparse"]))] }
            ).readable(by: { [.init(try GNUTar.sparseArchive(["--format=gnu"]))] })
        ]

    private static let archive = TarBuilder.archive { tar in
        tar.directory(".")
        tar.directory("d", mode: 0o700)
        tar.add("d/big", content: (0..<300_000).map { UInt8(truncatingIfNeeded: $0 &* 2_654_435_761 >> 7) })
        tar.file("empty", "")
        tar.symbolicLink("link", to: "d/big")
    }
    private static let second = TarBuilder.archive { $0.file("second", "2") }
    private static let third = TarBuilder.archive { $0.file("third", "3") }
}

/// Archives that GNU tar makes of a tree on this machine.
enum GNUTar {
    static func archive(_ options: [String]) throws -> [UInt8] {
        let directory = try TemporaryDirectory()
        let root = directory.path("root")
        try directory.write("root/plain", "plain")
        try directory.write("root/mode", "x", mode: 0o4751)
        let name = String(repeating: "n", count: 60)
        try directory.write("root/\(name)/\(name)/file", "behind a prefix")
        try runSuccessfully(
            "sh",
            [
                "-c",
                #"umask 022 && cd "$0" && ln plain hard && ln -s plain soft && mkfifo pipe && mkdir -m 1777 tmp && printf raw > "$(printf 'raw\377\376')" && touch -d '2001-02-03 04:05:06 UTC' plain && touch -d '1999-01-01 UTC' tmp ."#,
                root,
            ])
        return try tar(options + ["--owner=:12345", "--group=:54321"], root, in: directory)
    }

    static func sparseArchive(_ options: [String]) throws -> [UInt8] {
        let directory = try TemporaryDirectory()
        let root = directory.path("root")
        try Files.makeDirectories(root)
        // Holes first, between and last; more pieces than the four of a GNU header; and nothing but a hole.
        try runSuccessfully(
            "sh",
            [
                "-c",
                #"umask 022 && cd "$0" && truncate -s 10M holes many && truncate -s 3M nothing && printf end | dd of=holes bs=1 seek=5000000 conv=notrunc status=none && for i in 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29; do printf "piece $i" | dd of=many bs=1 seek=$((i * 200000)) conv=notrunc status=none; done && printf last > behind && touch -d '2001-02-03 UTC' . *"#,
                root,
            ])
        return try tar(options + ["--owner=:0", "--group=:0"], root, in: directory)
    }

    private static func tar(_ options: [String], _ root: String, in directory: TemporaryDirectory) throws
        -> [UInt8]
    {
        let file = directory.path("archive.tar")
        try runSuccessfully("tar", options + ["--sort=name", "-cf", file, "-C", root, "."])
        return try Files.read(file, limit: 1 << 30)
    }
}
