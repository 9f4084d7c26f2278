/// A text that is no image reference.
package struct ReferenceError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The text as it was given.
    package let text: String
    /// What is wrong, where in the text, and what to write instead.
    package let problem: String

    init(_ text: String, _ problem: String) {
        self.text = text
        self.problem = problem
    }

    /// One line: the reference, what is wrong with it, where, and what to write instead.
    package var description: String { "bad image reference \(quoted(text)): \(problem)" }
}
