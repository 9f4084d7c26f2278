// Fetching a token (distribution project, "Token Authentication Specification"): the one request whose body is a secret.

import HTTP
import Images
import Platform

extension RegistryClient {
    /// Asks the token service that a registry names.
    ///
    /// - Throws: `SourceError`, `Interrupted`.
    func fetchToken(
        _ challenge: BearerChallenge, _ reference: ImageReference, _ endpoint: RegistryEndpoint
    ) throws -> Token {
        let credential = try credentials.find(endpoint)
        let host = String(RegistryEndpoint.host(of: challenge.realm))
        let isPlain = challenge.realm.hasPrefix("http:")
        guard !isPlain || credential == nil || endpoint.isPlain || RegistryEndpoint.isLocal(host) else {
            throw SourceError(
                "\(endpoint.name) wants \(credential?.words ?? "credentials") sent to \(quoted(challenge.realm)) "
                    + "in the clear: refused; say http:// in the wish if that is meant")
        }
        let trust = isPlain ? HTTPTrust() : try RegistryTrust.find(host, settings)
        let began = Self.now
        var retry = RetryMachine(settings.retry)
        let response = try repeating(&retry) {
            let response: HTTPResponse
            switch credential?.kind {
            case .identityToken(let token):
                response = try http.send(
                    .post, challenge.realm,
                    body: Array(
                        challenge.form(repository: endpoint.repository, identityToken: token).utf8),
                    trust: trust)
            case .password, .registryToken, nil:
                let headers = credential?.basic.map { [HTTPHeader("Authorization", $0)] } ?? []
                response = try http.send(
                    .get, challenge.url(repository: endpoint.repository), headers: headers, trust: trust)
            }
            if response.status == 200 { return .success(response) }
            let what = "the token service of \(endpoint.name)"
            guard !RetryMachine.isTransient(response.status) else {
                return .refusal(response, SourceError("\(what) answered \(response.status): try later"))
            }
            return .refusal(
                response,
                RegistryAnswer.denied(
                    "\(what) gives no access to \(reference.repository) (it answered \(response.status))",
                    endpoint,
                    shown: credential))
        }
        let body: [UInt8]?
        do { body = try response.collect(limit: 256 << 10) } catch let error as HTTPError {
            throw SourceError("the token service of \(endpoint.name) broke off: \(error)")
        }
        guard let body else {
            throw SourceError("the token service of \(endpoint.name) gave an endless answer")
        }
        guard let token = Token(json: body, now: began) else {
            throw SourceError("the token service of \(endpoint.name) gave no token that can be used")
        }
        return token
    }
}
