// Which Authorization a request carries, and what follows from the answer: the decisions alone, without network.
//
// The first request goes out bare, or with what the last one ended with. A 401 is answered once: with a token of the
// service that the registry names, or with name and password. A second 401 is an answer.

import FoundationEssentials

/// A token that a token service gave.
package struct Token: Equatable, Sendable {
    package let text: String
    /// When it stops being used: a tenth of its life before its end; monotonic seconds.
    package let usableUntil: Double

    /// - Parameters:
    ///   - life: what the service calls `expires_in`; 60 s where it says nothing, as the specification has it.
    ///   - now: monotonic seconds at which it was asked for.
    package init(_ text: String, life: Double?, now: Double) {
        self.text = text
        usableUntil = now + max(life ?? 60, 0) * 0.9
    }

    /// Reads the answer of a token service: `token` or `access_token`, and `expires_in`.
    package init?(json body: [UInt8], now: Double) {
        struct Answer: Decodable {
            let token: String?
            let access_token: String?
            let expires_in: Double?
        }
        guard let answer = try? JSONDecoder().decode(Answer.self, from: Data(body)) else { return nil }
        let text = [answer.token, answer.access_token].compactMap { $0 }.first { !$0.isEmpty }
        guard let text, Self.isUsable(text) else { return nil }
        self.init(text, life: answer.expires_in, now: now)
    }

    /// Whether a text can go into a header line: nothing that could end the line, and no more than servers take.
    static func isUsable(_ text: String) -> Bool {
        text.utf8.count <= 16 << 10 && text.utf8.allSatisfy { (0x21...0x7e).contains($0) }
    }
}

/// What requests to one repository of one registry carry.
package enum Session: Equatable, Sendable {
    case basic(String)
    case bearer(BearerChallenge, Token)
    /// A token that somebody was given together with the registry's name: shown as it is.
    case registryToken(String)

    /// The `Authorization` of a request.
    package var authorization: String {
        switch self {
        case .basic(let text): text
        case .bearer(_, let token): "Bearer \(token.text)"
        case .registryToken(let text): "Bearer \(text)"
        }
    }
}

/// One request's way through authentication.
package struct Authentication {
    /// What to do next.
    package enum Step: Equatable {
        /// Send the request with this `Authorization`.
        case ask(String?)
        /// Fetch a token, then call `fetched`.
        case fetchToken(BearerChallenge)
        /// The answer is final.
        case done
    }

    /// What later requests begin with.
    package private(set) var session: Session?
    private var hasAnsweredChallenge = false

    /// - Parameter session: what the last request ended with, or nil.
    package init(_ session: Session?) { self.session = session }

    /// The first step; `now` is monotonic seconds.
    package mutating func begin(now: Double) -> Step {
        switch session {
        case .bearer(let challenge, let token) where now >= token.usableUntil: .fetchToken(challenge)
        default: .ask(session?.authorization)
        }
    }

    /// A token came.
    package mutating func fetched(_ token: Token, for challenge: BearerChallenge) -> Step {
        session = .bearer(challenge, token)
        return .ask(session?.authorization)
    }

    /// The step behind an answer.
    ///
    /// - Parameters:
    ///   - challenges: the answer's, where it came from the registry itself; none where it came from elsewhere.
    ///   - credential: what is known for the registry.
    package mutating func answered(_ status: Int, _ challenges: [Challenge], _ credential: Credential?)
        -> Step
    {
        guard status == 401 else { return .done }
        // Nobody begins with what was refused.
        session = nil
        guard !hasAnsweredChallenge else { return .done }
        hasAnsweredChallenge = true
        if case .registryToken(let text)? = credential?.kind {
            guard challenges.contains(where: { $0.scheme == "bearer" }) else { return .done }
            session = .registryToken(text)
            return .ask(session?.authorization)
        }
        if let bearer = challenges.lazy.compactMap({ BearerChallenge($0) }).first {
            return .fetchToken(bearer)
        }
        if challenges.contains(where: { $0.scheme == "basic" }), let basic = credential?.basic {
            session = .basic(basic)
            return .ask(basic)
        }
        return .done
    }
}
