// A wish list, wish by wish: a wish that fails is reported and the others are converted all the same.

import Images
import Platform
import Wishes

/// Converts the wishes of a list.
package enum WishConversion {
    /// Converts every wish, once, between `start_iteration` and `end_iteration`.
    ///
    /// - Parameter repository: its name.
    /// - Returns: what became of them.
    /// - Throws: `Interrupted`.
    package static func iterate(
        _ list: WishList, into repository: String, with converter: ImageConverter, events: ConversionEvents,
        observer: any ConversionObserver
    ) throws -> ConversionSummary {
        var summary = ConversionSummary()
        do {
            try events.pair(.startIteration, .endIteration, [(.repository, repository)]) { _ in
                summary = try convert(list, with: converter, observer: observer)
                if summary.hasFailed { throw FailedIteration(failures: summary.failures) }
            }
        } catch is FailedIteration {}
        return summary
    }

    /// Converts every wish, once.
    ///
    /// - Returns: what became of them.
    /// - Throws: `Interrupted`.
    package static func convert(
        _ list: WishList, with converter: ImageConverter, observer: any ConversionObserver
    ) throws(Interrupted) -> ConversionSummary {
        var summary = ConversionSummary()
        for input in list.inputs {
            switch input.reference {
            case .success(let reference):
                try converter.convert(reference) { reference, result in
                    var result = result
                    result.isIgnored = !result.countsAlways && list.ignores(reference)
                    observer.imageEnded(reference, result)
                    summary.add(result)
                }
            case .failure(let error):
                observer.warn("\(error)")
                summary.add(ImageResult(outcome: .failed, error: "\(error)"))
            }
        }
        return summary
    }
}

/// What the end of an iteration says in which wishes failed.
private struct FailedIteration: Error, CustomStringConvertible {
    let failures: Int
    var description: String { "\(failures) wish\(failures == 1 ? "" : "es") failed" }
}
