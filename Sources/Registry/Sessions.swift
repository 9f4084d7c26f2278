// What requests begin with, known to all threads: whoever was let in says how, and nobody finds it out again.
//
// A token is fetched by one thread; others that want it at that time wait for that one answer, a failure too. They wait
// for each other alone: no other registry, and no other repository, is held up.

import Synchronization

/// The sessions of one client.
final class Sessions: Sendable {
    /// One fetch of a token. Its lock is held by the one that fetches, for as long as that takes.
    private final class Flight: Sendable {
        let result = Mutex<Result<Token, any Error>?>(nil)
    }

    private struct Purpose: Hashable {
        let endpoint: String
        let challenge: BearerChallenge
    }

    private struct State {
        /// By endpoint.
        var sessions: [String: Session] = [:]
        var flights: [Purpose: Flight] = [:]
        /// Hosts that asked for a name and a password: asked with them from then on.
        var basicHosts: Set<String> = []
    }

    private let state = Mutex(State())

    /// What is known for an endpoint.
    subscript(_ endpoint: RegistryEndpoint) -> Session? { state.withLock { $0.sessions[endpoint.key] } }

    /// Whether a host wants a name and a password for whatever it has.
    func wantsPassword(_ endpoint: RegistryEndpoint) -> Bool {
        state.withLock { $0.basicHosts.contains(endpoint.host) }
    }

    /// A request got its answer.
    ///
    /// - Parameters:
    ///   - session: what it ended with; nil where nothing lets anybody in.
    ///   - shown: the last `Authorization` it carried.
    func ended(_ endpoint: RegistryEndpoint, with session: Session?, shown: String?) {
        state.withLock { state in
            switch session {
            // A token was noted when it came, and another thread may have a newer one by now.
            case .bearer: return
            case nil:
                guard state.sessions[endpoint.key]?.authorization == shown else { return }
                state.sessions[endpoint.key] = nil
            case .basic:
                state.basicHosts.insert(endpoint.host)
                fallthrough
            case .registryToken: state.sessions[endpoint.key] = session
            }
        }
    }

    /// A token for an endpoint: the one that came meanwhile, or the one that is on its way, or a new one.
    ///
    /// - Parameters:
    ///   - refused: the `Authorization` that the registry didn't take; the token is another one.
    ///   - now: monotonic seconds.
    /// - Throws: what `fetch` throws, in this thread or in the one that did it.
    func token(
        _ endpoint: RegistryEndpoint, _ challenge: BearerChallenge, insteadOf refused: String?, now: Double,
        fetch: () throws -> Token
    ) throws -> Token {
        let purpose = Purpose(endpoint: endpoint.key, challenge: challenge)
        let (known, flight) = state.withLock { state -> (Token?, Flight) in
            let known = state.sessions[endpoint.key]
            if case .bearer(challenge, let token)? = known, now < token.usableUntil,
                known?.authorization != refused
            {
                return (token, Flight())
            }
            let flight = state.flights[purpose] ?? Flight()
            state.flights[purpose] = flight
            return (nil, flight)
        }
        if let known { return known }
        return try flight.result.withLock { result in
            if let result { return result }
            let fetched = Result { try fetch() }
            result = fetched
            state.withLock { state in
                state.flights[purpose] = nil
                if case .success(let token) = fetched {
                    state.sessions[endpoint.key] = .bearer(challenge, token)
                }
            }
            return fetched
        }.get()
    }
}
