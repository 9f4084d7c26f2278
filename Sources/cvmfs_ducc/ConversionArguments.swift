// What the converting commands take.

import ArgumentParser
import Conversion
import Glibc
import Images
import Repository

/// Options of the commands that convert.
struct ConversionArguments: ParsableArguments {
    @Flag(name: [.customShort("s"), .long], help: "Publish no flat image, and no public link.")
    var skipFlat = false

    @Flag(
        name: [.customShort("d"), .long],
        help: "Leave nothing in .layers: the flat image only, no thin image, nothing in podman's store.")
    var skipLayers = false

    @Flag(
        name: [.customShort("i"), .long],
        help: "Make no thin image.")
    var skipThinImage = false

    @Flag(
        name: [.customShort("p"), .long],
        help: "Leave podman's store alone.")
    var skipPodman = false

    @Flag(name: [.customShort("f"), .long], help: "Fetch and unpack layers again that are there.")
    var overwriteLayers = false

    @Flag(name: [.customShort("g"), .long], help: "Convert images again that are there and unchanged.")
    var convertAgain = false

    @OptionGroup var platform: PlatformOption

    @Option(
        help: ArgumentHelp(
            "How many layers are fetched at a time (4; DUCC_MAX_CONCURRENT_DOWNLOADS).", valueName: "n"))
    var maxConcurrentDownloads: Int?

    @Option(
        name: [.customShort("r"), .long],
        help: ArgumentHelp("How often what fails is tried, the first time included.", valueName: "n"))
    var attempts = 1

    func validate() throws {
        guard (1...100).contains(attempts) else {
            throw ValidationError("--attempts takes a number from 1 to 100.")
        }
        if let maxConcurrentDownloads, !(1...64).contains(maxConcurrentDownloads) {
            throw ValidationError("--max-concurrent-downloads takes a number from 1 to 64.")
        }
        if skipFlat, skipLayers {
            throw ValidationError("--skip-flat and --skip-layers together leave nothing to publish.")
        }
    }

    /// Whether no thin image is made: one says where layers are.
    var skipsThinImages: Bool { skipThinImage || skipLayers }

    /// The options as the converter takes them.
    ///
    /// - Throws: `UsageError` where the environment says nonsense.
    func options() throws(UsageError) -> ConversionOptions {
        var options = ConversionOptions()
        options.platform = platform.platform
        options.contents = PublishedContents(
            layers: !skipLayers, flat: !skipFlat, podman: !skipPodman && !skipLayers)
        options.overwriteLayers = overwriteLayers
        options.convertAgain = convertAgain
        options.attempts = attempts
        if let maxConcurrentDownloads {
            options.concurrentDownloads = maxConcurrentDownloads
        } else if let number = try Self.fromEnvironment() {
            options.concurrentDownloads = number
        }
        return options
    }

    private static func fromEnvironment() throws(UsageError) -> Int? {
        let name = "DUCC_MAX_CONCURRENT_DOWNLOADS"
        guard let value = getenv(name).map({ String(cString: $0) }), !value.isEmpty else { return nil }
        guard let number = Int(value), (1...64).contains(number) else {
            throw UsageError(description: "\(name) is '\(value)': it takes a number from 1 to 64")
        }
        return number
    }
}
