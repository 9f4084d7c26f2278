// Starting programs as another user, which posix_spawn can't.

import CLinux
import Glibc

extension ChildProcess {
    /// Starts a program as somebody else. All else is as in `start` without a user.
    ///
    /// Costs a copy of this process's page tables, so the more the more memory this process has.
    /// - Throws: `SystemError` where it can't be started.
    static func start(
        _ path: String, _ arguments: [String], as user: SystemUser, environment: [String]?,
        directory: String?, input: CInt?, output: CInt?, errors: CInt?
    ) throws(SystemError) -> ChildProcess {
        let empty = input == nil ? try OwnedDescriptor(opening: "/dev/null", O_RDONLY).release() : -1
        defer { if empty >= 0 { close(empty) } }
        let argumentPointers = ([path] + arguments).map { strdup($0) } + [nil]
        defer { for pointer in argumentPointers { free(pointer) } }
        let environmentPointers = environment.map { $0.map { strdup($0) } + [nil] }
        defer { for pointer in environmentPointers ?? [] { free(pointer) } }
        let program = strdup(path)
        let search = strdup(getenv("PATH").map { String(cString: $0) } ?? "/bin:/usr/bin")
        let place = directory.flatMap { strdup($0) }
        defer { for pointer in [program, search, place] { free(pointer) } }

        var failure = ducc_child_failure()
        let process = argumentPointers.withUnsafeBufferPointer { arguments in
            user.groups.withUnsafeBufferPointer { groups in
                withEnvironment(environmentPointers) { environment in
                    var child = ducc_child(
                        program: program, arguments: arguments.baseAddress, environment: environment,
                        search: search, directory: place, input: input ?? empty, output: output ?? -1,
                        errors: errors ?? -1, user: user.identifier, group: user.group,
                        groups: groups.baseAddress, groupCount: groups.count,
                        descriptors: DescriptorLimit.original)
                    return ducc_start_as(&child, &failure)
                }
            }
        }
        guard process < 0 else { return ChildProcess(identifier: process) }
        let code = failure.code
        switch failure.stage {
        case CInt(ducc_CHILD_USER): throw SystemError("run \(path) as user", user.name, code: code)
        case CInt(ducc_CHILD_DIRECTORY):
            throw SystemError("enter directory", directory ?? "", code: code)
        case CInt(ducc_CHILD_DESCRIPTORS):
            throw SystemError("pass descriptors to", path, code: code)
        default: throw SystemError("run", path, code: code)
        }
    }

    private static func withEnvironment<Result>(
        _ pointers: [UnsafeMutablePointer<CChar>?]?,
        _ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>?) -> Result
    ) -> Result {
        guard let pointers else { return body(environ) }
        return pointers.withUnsafeBufferPointer { body($0.baseAddress) }
    }
}
