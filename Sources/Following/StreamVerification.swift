// Verifies a stream where it lies: the live file and everything that rotation made of it.

import Glibc
import Notifications
import Platform

/// Verification of a stream on the disk.
public enum StreamVerification {
    /// Reads all files of a stream, oldest first, compressed ones too, and proves them.
    ///
    /// Writers and logrotate may be at work: what comes after the beginning is not looked at. All files are open at
    /// once, which the process's limit of descriptors must allow.
    /// - Parameters:
    ///   - path: the live file; it may be absent as long as a rotated one is there.
    ///   - olddirs: directories that logrotate moves rotated files to, besides the file's own.
    ///   - check: asked between pieces; what it throws ends the verification.
    ///   - report: told of each finding.
    /// - Returns: what was verified; nil where there is no such stream.
    /// - Throws: `SystemError` where the live file or a directory can't be read; what `check` throws.
    public static func run(
        path: String, olddirs: [String] = [], check: () throws -> Void = {}, report: (Finding) -> Void
    ) throws -> VerificationSummary? {
        let (files, unreadable) = try VerifiedFiles.open(path, olddirs: olddirs)
        if files.isEmpty && unreadable.isEmpty { return nil }
        var verifier = try StreamVerifier()
        for file in unreadable {
            verifier.begin(file: file.path)
            verifier.failFile(SystemError.reason(file.error.code), report: report)
        }
        for file in files {
            verifier.begin(file: file.path, missingBefore: file.missingBefore, report: report)
            var failure: String?
            var stream: (any ByteStream)?
            do { stream = try file.stream() } catch { failure = "\(error)" }
            while let source = stream {
                try check()
                do {
                    let chunk = try source.next()
                    if chunk.isEmpty { break }
                    verifier.feed(chunk, report: report)
                } catch {
                    failure = "\(error)"
                    stream = nil
                }
            }
            if let failure {
                verifier.failFile(failure, report: report)
            } else {
                verifier.endFile(isLive: file.isLive, report: report)
            }
        }
        verifier.finish(report: report)
        return verifier.summary
    }
}
