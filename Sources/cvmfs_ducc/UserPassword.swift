// The password of a user whom the command line names.

import Platform
import Registry
import Terminal

/// Finds passwords.
enum UserPassword {
    /// The user with the password of DUCC's variables; without any, a person at the terminal is asked.
    ///
    /// - Parameters:
    ///   - origin: who names the user.
    ///   - purpose: what the password is for: "at REGISTRY".
    /// - Throws: `MissingPassword`, `UsageError`, `Interrupted`.
    static func credential(_ user: String, from origin: String, for purpose: String) throws -> Credential {
        guard !user.isEmpty, !user.contains(":") else {
            throw UsageError(description: "\(origin) is '\(user)': it takes a name without ':'")
        }
        let password: String
        if let found = OutputPassword.find(ProcessEnvironment.current) {
            password = found
        } else if let typed = try PasswordPrompt.ask("Password of \(user) \(purpose): ") {
            password = typed
        } else {
            throw MissingPassword(user: user)
        }
        return Credential(kind: .password(user: user, password: password), origin: origin)
    }
}

/// Nobody has said the password.
struct MissingPassword: Error, CustomStringConvertible {
    let user: String
    var description: String {
        "there is no password for '\(user)': set \(OutputPassword.variables[0]), or run this on a terminal"
    }
}
