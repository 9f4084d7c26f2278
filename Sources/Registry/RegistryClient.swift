// A client of the distribution API (OCI distribution-spec; Docker Registry HTTP API V2): it drives the machines that
// decide about authentication and further tries.

import Glibc
import HTTP
import Images
import Platform
import Synchronization

/// Talks to registries; one serves any number of images and threads.
package final class RegistryClient: Sendable {
    let http: HTTPClient
    let settings: RegistrySettings
    let credentials: Credentials
    private let sessions = Sessions()
    /// Registries at which https turned out to be http: local ones only.
    private let plain = Mutex<Set<String>>([])
    /// In which repository a blob was seen or pushed, by host and digest: from there it can be mounted.
    let blobPlaces = Mutex<[String: String]>([:])

    /// - Parameters:
    ///   - agent: what requests carry as `User-Agent`.
    ///   - settings: credentials, certificates and patience; this process's unless told.
    package init(agent: String, settings: RegistrySettings = RegistrySettings()) {
        http = HTTPClient(agent: agent, speed: settings.speed)
        self.settings = settings
        credentials = Credentials(environment: settings.environment, given: settings.credential)
    }

    /// Asks a registry.
    ///
    /// - Parameter path: the part behind `/v2/REPOSITORY/`.
    /// - Throws: `SourceError` where no answer comes or the answer is no success, `Interrupted`.
    func send(
        _ method: HTTPClient.Method, _ reference: ImageReference, _ path: String, accept: String? = nil
    ) throws -> HTTPResponse {
        var retry = RetryMachine(settings.retry)
        return try send(
            Ask(method, .path(path), accept.map { [HTTPHeader("Accept", $0)] } ?? []), reference, &retry)
    }

    /// A blob of an image: its transfer goes on where it broke off.
    ///
    /// - Throws: `SourceError`, `Interrupted`.
    func blob(_ reference: ImageReference, _ descriptor: Descriptor) throws -> any ByteStream {
        let path = "blobs/\(descriptor.digest)"
        return try BlobStream(
            "\(path) of \(reference)", size: descriptor.size, settings.retry
        ) { headers, retry in try self.send(Ask(.get, .path(path), headers), reference, &retry) }
    }

    /// A manifest has room for a hundred thousand addresses of one layer; real ones name one or two.
    private static let mostAddresses = 16

    /// A layer that need not be in the registry (image-spec, "Non-Distributable Layers"): from the first of its own
    /// addresses that gives it, else from the registry, which may have it all the same. Nobody is shown a credential
    /// for an address that a manifest names, and what comes is verified like any other blob.
    ///
    /// - Throws: `SourceError` where none has it, `Interrupted`.
    func foreignBlob(_ reference: ImageReference, _ descriptor: Descriptor) throws -> any ByteStream {
        var reasons: [String] = []
        for url in descriptor.urls.prefix(Self.mostAddresses)
        where url.hasPrefix("https://") || url.hasPrefix("http://") {
            // It goes into a request line and into messages.
            guard url.utf8.allSatisfy({ (0x21...0x7e).contains($0) }) else { continue }
            do {
                return try BlobStream(
                    "layer \(descriptor.digest)", size: descriptor.size, settings.retry
                ) { headers, retry in try self.fetch(url, headers, &retry) }
            } catch let error as SourceError { reasons.append("\(error)") }
        }
        do { return try blob(reference, descriptor) } catch let error as SourceError {
            let none = descriptor.urls.isEmpty ? ["its manifest names no address for it"] : reasons
            throw SourceError((none + ["\(error)"]).joined(separator: "; "))
        }
    }

    /// Fetches from an address that a manifest names.
    private func fetch(
        _ url: String, _ headers: [HTTPHeader], _ retry: inout RetryMachine
    ) throws -> HTTPResponse {
        let trust = try RegistryTrust.find(String(RegistryEndpoint.host(of: url)), settings)
        let hasRange = headers.contains { $0.isNamed("Range") }
        return try repeating(&retry) {
            let response = try http.send(.get, url, headers: headers, trust: trust)
            if (200..<300).contains(response.status) || hasRange && response.status == 416 {
                return .success(response)
            }
            return .refusal(response, SourceError("\(quoted(url)) answered \(response.status)"))
        }
    }

    /// One request.
    struct Ask {
        /// Where it goes.
        enum Address {
            /// The part behind `/v2/REPOSITORY/`.
            case path(String)
            /// A whole address that the registry named.
            case url(String)
        }

        let method: HTTPClient.Method
        let address: Address
        let headers: [HTTPHeader]
        let body: [UInt8]?
        /// Statuses besides 200 to 299 that are answers, and no refusals.
        let accepted: Set<Int>

        init(
            _ method: HTTPClient.Method, _ address: Address, _ headers: [HTTPHeader] = [],
            body: [UInt8]? = nil,
            accepting accepted: Set<Int> = []
        ) {
            self.method = method
            self.address = address
            self.headers = headers
            self.body = body
            self.accepted = accepted
        }

        /// What messages call it.
        var name: String {
            switch address {
            case .path(let path): path
            case .url(let url): url
            }
        }
    }

    /// Sends a request until it is answered for good. With a `Range`, a 416 is such an answer.
    func send(
        _ ask: Ask, _ reference: ImageReference, isForWriting: Bool = false, _ retry: inout RetryMachine
    ) throws -> HTTPResponse {
        let endpoint = RegistryEndpoint(
            reference, try credentials.variables(for: reference), isForWriting: isForWriting)
        let hasRange = ask.headers.contains { $0.isNamed("Range") }
        return try repeating(&retry) {
            let (response, shown) = try authenticated(ask, reference, endpoint)
            if (200..<300).contains(response.status) || hasRange && response.status == 416
                || ask.accepted.contains(response.status)
            {
                return .success(response)
            }
            return .refusal(
                response,
                RegistryAnswer.error(
                    response, reference, endpoint, ask.name, isForWriting: isForWriting, shown: shown))
        }
    }

    /// What became of one try.
    enum Outcome {
        case success(HTTPResponse)
        case refusal(HTTPResponse, SourceError)
    }

    func repeating(_ retry: inout RetryMachine, _ body: () throws -> Outcome) throws -> HTTPResponse {
        while true {
            let failure: SourceError
            var retryAfter: Double?
            do {
                switch try body() {
                case .success(let response): return response
                case .refusal(let response, let error):
                    guard RetryMachine.isTransient(response.status) else { throw error }
                    failure = error
                    retryAfter = RetryMachine.retryAfter(response.header("Retry-After"), now: time(nil))
                }
            } catch let error as HTTPError {
                guard !error.isUntrusted else {
                    throw SourceError(
                        "\(error); is its authority's certificate in /etc/docker/certs.d/\(RegistryEndpoint.host(of: error.url))/?"
                    )
                }
                failure = SourceError("\(error); is the registry up, and reachable from here?")
                guard error.isTransient else { throw failure }
            }
            guard case .again(let milliseconds) = retry.failed(retryAfter: retryAfter) else { throw failure }
            try Interruption.sleep(milliseconds: milliseconds)
        }
    }

    /// Sends a request with what it takes to be let in.
    ///
    /// - Returns: the answer, and the credential that was shown for it.
    func authenticated(
        _ ask: Ask, _ reference: ImageReference, _ endpoint: RegistryEndpoint
    ) throws -> (HTTPResponse, Credential?) {
        if case .url(let url) = ask.address, !endpoint.isOwn(url) {
            // Another host's, such as a store that uploads go to: nothing is shown to it, and nothing sent in the clear
            // that would go to the registry encrypted.
            guard endpoint.isPlain || url.hasPrefix("https:") else {
                throw SourceError("\(endpoint.name) sends on from https to \(quoted(url)): refused")
            }
            let trust = try RegistryTrust.find(String(RegistryEndpoint.host(of: url)), settings)
            return (
                try http.send(ask.method, url, headers: ask.headers, body: ask.body, trust: trust), nil
            )
        }
        var machine = Authentication(try session(endpoint))
        var step = machine.begin(now: Self.now)
        var last: (HTTPResponse, Credential?)?
        var shown: String?
        while true {
            switch step {
            case .ask(let authorization):
                shown = authorization
                let extra = authorization.map { [HTTPHeader("Authorization", $0)] } ?? []
                let response = try sendOnce(ask, endpoint, extra)
                // What another host says behind a redirect is no challenge of the registry's: nothing is shown for it.
                let isChallenge = response.status == 401 && endpoint.isOwn(response.effectiveURL)
                let credential = isChallenge || authorization != nil ? try credentials.find(endpoint) : nil
                last = (response, authorization == nil ? nil : credential)
                step = machine.answered(
                    response.status,
                    isChallenge ? Challenge.parse(response.headerValues("WWW-Authenticate")) : [], credential)
            case .fetchToken(let challenge):
                let token = try sessions.token(endpoint, challenge, insteadOf: shown, now: Self.now) {
                    try fetchToken(challenge, reference, endpoint)
                }
                step = machine.fetched(token, for: challenge)
            case .done:
                sessions.ended(endpoint, with: machine.session, shown: shown)
                guard let last else { throw SourceError("\(endpoint.name) was not asked") }
                return last
            }
        }
    }

    /// What a request begins with.
    private func session(_ endpoint: RegistryEndpoint) throws -> Session? {
        if let known = sessions[endpoint] { return known }
        guard sessions.wantsPassword(endpoint) else { return nil }
        return try credentials.find(endpoint)?.basic.map { .basic($0) }
    }

    private func sendOnce(
        _ ask: Ask, _ endpoint: RegistryEndpoint, _ further: [HTTPHeader]
    ) throws -> HTTPResponse {
        let headers = ask.headers + further
        // With the scheme by which the registry is asked: one behind a proxy may name another.
        let rest =
            switch ask.address {
            case .path(let path): "\(endpoint.host)/v2/\(endpoint.repository)/\(path)"
            case .url(let url): endpoint.host + RegistryEndpoint.path(of: url)
            }
        guard !endpoint.isPlain, !plain.withLock({ $0.contains(endpoint.host) }) else {
            return try http.send(ask.method, "http://\(rest)", headers: headers, body: ask.body)
        }
        do {
            return try http.send(
                ask.method, "https://\(rest)", headers: headers, body: ask.body,
                trust: try RegistryTrust.find(endpoint.host, settings))
        } catch let error as HTTPError
            where error.isConnectionFailure && RegistryEndpoint.isLocal(endpoint.host)
        {
            // As docker does: a registry on this machine need not have a certificate.
            let response = try http.send(ask.method, "http://\(rest)", headers: headers, body: ask.body)
            _ = plain.withLock { $0.insert(endpoint.host) }
            return response
        }
    }

    /// Monotonic seconds.
    static var now: Double { Double(MonotonicClock.nanoseconds()) / 1e9 }
}
