import Glibc

/// The variables that this process was started with.
public enum ProcessEnvironment {
    /// All of them, by their names. Not to be read while another thread changes the environment.
    public static var current: [String: String] {
        var variables: [String: String] = [:]
        var pointer = environ
        while let entry = pointer.pointee {
            let text = String(cString: entry)
            if let equals = text.firstIndex(of: "=") {
                variables[String(text[..<equals])] = String(text[text.index(after: equals)...])
            }
            pointer += 1
        }
        return variables
    }
}
