import ArgumentParser
import Images

/// The image that a command was given.
struct ImageArgument: ParsableArguments {
    @Argument(
        help: ArgumentHelp("The image, SCHEME://REGISTRY/REPOSITORY:TAG or oci:PATH:TAG.", valueName: "image")
    )
    var image: String

    /// What the text names.
    ///
    /// - Throws: `UsageError`.
    func reference() throws(UsageError) -> ImageReference {
        do { return try ImageReference(parsing: image) } catch {
            throw UsageError(description: "\(error)")
        }
    }
}
