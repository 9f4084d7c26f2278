// Requests through libcurl, blocking, for use from many threads.
//
// Each response has a multi handle of its own, driven by whoever reads the body: the body is pulled, so a slow reader
// slows the sender (the transfer is paused) and memory stays bounded. A multi handle keeps its connections, and goes
// back to the client's pool with them when its response is done: the next request finds an open connection.

import CCurl
import Platform
import Synchronization

/// One header of a request or a response.
package struct HTTPHeader: Sendable, Hashable {
    /// The name; compare it with `isNamed`.
    package let name: String
    /// The value, without blanks around it.
    package let value: String

    package init(_ name: String, _ value: String) {
        self.name = name
        self.value = value
    }

    /// Whether the header has this name, in any letter case (RFC 9110, section 5.1).
    package func isNamed(_ other: String) -> Bool { name.lowercased() == other.lowercased() }
}

/// A client with connections to reuse.
package final class HTTPClient: Sendable {
    /// How a request is made.
    package enum Method: String, Sendable {
        case get = "GET"
        case head = "HEAD"
        case post = "POST"
        case put = "PUT"
        case patch = "PATCH"

        /// Whether it sends something, meant for one host.
        var isWriting: Bool { self != .get && self != .head }
    }

    /// Sent as `User-Agent`.
    let agent: String
    /// When a transfer counts as dead.
    let speed: SpeedLimit
    private let idle = Mutex<[MultiHandle]>([])
    private static let initialised: Bool = curl_global_init(Int(CURL_GLOBAL_DEFAULT)) == CURLE_OK

    package init(agent: String, speed: SpeedLimit = SpeedLimit()) {
        self.agent = agent
        self.speed = speed
    }

    /// Sends a request and waits for the answer's head; the body is then read from the response.
    ///
    /// Redirects are followed, at most 10 and never from https to http; libcurl leaves an `Authorization` header out
    /// where a redirect leads to another host. What sends something is never redirected: it is meant for one host.
    ///
    /// - Parameters:
    ///   - body: what is sent; without a `Content-Type` among the headers it is a form
    ///     (`application/x-www-form-urlencoded`).
    ///   - trust: certificates besides the system's.
    /// - Throws: `HTTPError` where there is no answer; `Interrupted`. A status of 400 and more is an answer.
    package func send(
        _ method: Method, _ url: String, headers: [HTTPHeader] = [], body: [UInt8]? = nil,
        trust: HTTPTrust = HTTPTrust()
    ) throws -> HTTPResponse {
        guard Self.initialised else { throw HTTPError(url: url, reason: "libcurl does not start") }
        let multi = try idle.withLock { $0.popLast() } ?? MultiHandle()
        let response = try HTTPResponse(self, multi, method, url, headers, body: body, trust: trust)
        try response.awaitHead()
        return response
    }

    /// Takes a handle back, with its open connections.
    func giveBack(_ multi: MultiHandle) { idle.withLock { $0.append(multi) } }
}

/// A libcurl multi handle: used by one response at a time.
final class MultiHandle: @unchecked Sendable {
    // @unchecked: whoever took it out of the client's pool is its only user.
    let raw: OpaquePointer

    init() throws(HTTPError) {
        guard let raw = curl_multi_init() else { throw HTTPError(url: "", reason: "libcurl: out of memory") }
        self.raw = OpaquePointer(raw)
        // One transfer at a time: a handful of connections is all that is worth keeping.
        ducc_curl_multi_set_long(raw, CURLMOPT_MAXCONNECTS, 4)
    }

    deinit { curl_multi_cleanup(UnsafeMutableRawPointer(raw)) }
}
