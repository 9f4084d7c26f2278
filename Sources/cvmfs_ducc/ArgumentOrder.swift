// DUCC takes its flags anywhere on the line, also before the command, and booleans as `--flag=false`; scripts and unit
// files are written so. The argument parser wants the command first and knows no values of flags: this puts right
// what it is given.

/// Puts arguments into the order and form that the parser takes.
enum ArgumentOrder {
    /// Options that take their value from the next argument.
    private static let optionsWithValue: Set<String> = [
        "-n", "--notification-file", "--notification-sync", "-v", "--verbosity", "--progress", "--platform",
        "--max-concurrent-downloads", "--action", "--since", "-t", "--temporary-dir", "-r", "--attempts",
        "-u", "--username", "--thin-image-name", "--interval",
    ]
    /// Flags that may be written with `=true` or `=false`.
    private static let flags: Set<String> = [
        "--skip-flat", "--skip-layers", "--skip-thin-image", "--skip-podman", "--overwrite-layers",
        "--convert-again",
        "--machine-friendly", "--json",
    ]

    /// The arguments with the command first, and flags without values.
    static func normalised(_ arguments: [String]) -> [String] {
        var result: [String] = []
        var command: String?
        var rest = arguments[...]
        while let argument = rest.popFirst() {
            if argument == "--" {
                result.append(argument)
                result.append(contentsOf: rest)
                break
            }
            if argument.hasPrefix("-"), argument != "-" {
                if let flag = value(ofFlag: argument) {
                    if flag.isOn { result.append(flag.name) }
                    continue
                }
                result.append(argument)
                if optionsWithValue.contains(argument), let value = rest.popFirst() { result.append(value) }
            } else if command == nil {
                command = argument
            } else {
                result.append(argument)
            }
        }
        return (command.map { [$0] } ?? []) + result
    }

    private static func value(ofFlag argument: String) -> (name: String, isOn: Bool)? {
        guard let equals = argument.firstIndex(of: "=") else { return nil }
        let name = String(argument[..<equals])
        guard flags.contains(name) else { return nil }
        switch argument[argument.index(after: equals)...].lowercased() {
        case "true", "t", "1": return (name, true)
        case "false", "f", "0": return (name, false)
        default: return nil
        }
    }
}
