import Glibc

/// Where cursors are kept.
enum UserState {
    /// What the command line says, else the place for a user's state.
    static func path(_ given: String?) -> String {
        if let given { return given }
        if let base = variable("XDG_STATE_HOME") { return base + "/ducc-follow" }
        return (variable("HOME") ?? "") + "/.local/state/ducc-follow"
    }

    private static func variable(_ name: String) -> String? {
        guard let value = getenv(name), value.pointee == 0x2f else { return nil }
        return String(cString: value)
    }
}
