// `ducc-follow verify FILE…`: is everything there that was written, as it was written?

import ArgumentParser
import Following
import Glibc
import Notifications
import Platform

/// Verifies streams.
struct VerifyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Verify streams: the live files and all their rotated, compressed siblings.",
        discussion: """
            Finds lines that were deleted, changed, swapped, repeated or torn, rotated files that are missing, and \
            runs without an end. Each finding is one line with file, line number and run; the last line sums up. \
            Events that their writer declared lost are no finding. Exit code 0: nothing is wrong. 1: something was \
            found. 66: there is no such stream.
            """)

    @Argument(help: "The notification files as they are written to; rotated ones are found beside them.")
    var files: [String]

    @Option(
        help: ArgumentHelp("Look for rotated files here too (logrotate's olddir).", valueName: "directory"))
    var olddir: [String] = []

    func validate() throws {
        for directory in olddir where !Files.isDirectory(directory) {
            throw ValidationError("--olddir takes a directory, which \(directory) is not")
        }
    }

    /// Verifies one stream after the other.
    ///
    /// - Returns: the worst that was found.
    func verify() throws -> ExitStatusCode {
        // All files of a stream are open at once.
        DescriptorLimit.raise()
        var result = ExitStatusCode.done
        for file in files {
            let printer = LinePrinter()
            defer { printer.flush() }
            let summary: VerificationSummary?
            do {
                summary = try StreamVerification.run(
                    path: file, olddirs: olddir, check: { try Interruption.check() },
                    report: { printer.add("\($0)") })
            } catch let error as SystemError {
                printer.flush()
                Report.say(error.description)
                result = .noStream
                continue
            }
            guard let summary else {
                Report.say("there is no stream \(file)")
                result = .noStream
                continue
            }
            printer.add("\(file): \(summary)")
            if summary.findings > 0, case .done = result { result = .found }
        }
        return result
    }
}
