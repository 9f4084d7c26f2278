// What commands ask of a running daemon, and the dead letters that come of it.

import Platform

extension Daemon {
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
                hook.isNotedAsPaused = hook.runner.isPaused
                log(.info, request.action == .pause ? "paused" : "resumed", [("hook", hook.name)])
            case .replay:
                let count = try letters(of: hook.name).replay(request.identifiers)
                log(.info, "delivers \(Self.text(count)) once more", [("hook", hook.name)])
            case .move:
                move(hook, to: request.cursor.map { .at($0) } ?? .anew)
                log(.info, "goes on from another place", [("hook", hook.name)])
            case .drop:
                do throws(SystemError) { try letters(of: hook.name).remove(request.identifiers) } catch {
                    throw RequestError(error.description)
                }
                log(.info, "dropped \(Self.text(request.identifiers?.count))", [("hook", hook.name)])
            }
        }
    }

    /// Tells commands that nothing more is done for them.
    func refuseRequests() {
        requests.answer { _ throws(RequestError) in
            throw RequestError("the daemon is stopping: ask again when it has stopped")
        }
    }

    private static func text(_ count: Int?) -> String {
        guard let count else { return "all dead letters" }
        return "\(count) dead letter\(count == 1 ? "" : "s")"
    }

    /// A hook's dead letters, whichever way it is configured.
    func letters(of hook: String) -> DeadLetters {
        if let known = letters[hook] { return known }
        let new = DeadLetters(hook: hook, state: state.path)
        letters[hook] = new
        return new
    }

    /// Gives hooks what they have room for of the dead letters that are to be delivered once more. They come back as
    /// events that lie nowhere in the stream, and leave their file when they are done with.
    func replay() {
        for hook in groups.flatMap(\.hooks) where !hook.runner.isFull {
            do throws(SystemError) {
                for letter in try letters(of: hook.name).next() {
                    hook.own.note(letter.event.identifier)
                    hook.runner.offer(letter.event, at: nil) { nil }
                    log(.debug, "once more", [("hook", hook.name), ("event", letter.event.identifier)])
                }
            } catch { log(.error, error.description, [("hook", hook.name)]) }
        }
    }

    /// Takes out of the files what has left the dead letters.
    ///
    /// - Parameter now: of `MonotonicClock`; nil: whether it is time or not.
    func writeLetters(now: UInt64? = nil) {
        for (hook, letters) in letters {
            guard let deadline = letters.deadline, now.map({ $0 >= deadline }) ?? true else { continue }
            do throws(SystemError) { try letters.write() } catch {
                log(.error, error.description, [("hook", hook)])
            }
        }
    }
}
