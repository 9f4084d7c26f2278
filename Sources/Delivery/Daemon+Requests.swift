// What commands ask of a running daemon.

import Platform

extension Daemon {
    /// Dead letters come back as events that lie nowhere in the stream. They leave their file when they are done with.
    private func replay(_ request: Request, _ hook: HookState) throws(RequestError) {
        let letters: [DeadLetter]
        do throws(SystemError) { letters = try DeadLetters(hook: hook.name, state: state.path).all() } catch {
            throw RequestError(error.description)
        }
        for identifier in request.identifiers {
            guard let letter = letters.last(where: { $0.event.identifier == identifier }) else {
                throw RequestError("\(hook.name) has no dead letter \(identifier)")
            }
            hook.own.note(identifier)
            hook.runner.offer(letter.event, at: nil) { nil }
            log(.info, "replayed", [("hook", hook.name), ("event", identifier)])
        }
    }

    func answerRequests() {
        requests.answer { [self] request throws(RequestError) in
            guard let hook = hooks.first(where: { $0.name == request.hook }) else {
                throw RequestError("there is no hook '\(request.hook)'")
            }
            switch request.action {
            case .pause, .resume:
                do throws(SystemError) { try state.setPaused(hook.name, request.action == .pause) } catch {
                    throw RequestError(error.description)
                }
                hook.runner.isPaused = request.action == .pause
                log(.info, request.action == .pause ? "paused" : "resumed", [("hook", hook.name)])
            case .replay: try replay(request, hook)
            case .move:
                move(hook, to: request.cursor.map { .at($0) } ?? .anew)
                log(.info, "goes on from another place", [("hook", hook.name)])
            case .drop:
                do throws(SystemError) {
                    try DeadLetters(hook: hook.name, state: state.path).remove(Set(request.identifiers))
                } catch { throw RequestError(error.description) }
                log(.info, "dropped \(request.identifiers.count) dead letters", [("hook", hook.name)])
            }
        }
    }
}
