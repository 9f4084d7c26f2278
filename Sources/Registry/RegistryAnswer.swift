// What a registry's refusal means to a person.

import FoundationEssentials
import HTTP
import Images

/// Turns refusals into errors.
enum RegistryAnswer {
    /// The error of an answer that is no success; a part of its body is read for the registry's own words.
    ///
    /// - Parameter shown: the credential that the request carried, or nil.
    static func error(
        _ response: HTTPResponse, _ reference: ImageReference, _ endpoint: RegistryEndpoint, _ path: String,
        isForWriting: Bool, shown: Credential?
    ) -> SourceError {
        let words = (try? response.collect(limit: 64 << 10)).flatMap { $0.flatMap(message) } ?? ""
        let detail = words.isEmpty ? "" : " (\(words))"
        let name = endpoint.name
        switch response.status {
        case 401 where isForWriting, 403 where isForWriting:
            let who = shown.map { "\($0.words)" } ?? "anybody (no credentials were sent)"
            return SourceError(
                "\(name) lets nothing be pushed to \(reference.repository)\(detail) by \(who): are the name and the password right, and may it push there?"
            )
        case 401, 403:
            return denied(
                "\(name) denies access to \(reference.repository)\(detail)", endpoint, shown: shown)
        case 404 where path.hasPrefix("manifests/"):
            return SourceError("there is no image \(reference)\(detail): is it spelled right?")
        case 404 where path.hasPrefix("tags/"):
            return SourceError(
                "\(reference.registry) has no repository \(reference.repository)\(detail): is it spelled right?"
            )
        case 400..<500 where isForWriting && response.status != 429:
            return SourceError(
                "\(name) refuses what is pushed to \(reference.repository)\(detail): it answered \(response.status)"
            )
        case 404:
            return SourceError("\(name) has no \(path) of \(reference.repository)\(detail)")
        case 429:
            let wait = response.header("Retry-After").map { ", Retry-After: \(quoted($0))" } ?? ""
            return SourceError(
                "\(name) says that there were too many requests for \(reference.repository)\(detail)\(wait): try later"
            )
        default:
            return SourceError(
                "\(name) answered \(response.status) for \(reference.repository)/\(path)\(detail)")
        }
    }

    /// A refusal of who is asking.
    static func denied(_ what: String, _ endpoint: RegistryEndpoint, shown: Credential?) -> SourceError {
        guard let shown else {
            return SourceError(
                "\(what); no credentials were sent: it needs credentials for \(endpoint.names.server), "
                    + "or there is no such image")
        }
        return SourceError(
            "\(what) to \(shown.words): are they still valid and allowed to read it, and is there such an image?"
        )
    }

    /// The first message of an error body (distribution-spec, "Error Codes"), made harmless for a terminal.
    private static func message(_ body: [UInt8]) -> String? {
        (try? JSONDecoder().decode(ErrorBody.self, from: Data(body)))?.errors.first?.message.map {
            quoted($0)
        }
    }

    private struct ErrorBody: Decodable {
        struct Entry: Decodable { let message: String? }
        let errors: [Entry]
    }
}
