// A wish list, wish by wish: a wish that fails is reported and the others are converted all the same.

import Images
import Platform
import Wishes

/// Converts the wishes of a list.
package enum WishConversion {
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
                var result = try converter.convert(reference)
                result.isIgnored = !result.countsAlways && list.ignores(reference)
                observer.imageEnded(reference, result)
                summary.add(result)
            case .failure(let error):
                observer.warn("\(error)")
                summary.add(ImageResult(outcome: .failed, error: "\(error)"))
            }
        }
        return summary
    }
}
