// Starting programs: without a shell, in a process group of their own, with default signal dispositions and an empty
// mask whatever this process blocks or ignores, and only the descriptors that were named.

import CLinux
import Glibc

/// A program that was started and must be waited for.
public struct ChildProcess: Sendable {
    /// The process's number, and its process group's.
    public let identifier: pid_t

    /// Starts a program.
    ///
    /// - Parameters:
    ///   - path: the program's file; a bare name is looked for in this process's `PATH`.
    ///   - arguments: the arguments behind the program's name.
    ///   - environment: the whole environment, `NAME=VALUE`; nil: this process's.
    ///   - directory: where the program starts; nil: here.
    ///   - input: its standard input; nil: empty.
    ///   - output: its standard output; nil: this process's.
    ///   - errors: its standard error; nil: this process's.
    ///   - user: who it runs as, with that user's groups and no others, and enters the directory with that user's rights;
    ///     nil, and the user who this process is: nothing changes. `HOME` and the like are the caller's business.
    /// - Throws: `SystemError` where it can't be started; `EPERM` where this process may not become that user.
    public static func start(
        _ path: String, _ arguments: [String], environment: [String]? = nil, directory: String? = nil,
        input: CInt? = nil, output: CInt? = nil, errors: CInt? = nil, user: SystemUser? = nil
    ) throws(SystemError) -> ChildProcess {
        if let user, !user.isCurrent {
            return try start(
                path, arguments, as: user, environment: environment, directory: directory, input: input,
                output: output, errors: errors)
        }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        if let directory { posix_spawn_file_actions_addchdir_np(&actions, directory) }
        if let input {
            posix_spawn_file_actions_adddup2(&actions, input, 0)
        } else {
            posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        }
        if let output { posix_spawn_file_actions_adddup2(&actions, output, 1) }
        if let errors { posix_spawn_file_actions_adddup2(&actions, errors, 2) }
        // Whoever started us may have left descriptors open that are none of the child's business.
        posix_spawn_file_actions_addclosefrom_np(&actions, 3)

        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var mask = sigset_t()
        sigemptyset(&mask)
        posix_spawnattr_setsigmask(&attributes, &mask)
        sigfillset(&mask)
        posix_spawnattr_setsigdefault(&attributes, &mask)
        posix_spawnattr_setpgroup(&attributes, 0)
        let flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP
        posix_spawnattr_setflags(&attributes, Int16(flags))

        var argumentPointers = ([path] + arguments).map { strdup($0) } + [nil]
        defer { for pointer in argumentPointers { free(pointer) } }
        var environmentPointers = environment.map { $0.map { strdup($0) } + [nil] } ?? []
        defer { for pointer in environmentPointers { free(pointer) } }
        var process = pid_t()
        let code = DescriptorLimit.withOriginal {
            environment == nil
                ? posix_spawnp(&process, path, &actions, &attributes, &argumentPointers, environ)
                : posix_spawnp(&process, path, &actions, &attributes, &argumentPointers, &environmentPointers)
        }
        guard code == 0 else {
            // Which of the two it was isn't told.
            if let directory, access(directory, X_OK) != 0 { throw SystemError("enter directory", directory) }
            throw SystemError("run", path, code: code)
        }
        return ChildProcess(identifier: process)
    }

    /// Waits for the process's end.
    ///
    /// - Returns: how it ended; as killed where nobody can tell, because somebody else has asked before.
    public func wait() -> ExitStatus {
        var status: CInt = 0
        guard retrying({ waitpid(identifier, &status, 0) }) == identifier else { return .signalled(SIGKILL) }
        return ExitStatus(raw: status)
    }

    /// Sends a signal to the process and everything it started in its group.
    public func signalGroup(_ number: CInt) { kill(-identifier, number) }

    /// A descriptor that is readable once the process has ended.
    ///
    /// - Throws: `SystemError` on a kernel without pidfds.
    public func endDescriptor() throws(SystemError) -> OwnedDescriptor {
        let descriptor = ducc_pidfd_open(identifier)
        guard descriptor >= 0 else { throw SystemError("watch process", "\(identifier)") }
        return OwnedDescriptor(raw: descriptor)
    }
}

/// How a process ended.
public enum ExitStatus: Equatable, Sendable, CustomStringConvertible {
    /// It returned this code.
    case exited(CInt)
    /// This signal ended it.
    case signalled(CInt)

    init(raw: CInt) {
        self = raw & 0x7f == 0 ? .exited(raw >> 8 & 0xff) : .signalled(raw & 0x7f)
    }

    /// "exit code 3", "signal 9".
    public var description: String {
        switch self {
        case .exited(let code): "exit code \(code)"
        case .signalled(let number): "signal \(number)"
        }
    }
}
