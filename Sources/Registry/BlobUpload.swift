// One blob on its way into a registry (distribution-spec, "Pushing a blob in chunks"): every answer says where the next
// request goes, and one that breaks off is gone on with where the registry says that it is.

import HTTP
import Images
import Platform

/// The upload of one blob.
struct BlobUpload {
    private let client: RegistryClient
    private let blob: PushedImage.Blob
    private let reference: ImageReference
    private let endpoint: RegistryEndpoint
    private let source: String?
    private var retry: RetryMachine

    /// Where an upload is.
    private enum Progress {
        case done
        /// The registry has so many bytes; the next request goes to this address.
        case at(Int, String)
        /// The registry doesn't know of it any more.
        case forgotten
    }

    /// - Parameter source: a repository of the same registry that has the blob, as far as is known.
    /// - Throws: `SourceError`.
    init(
        _ client: RegistryClient, _ blob: PushedImage.Blob, _ reference: ImageReference,
        mountingFrom source: String?
    ) throws(SourceError) {
        self.client = client
        self.blob = blob
        self.reference = reference
        self.source = source
        endpoint = RegistryEndpoint(
            reference, try client.credentials.variables(for: reference), isForWriting: true)
        retry = RetryMachine(client.settings.retry)
    }

    /// Brings the blob in, unless it is there.
    ///
    /// - Throws: `SourceError`, `Interrupted`.
    mutating func run() throws {
        for _ in 0..<client.settings.retry.tries {
            if try ask(.head, .path("blobs/\(blob.digest)"), accepting: [404]).status != 404 { return }
            var progress = try begin()
            while case .at(let offset, let address) = progress { progress = try advance(offset, address) }
            if case .done = progress { return }
        }
        throw SourceError(
            "\(endpoint.name) forgets what is pushed to \(reference.repository) each time: try later")
    }

    private func begin() throws -> Progress {
        let mount = source.map { "?mount=\(blob.digest)&from=\($0)" } ?? ""
        let response = try ask(.post, .path("blobs/uploads/\(mount)"))
        // Mounted; otherwise it began an upload, also where it was asked to mount.
        if response.status == 201 { return .done }
        guard let address = try location(response) else {
            throw SourceError(
                "\(endpoint.name) says nowhere that a blob of \(reference.repository) can be sent to")
        }
        return .at(0, address)
    }

    private mutating func advance(_ offset: Int, _ address: String) throws -> Progress {
        let end = min(offset + client.settings.chunkSize, blob.bytes.count)
        let isLast = offset == blob.bytes.count
        var headers = [HTTPHeader("Content-Type", "application/octet-stream")]
        if !isLast { headers.append(HTTPHeader("Content-Range", "\(offset)-\(end - 1)")) }
        let url = isLast ? address + (address.contains("?") ? "&" : "?") + "digest=\(blob.digest)" : address
        let response: HTTPResponse
        let shown: Credential?
        do {
            (response, shown) = try exchange(
                isLast ? .put : .patch, url, headers, Array(blob.bytes[offset..<end]))
        } catch let error as HTTPError where error.isTransient {
            try wait(
                SourceError("\(endpoint.name) broke off at byte \(offset) of \(blob.bytes.count): \(error)"))
            return try locate(address)
        }
        switch response.status {
        case 200..<300 where isLast: return .done
        case 200..<300:
            let received = received(response) ?? end
            if received > offset {
                retry.advanced(received - offset)
            } else {
                // It took nothing: that may not go on for ever.
                try wait(
                    SourceError("\(endpoint.name) takes nothing of what is pushed to \(reference.repository)")
                )
            }
            return .at(received, try location(response) ?? address)
        case 404: return .forgotten
        // It has other bytes than we think.
        case let status where status == 416 || RetryMachine.isTransient(status):
            let retryAfter = response.header("Retry-After")
            try wait(refusal(response, url, shown), retryAfter)
            return try locate(address)
        default: throw refusal(response, url, shown)
        }
    }

    /// Asks how much the registry has.
    private func locate(_ address: String) throws -> Progress {
        let response = try ask(.get, .url(address), accepting: [404])
        if response.status == 404 { return .forgotten }
        return .at(received(response) ?? 0, try location(response) ?? address)
    }

    /// How many bytes an answer says are there: `Range: 0-LAST`. One that has none says "0-0".
    private func received(_ response: HTTPResponse) -> Int? {
        guard let range = response.header("Range"),
            let last = range.split(separator: "-").last.flatMap({ Int($0) }),
            last < blob.bytes.count
        else { return nil }
        return last == 0 ? 0 : last + 1
    }

    // MARK: - Requests

    /// A request that may be sent again.
    private func ask(
        _ method: HTTPClient.Method, _ address: RegistryClient.Ask.Address, accepting accepted: Set<Int> = []
    ) throws -> HTTPResponse {
        var retry = RetryMachine(client.settings.retry)
        return try client.send(
            RegistryClient.Ask(method, address, accepting: accepted), reference, isForWriting: true, &retry)
    }

    /// A request that is sent once, to wherever it is redirected: what it brings may be there half.
    private func exchange(
        _ method: HTTPClient.Method, _ url: String, _ headers: [HTTPHeader], _ body: [UInt8]
    ) throws -> (HTTPResponse, Credential?) {
        var url = url
        var answer = try client.authenticated(
            .init(method, .url(url), headers, body: body), reference, endpoint)
        for _ in 0..<5 where [307, 308].contains(answer.0.status) {
            guard let next = try location(answer.0) else { break }
            url = next
            answer = try client.authenticated(
                .init(method, .url(url), headers, body: body), reference, endpoint)
        }
        return answer
    }

    private mutating func wait(_ failure: SourceError, _ retryAfter: String? = nil) throws {
        let seconds = RetryMachine.retryAfter(retryAfter, now: Timestamp.now().seconds)
        guard case .again(let milliseconds) = retry.failed(retryAfter: seconds) else { throw failure }
        try Interruption.sleep(milliseconds: milliseconds)
    }

    private func refusal(_ response: HTTPResponse, _ url: String, _ shown: Credential?) -> SourceError {
        RegistryAnswer.error(response, reference, endpoint, url, isForWriting: true, shown: shown)
    }

    /// Where an answer says that the next request goes; nil where it doesn't.
    ///
    /// - Throws: `SourceError` for what is no address.
    private func location(_ response: HTTPResponse) throws(SourceError) -> String? {
        guard let text = response.header("Location") else { return nil }
        guard text.utf8.allSatisfy({ (0x21...0x7e).contains($0) }), text.utf8.count < 8000 else {
            throw SourceError("\(endpoint.name) names an address that is none: \(quoted(text))")
        }
        if text.hasPrefix("http://") || text.hasPrefix("https://") { return text }
        // Relative to the address that answered (RFC 9110, section 10.2.2).
        let own = response.effectiveURL
        let path = RegistryEndpoint.path(of: own)
        let host = own.dropLast(path.utf8.count)
        if text.hasPrefix("/") { return host + text }
        return host + (path.lastIndex(of: "/").map { path[...$0] } ?? "/") + text
    }
}
