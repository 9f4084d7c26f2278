// A blob whose transfer may break off and goes on where it was: whoever reads it, hashing and unpacking, notices nothing
// but the wait. What a server sends of its own accord is believed by nobody: the whole is verified by its digest.

import HTTP
import Platform

/// Where a transfer is, and how to ask for the rest: the decisions alone.
package struct BlobResume {
    private let size: Int64
    /// How many bytes were handed on.
    package private(set) var offset: Int64 = 0
    /// How many bytes of the current answer are there already.
    private var skipped: Int64 = 0
    private var tag: String?
    private var usesRange = true

    package init(size: Int64) { self.size = size }

    /// Whether all bytes came, however the transfer ended behind them.
    package var isComplete: Bool { offset == size }

    /// What the next request carries (RFC 9110, sections 13.1.5 and 14.2).
    package var headers: [HTTPHeader] {
        guard offset > 0, usesRange else { return [] }
        return [HTTPHeader("Range", "bytes=\(offset)-")] + (tag.map { [HTTPHeader("If-Range", $0)] } ?? [])
    }

    /// Looks at an answer's head.
    ///
    /// - Returns: whether its body is of use; where it isn't, the next request asks for the whole.
    package mutating func answered(_ status: Int, contentRange: String?, tag: String?) -> Bool {
        if status == 206 {
            // Parts of two versions make a whole that is neither (RFC 9110, section 15.3.7).
            let isOther = self.tag != nil && Self.strong(tag).map { $0 != self.tag } ?? false
            guard !headers.isEmpty, !isOther, let range = contentRange,
                Self.fits(range, from: offset, size)
            else {
                usesRange = false
                return false
            }
            skipped = 0
            return true
        }
        guard (200..<300).contains(status) else {
            usesRange = false
            return false
        }
        // The whole again: what is there already is stepped over.
        skipped = offset
        self.tag = Self.strong(tag)
        return true
    }

    /// A tag that `If-Range` takes: a weak one is none, and one with odd bytes stays out of requests.
    private static func strong(_ tag: String?) -> String? {
        tag.flatMap { $0.hasPrefix("\"") && $0.utf8.allSatisfy { (0x21...0x7e).contains($0) } ? $0 : nil }
    }

    /// Bytes came.
    ///
    /// - Returns: which of them are new.
    package mutating func received(_ count: Int) -> Range<Int> {
        let known = Int(min(skipped, Int64(count)))
        skipped -= Int64(known)
        offset += Int64(count - known)
        return known..<count
    }

    /// Whether a `Content-Range` is `bytes FROM-…/SIZE`, or `/*`.
    private static func fits(_ text: String, from offset: Int64, _ size: Int64) -> Bool {
        guard text.lowercased().hasPrefix("bytes ") else { return false }
        let parts = text.dropFirst("bytes ".count).split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, Int64(parts[0].prefix { $0 != "-" }) == offset else { return false }
        return parts[1] == "*" || Int64(parts[1]) == size
    }
}

/// A blob on its way.
final class BlobStream: ByteStream {
    /// Sends the request with further headers and gives a success, or a 416.
    typealias Opener = ([HTTPHeader], inout RetryMachine) throws -> HTTPResponse

    private let open: Opener
    private var resume: BlobResume
    private var retry: RetryMachine
    private var response: HTTPResponse?
    private let name: String
    private let size: Int64

    /// Sends the first request.
    ///
    /// - Parameter name: what messages call it.
    init(_ name: String, size: Int64, _ policy: RetryPolicy, open: @escaping Opener) throws {
        self.name = name
        self.size = size
        self.open = open
        resume = BlobResume(size: size)
        retry = RetryMachine(policy)
        try ask()
    }

    func next() throws -> UnsafeRawBufferPointer {
        while let response {
            do {
                let chunk = try response.next()
                if chunk.isEmpty { self.response = nil }
                let new = resume.received(chunk.count)
                retry.advanced(new.count)
                if chunk.isEmpty || !new.isEmpty { return UnsafeRawBufferPointer(rebasing: chunk[new]) }
            } catch let error as HTTPError {
                self.response = nil
                if resume.isComplete { break }
                let failure = SourceError("\(name) broke off at byte \(resume.offset) of \(size): \(error)")
                guard error.isTransient, case .again(let wait) = retry.failed() else { throw failure }
                try Interruption.sleep(milliseconds: wait)
                try ask()
            } catch {
                self.response = nil
                throw error
            }
        }
        return UnsafeRawBufferPointer(start: nil, count: 0)
    }

    private func ask() throws {
        // Twice at the most: the second request asks for the whole.
        for _ in 0..<2 {
            let response = try open(resume.headers, &retry)
            let isOfUse = resume.answered(
                response.status, contentRange: response.header("Content-Range"), tag: response.header("ETag"))
            if isOfUse {
                self.response = response
                return
            }
        }
        throw SourceError("\(name): the server answers with parts of it that were not asked for")
    }
}
