import CCurl

/// A request that got no answer, or an answer that broke off.
package struct HTTPError: Error, CustomStringConvertible, Sendable {
    /// The address asked, without credentials.
    package let url: String
    /// libcurl's code (`CURLE_…`).
    package let code: UInt32
    /// What happened, in libcurl's words where it has more than the code's.
    package let reason: String

    /// "cannot reach URL: REASON".
    package var description: String { "cannot reach \(url): \(reason)" }

    init(url: String, code: CURLcode, detail: String) {
        self.url = Self.shortened(url)
        self.code = code.rawValue
        // libcurl may repeat the other side's words, such as a certificate's: harmless for a terminal.
        let words = detail.isEmpty ? String(cString: curl_easy_strerror(code)) : detail
        self.reason = String(
            String.UnicodeScalarView(
                words.unicodeScalars.map { $0.properties.generalCategory == .control ? "?" : $0 }))
    }

    init(url: String, reason: String) {
        self.url = Self.shortened(url)
        self.code = 0
        self.reason = reason
    }

    /// An address may be made of what a server said: no message is as long as a server likes.
    private static func shortened(_ url: String) -> String {
        url.utf8.count <= 500 ? url : url.prefix(500) + "…"
    }

    /// Whether no connection came about, or none that speaks TLS: what makes `https` to localhost try `http`.
    package var isConnectionFailure: Bool {
        [CURLE_COULDNT_CONNECT, CURLE_SSL_CONNECT_ERROR].contains { $0.rawValue == code }
    }

    /// Whether the other side has a certificate that isn't believed.
    package var isUntrusted: Bool {
        [CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CACERT_BADFILE].contains { $0.rawValue == code }
    }

    /// Whether the same request may well succeed a moment later: the network's failures, not those of the certificate
    /// or of the address.
    package var isTransient: Bool {
        [
            CURLE_COULDNT_RESOLVE_PROXY, CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_CONNECT,
            CURLE_PARTIAL_FILE,
            CURLE_OPERATION_TIMEDOUT, CURLE_SSL_CONNECT_ERROR, CURLE_GOT_NOTHING, CURLE_SEND_ERROR,
            CURLE_RECV_ERROR, CURLE_HTTP2, CURLE_HTTP2_STREAM, CURLE_WEIRD_SERVER_REPLY,
        ].contains { $0.rawValue == code }
    }
}
