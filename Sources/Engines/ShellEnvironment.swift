// An image's variables, entrypoint and command as shell text: what is run gets each byte of them as `podman run` gives
// it, whatever is in them. Nothing of an image is ever evaluated: its texts are quoted words.
//
// The rules:
//  - A variable that the caller has already stays as it is (so Singularity documents it: what `--env`, or the host, says
//    comes first), but for PATH, which is the image's; an image without one gets podman's.
//  - Of a name that is there twice the last value counts; what has no "=" means the caller's variable; blanks before a
//    name are no part of it, and what has no name is nothing: as podman and runc do it.
//  - Variables that a shell can't pass on as they are go through the image's own `env`, where it has one: a name that is
//    none in a shell, and those that shells make themselves or refuse to take.

/// The variables of an image, for its shell files.
struct ShellEnvironment {
    private struct Variable {
        let name: String
        let value: String
        var quoted: String { ShellEnvironment.quoted(value) }
    }

    private var variables: [Variable] = []

    private static let defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

    /// A shell makes or changes these itself, or takes no assignment to them: tried in a shell, passed exactly by `env`.
    private static let shellsOwn: Set<Substring> = Set(
        """
        _ UID EUID GID EGID PPID SHLVL OPTIND LINENO RANDOM SRANDOM SECONDS EPOCHSECONDS EPOCHREALTIME BASHPID BASHOPTS \
        SHELLOPTS BASH_VERSINFO BASH_ARGC BASH_ARGV BASH_LINENO BASH_SOURCE BASH_ALIASES BASH_CMDS BASH_COMMAND \
        BASH_SUBSHELL BASH_REMATCH BASH_MONOSECONDS DIRSTACK FUNCNAME GROUPS HISTCMD PIPESTATUS
        """.split(separator: " "))
    /// A shell doesn't take these from its environment, or takes others: each new shell is told again. The image's counts.
    private static let replaced: Set<Substring> = Set(
        "IFS PS1 PS2 PS4 PWD OLDPWD OPTERR BASH BASH_VERSION BASH_ARGV0 POSIXLY_CORRECT COMP_WORDBREAKS"
            .split(
                separator: " "))
    /// A shell may have set these for itself without exporting them: no variable of the caller's.
    private static let assumed: Set<Substring> = Set(
        """
        HOME HOSTNAME HOSTTYPE MACHTYPE OSTYPE SHELL TERM BASH_LOADABLES_PATH BASH_EXECUTION_STRING COLUMNS LINES \
        MAILCHECK TMOUT FCEDIT HISTFILE HISTSIZE HISTFILESIZE ENV LOGNAME USER PS3 KSH_VERSION
        """.split(separator: " "))

    /// - Parameter entries: an image's `Env`.
    init(_ entries: [String]) {
        for entry in entries where !entry.utf8.contains(0) {
            guard let equals = entry.utf8.firstIndex(of: UInt8(ascii: "=")) else { continue }
            let name = String(entry[..<equals].drop { $0 == " " || $0 == "\t" })
            if name.isEmpty { continue }
            let variable = Variable(name: name, value: String(entry[entry.utf8.index(after: equals)...]))
            // Bytes, not characters: a name is what a program compares.
            if let place = variables.firstIndex(where: { $0.name.utf8.elementsEqual(name.utf8) }) {
                variables[place] = variable
            } else {
                variables.append(variable)
            }
        }
        if !variables.contains(where: { $0.name == "PATH" }) {
            variables.append(Variable(name: "PATH", value: Self.defaultPath))
        }
    }

    /// A text as one word of a shell's.
    static func quoted(_ text: String) -> String {
        // By unicode scalars: a quote and a combining mark behind it are one character.
        var word = "'"
        for scalar in text.unicodeScalars {
            if scalar == "'" { word += "'\\''" } else { word.unicodeScalars.append(scalar) }
        }
        return word + "'"
    }

    // MARK: - The files

