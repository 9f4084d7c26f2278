// What is run for an event: no shell anywhere, so nothing in a value is ever interpreted.

import Glibc
import Notifications
import Platform

/// The hook can't be run as it was given.
package struct HookError: Error, CustomStringConvertible {
    package let description: String
}

/// A program and its arguments with placeholders.
package struct HookCommand {
    package let program: String
    /// Who it runs as; nil: as this process.
    let user: SystemUser?
    /// What `DUCC_HOOK` says.
    package let name: String
    private let arguments: [String]
    private let inherited: [String]

    /// - Parameters:
    ///   - words: the program and its arguments.
    ///   - environment: further variables.
    /// - Throws: `HookError` where there is no such program.
    package init(
        words: [String], name: String?, environment: [String: String] = [:], user: String? = nil
    ) throws(HookError) {
        do throws(SystemError) {
            self.user = try user.map { name throws(SystemError) in try SystemUser(named: name) }
        } catch {
            throw HookError(description: error.description)
        }
        program = words[0]
        arguments = Array(words.dropFirst())
        self.name = name ?? Files.lastComponent(of: program)
        inherited =
            ["PATH", "HOME", "LANG"].compactMap { (name: String) in
                guard environment[name] == nil else { return nil }
                return getenv(name).map { "\(name)=\(String(cString: $0))" }
            } + environment.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
        guard let problem = Self.problem(with: program) else { return }
        throw HookError(description: "cannot run \(program): \(problem)")
    }

    /// A hook's program.
    ///
    /// - Throws: `HookError` where there is no such program.
    package init(_ hook: HookConfiguration) throws(HookError) {
        let words: [String]
        switch hook.target {
        case .exec(let found), .pipe(let found): words = found
        }
        try self.init(words: words, name: hook.name, environment: hook.environment, user: hook.user)
    }

    /// The arguments for an event: `{field}` is the event's value, or nothing where it lacks the field.
    package func arguments(for event: Event) -> [String] {
        arguments.map { Placeholder.fill($0) { Self.value(of: $0, in: event) } }
    }

    /// The whole environment for an event.
    package func environment(for event: Event, attempt: Int) -> [String] {
        var variables = inherited
        for (field, value) in Self.fields(of: event) where Placeholder.isField(field.rawValue[...]) {
            // These two are ours.
            if field.rawValue == "attempt" || field.rawValue == "hook" { continue }
            variables.append("DUCC_\(field.rawValue.uppercased())=\(value)")
        }
        return variables + ["DUCC_ATTEMPT=\(attempt)", "DUCC_HOOK=\(name)"]
    }

    /// An event's fields, the last one of a name, and what a line of the original DUCC has only by where it stands.
    private static func fields(of event: Event) -> [(Field, String)] {
        var fields: [(Field, String)] = []
        var places: [Field: Int] = [:]
        for (field, value) in event.fields {
            if let place = places[field] {
                fields[place].1 = value
            } else {
                places[field] = fields.count
                fields.append((field, value))
            }
        }
        for field in [Field.eventIdentifier, .timestamp] where event[field] == nil {
            fields.append((field, value(of: field, in: event)))
        }
        return fields
    }

    private static func value(of field: Field, in event: Event) -> String {
        switch field {
        case .eventIdentifier: event.identifier
        case .timestamp: event.timestamp ?? ""
        default: event[field] ?? ""
        }
    }

    /// The arguments of a program that is started for no event in particular.
    var standingArguments: [String] { arguments }

    /// The environment of a program that is started for no event in particular.
    var standingEnvironment: [String] { inherited + ["DUCC_HOOK=\(name)"] }

    /// Why a program can't be run, as far as that can be told before; nil where it can.
    private static func problem(with program: String) -> String? {
        if program.utf8.contains(UInt8(ascii: "/")) {
            if Files.isDirectory(program) { return "it is a directory" }
            return access(program, X_OK) == 0 ? nil : SystemError.reason(errno)
        }
        let path = getenv("PATH").map { String(cString: $0) } ?? "/usr/local/bin:/usr/bin:/bin"
        let isThere = path.split(separator: ":").contains { directory in
            access("\(directory)/\(program)", X_OK) == 0 && !Files.isDirectory("\(directory)/\(program)")
        }
        return isThere ? nil : "there is no such program in PATH; name it with its directory (./\(program))"
    }
}
