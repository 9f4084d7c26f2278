// Which certificates are believed, and which one is shown. The variables are those of the curl program (curl(1),
// "ENVIRONMENT"), which libcurl itself doesn't read; proxies (http_proxy, https_proxy, no_proxy) it does read itself.

import CCurl
import Platform

/// Certificates of a request.
package struct HTTPTrust: Sendable, Equatable {
    /// Certificate authorities instead of the system's: a file in PEM, from `CURL_CA_BUNDLE` or `SSL_CERT_FILE`.
    package var bundle: String?
    /// Certificate authorities instead of the system's: a directory as `c_rehash` makes it, from `SSL_CERT_DIR`.
    package var directory: String?
    /// Certificate authorities besides those: files in PEM.
    package var authorities: [String] = []
    /// The client's own certificate, a file in PEM.
    package var certificate: String?
    /// The key of that certificate.
    package var key: String?

    package init() {}

    /// What the environment says.
    package init(environment: [String: String]) {
        func value(_ name: String) -> String? { environment[name].flatMap { $0.isEmpty ? nil : $0 } }
        bundle = value("CURL_CA_BUNDLE") ?? value("SSL_CERT_FILE")
        directory = value("SSL_CERT_DIR")
    }

    /// Sets a handle's options; a file that can't be read makes the connection fail with curl's words.
    func apply(to easy: UnsafeMutableRawPointer) {
        if let directory { ducc_curl_set_string(easy, CURLOPT_CAPATH, directory) }
        if let certificate { ducc_curl_set_string(easy, CURLOPT_SSLCERT, certificate) }
        if let key { ducc_curl_set_string(easy, CURLOPT_SSLKEY, key) }
        guard !authorities.isEmpty else {
            if let bundle { ducc_curl_set_string(easy, CURLOPT_CAINFO, bundle) }
            return
        }
        var standard: UnsafeMutablePointer<CChar>?
        ducc_curl_get_string(easy, CURLINFO_CAINFO, &standard)
        var bytes: [UInt8] = []
        for path in [bundle ?? standard.map { String(cString: $0) }].compactMap({ $0 }) + authorities {
            bytes += (try? Files.read(path, limit: 16 << 20)) ?? []
            bytes.append(UInt8(ascii: "\n"))
        }
        bytes.withUnsafeBytes {
            _ = ducc_curl_set_blob(easy, CURLOPT_CAINFO_BLOB, $0.baseAddress, $0.count)
        }
    }
}