    /// `env/10-docker2singularity.sh`.
    var script: String {
        // First, so that `export -p` prints something wherever a shell has it.
        var first = ""
        var others = ""
        var last = ""
        for variable in variables {
            let (name, value) = (variable.name, variable.quoted)
            if !Self.isIdentifier(name) { continue }
            if name == "PATH" {
                first = Self.exported(name, value)
            } else if Self.shellsOwn.contains(name[...]) {
                last += Self.tried(name, value)
            } else if Self.replaced.contains(name[...]) {
                last += Self.exported(name, value)
            } else {
                // Set, but not exported, is what the shell itself made.
                let isOurs =
                    Self.assumed.contains(name[...])
                    ? " || { [ -n \"$(export -p)\" ] && [ \"$(export -p)\" = \"$(unset \(name); export -p)\" ]; }"
                    : ""
                others += """
                    if [ -z "${\(name)+x}" ]\(isOurs); then
                        # bash complains of a locale that is not there.
                        { \(name)=\(value); } 2>/dev/null
                    fi
                    export \(name)

                    """
            }
        }
        return """
            #!/bin/sh
            # The variables of the OCI image. What the caller has set already stays as it
            # is, but for PATH and for those that a shell keeps to itself.

            \(first)\(others)\(last)\(becoming)
            """
    }

    /// `runscript`: the entrypoint with the arguments that are given, or else the image's own.
    func runScript(_ entrypoint: [String], _ command: [String]) -> String {
        let entrypoint = entrypoint == [""] ? [] : entrypoint
        var text = """
            #!/bin/sh
            # Runs what the OCI image says: its entrypoint, with the arguments given here
            # or else with its own.

            \(SingularityScripts.quiet)

            """
        guard !(entrypoint + command).contains(where: { $0.utf8.contains(0) }) else {
            return text + "echo 'No system can run what this image names: it has a NUL in it' >&2\nexit 1\n"
        }
        if !command.isEmpty {
            text += "if [ \"$#\" -eq 0 ]; then\n    set --\(Self.words(command))\nfi\n"
        }
        if entrypoint.isEmpty {
            text += """
                if [ "$#" -eq 0 ]; then
                    echo "The image names no program to run: starting /bin/sh instead" >&2
                    set -- /bin/sh
                fi

                """
        } else {
            text += "set --\(Self.words(entrypoint)) \"$@\"\n"
        }
        for variable in variables where Self.isIdentifier(variable.name) {
            if Self.replaced.contains(variable.name[...]) {
                text += Self.exported(variable.name, variable.quoted)
            } else if Self.shellsOwn.contains(variable.name[...]) {
                text += Self.tried(variable.name, variable.quoted)
            }
        }
        if !odd.isEmpty { text += becoming + "singularity_image_exec \"$@\"\n" }
        return text + SingularityScripts.becomeProgram
    }

    // MARK: - Their parts

    private static func words(_ words: [String]) -> String { words.map { " " + quoted($0) }.joined() }

    private static func exported(_ name: String, _ value: String) -> String {
        "\(name)=\(value)\nexport \(name)\n"
    }

    /// An export that is made where the shell lets the variable be that very value.
    private static func tried(_ name: String, _ value: String) -> String {
        """
        if (\(name)=\(value); [ "$\(name)" = \(value) ]) 2>/dev/null; then
            \(name)=\(value)
            export \(name)
        fi

        """
    }

    /// Variables that only a program can pass on.
    private var odd: [Variable] {
        variables.filter { !Self.isIdentifier($0.name) || Self.shellsOwn.contains($0.name[...]) }
    }

    /// `singularity_image_exec`; nothing where the image needs none.
    private var becoming: String {
        if odd.isEmpty { return "" }
        return SingularityScripts.becomeWithVariables(Self.words(odd.map { "\($0.name)=\($0.value)" }))
    }

    private static func isIdentifier(_ name: String) -> Bool {
        name.utf8.enumerated().allSatisfy { place, byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "_"):
                true
            case UInt8(ascii: "0")...UInt8(ascii: "9"): place > 0
            default: false
            }
        }
    }
}
