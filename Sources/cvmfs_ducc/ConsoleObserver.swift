// A conversion as the person at the terminal sees it: live lines on standard error while it runs, one line a result on
// standard output.

import Conversion
import Images
import Logging
import Platform
import Terminal

/// Draws a conversion's progress.
struct ConsoleObserver: ConversionObserver {
    let display: ProgressDisplay
    let log: Logger

    func imageBegan(_ reference: ImageReference) { log.info("converting \(reference)") }

    func layerBegan(_ digest: Digest, bytes: Int64) {
        display.begin(digest.hex, title: "layer \(digest.hex.prefix(12))", totalBytes: bytes)
    }

    func layerAdvanced(_ digest: Digest, bytes: Int) { display.advance(digest.hex, bytes: Int64(bytes)) }

    func layerEnded(_ digest: Digest, entries: Int, error: String?) {
        display.end(digest.hex, summary: error == nil ? "\(entries) entries" : Self.stopWord)
    }

    func flatBegan(_ reference: ImageReference) {
        display.begin(reference.publicPath, title: "flat image", totalBytes: nil)
    }

    func flatEnded(_ reference: ImageReference, entries: Int?) {
        display.end(reference.publicPath, summary: entries.map { "\($0) entries" } ?? Self.stopWord)
    }

    /// What is said of work that didn't end well; why is said once, with the image.
    private static var stopWord: String { Interruption.signal == nil ? "failed" : "stopped" }

    func warn(_ text: String) { log.warning("\(text)") }

    func imageEnded(_ reference: ImageReference, _ result: ImageResult) {
        switch result.outcome {
        case .failed:
            let ignored = result.isIgnored ? " (ignored, as the wish list says)" : ""
            log.error("\(reference): \(result.error ?? "failed")\(ignored)")
            StandardStream.output("failed     \(reference)")
        case .unchanged where result.isOldNews: break
        case .unchanged:
            StandardStream.output("unchanged  \(reference)  already converted")
        case .converted, .updated:
            let name = result.outcome.rawValue
            let padding = String(repeating: " ", count: max(0, 11 - name.utf8.count))
            StandardStream.output("\(name)\(padding)\(reference)  \(Self.details(result))")
            if let thin = result.thinImage { StandardStream.output("pushed     \(thin)  thin image") }
        }
    }

    /// "5 layers (2 reused), 31 MB in 2.1 s".
    private static func details(_ result: ImageResult) -> String {
        "\(layers(result.layers, result.layersReused)), \(HumanText.bytes(result.bytesDownloaded)) in "
            + HumanText.seconds(result.seconds)
    }

    /// "5 layers (2 reused)".
    static func layers(_ count: Int, _ reused: Int) -> String {
        "\(count) layer\(count == 1 ? "" : "s")" + (reused > 0 ? " (\(reused) reused)" : "")
    }

    /// The last line of a conversion: what all images came to.
    static func summary(_ summary: ConversionSummary, seconds: Double) -> String {
        let counts = ImageOutcome.allCases.map { "\(summary.counts[$0] ?? 0) \($0.rawValue)" }.joined(
            separator: ", ")
        return "\(counts); \(layers(summary.layers, summary.layersReused)), "
            + "\(HumanText.bytes(summary.bytesDownloaded)) in \(HumanText.seconds(seconds))"
    }
}
