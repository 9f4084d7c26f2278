// Compressed data for tests: gzip by hand where a test wants to see the seams, by the real tools otherwise.

import Glibc
import Platform

/// Compresses.
package enum Compression: Sendable {
    case none
    /// gzip, its deflate blocks stored.
    case gzip
    case zstd

    package var mediaTypeSuffix: String {
        switch self {
        case .none: ""
        case .gzip: "+gzip"
        case .zstd: "+zstd"
        }
    }

    /// The data, compressed.
    package func apply(_ data: [UInt8]) throws -> [UInt8] {
        switch self {
        case .none: data
        case .gzip: Self.storedGzip(data)
        case .zstd: try Self.tool("zstd", ["-q", "-c"], data)
        }
    }

    /// The data through a program that reads standard input and writes standard output.
    package static func tool(_ program: String, _ arguments: [String], _ data: [UInt8]) throws -> [UInt8] {
        let directory = try TemporaryDirectory()
        let input = try directory.write("in", data)
        let output = directory.path("out")
        let source = try OwnedDescriptor(opening: input, O_RDONLY)
        let target = try OwnedDescriptor(opening: output, O_WRONLY | O_CREAT, mode: 0o600)
        let status = try ChildProcess.start(program, arguments, input: source.raw, output: target.raw).wait()
        guard status == .exited(0) else { throw SupportError("\(program): \(status)") }
        return try Files.read(output, limit: 1 << 30)
    }

    /// One gzip member (RFC 1952) of stored blocks (RFC 1951, section 3.2.4).
    package static func storedGzip(_ data: [UInt8], name: String? = nil) -> [UInt8] {
        var result: [UInt8] = [0x1f, 0x8b, 8, name == nil ? 0 : 8, 0, 0, 0, 0, 0, 255]
        if let name { result += Array(name.utf8) + [0] }
        var rest = data[...]
        repeat {
            let block = rest.prefix(65535)
            rest = rest.dropFirst(block.count)
            let length = UInt16(block.count)
            result.append(rest.isEmpty ? 1 : 0)
            result += bytes(UInt64(length), 2) + bytes(UInt64(~length), 2) + block
        } while !rest.isEmpty
        return result + bytes(UInt64(checksum(data)), 4) + bytes(UInt64(data.count), 4)
    }

    private static func bytes(_ value: UInt64, _ count: Int) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: value >> UInt64(8 * $0)) }
    }

    private static let table: [UInt32] = (0..<256).map { index in
        (0..<8).reduce(UInt32(index)) { value, _ in value & 1 == 1 ? 0xedb8_8320 ^ value >> 1 : value >> 1 }
    }

    private static func checksum(_ data: [UInt8]) -> UInt32 {
        ~data.reduce(UInt32.max) { table[Int(($0 ^ UInt32($1)) & 255)] ^ $0 >> 8 }
    }
}
