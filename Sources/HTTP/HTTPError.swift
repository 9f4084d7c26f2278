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
        self.url = url
        self.code = code.rawValue
        self.reason = detail.isEmpty ? String(cString: curl_easy_strerror(code)) : detail
    }

    init(url: String, reason: String) {
        self.url = url
        self.code = 0
        self.reason = reason
    }

    /// Whether no connection came about, or none that speaks TLS: what makes `https` to localhost try `http`.
    package var isConnectionFailure: Bool {
        [CURLE_COULDNT_CONNECT, CURLE_SSL_CONNECT_ERROR, CURLE_PEER_FAILED_VERIFICATION]
            .contains { $0.rawValue == code }
    }
}
