// The stand-in for `cvmfs_server`, which the tests on a CernVM-FS repository rest on, has tests of its own: one for each
// fact that is known of a real server.

import Support
import Testing

@Suite("The stand-in for cvmfs_server", .enabled(if: CernVMServer.isPossible))
struct StandInTests {
    @Test("behaves as a real server does, fact by fact")
    func facts() throws {
        let program = "\(CernVMServer.programs)/selftest.py"
        // All of them take two minutes.
        let result = try run(
            "python3", ["-B", program] + (TestScale.isLong ? [] : ["whiteout", "lease", "link"]))
        #expect(result.code == 0, "\(result.errors)")
        #expect(result.errors.contains("Ran ") && !result.errors.contains("Ran 0 "), "\(result.errors)")
    }
}
