import Support
import Testing
struct ModelDebugTests {
    @Test func one() throws {
        let steps: [ModelStep] = [.writePart(2, missing: 226, key: 0), .rotate(create: true), .stop, .start, .write(2, count: 3, key: 2), .copyTruncate(between: 1)]
        let problem = try ModelWorld.run(steps, .elsewhere, try ModelProgram(), debug: true)
        #expect(problem == nil)
    }
}
