// What happened, as events. Nothing else in the project turns facts into events; the modules below return them.

import Notifications
import Platform

/// The events of one run; without a writer nothing is emitted.
package struct ConversionEvents: Sendable {
    private let writer: NotificationWriter?
    /// Fields that each event carries: those of the image it is about.
    private let common: [(Field, String)]

    /// Whether anybody is told.
    var areWritten: Bool { writer != nil }

    package init(_ writer: NotificationWriter?) { self.init(writer, common: []) }

    private init(_ writer: NotificationWriter?, common: [(Field, String)]) {
        self.writer = writer
        self.common = common
    }

    /// The same events with further fields on each.
    func adding(_ fields: [(Field, String)]) -> ConversionEvents {
        ConversionEvents(writer, common: common + fields)
    }

    /// Writes one event.
    package func emit(_ action: Action, _ fields: [(Field, String)] = []) {
        writer?.emit(action, common + fields)
    }

    /// Runs `body` between the two events of a pair, which share an `id`. The end is written whatever happens: with
    /// `status` and `time_elapsed_s`, and with `error` where `body` throws.
    ///
    /// - Parameters:
    ///   - startFields: fields of both events.
    ///   - body: given a list to which it adds fields of the end alone.
    /// - Throws: what `body` throws.
    func pair<Result>(
        _ start: Action, _ end: Action, _ startFields: [(Field, String)] = [],
        _ body: (inout [(Field, String)]) throws -> Result
    ) throws -> Result {
        let identified = startFields + [(.id, RandomIdentifier.uuid())]
        let began = MonotonicClock.nanoseconds()
        emit(start, identified)
        var endFields: [(Field, String)] = []
        do {
            let result = try body(&endFields)
            emit(end, identified + [(.status, "ok")] + endFields + [Self.elapsed(since: began)])
            return result
        } catch {
            emit(
                end,
                identified + [(.status, "error"), (.error, "\(error)")] + endFields + [
                    Self.elapsed(since: began)
                ])
            throw error
        }
    }

    /// Runs `body` between `start_ducc` and `end_ducc`.
    ///
    /// - Throws: what `body` throws.
    package func run<Result>(_ body: () throws -> Result) throws -> Result {
        let began = MonotonicClock.nanoseconds()
        emit(.startDUCC)
        defer { emit(.endDUCC, [Self.elapsed(since: began)]) }
        return try body()
    }

    /// `time_elapsed_s`: seconds with six decimals.
    private static func elapsed(since began: UInt64) -> (Field, String) {
        let microseconds = (MonotonicClock.nanoseconds() - began) / 1000
        let fraction = String(microseconds % 1_000_000)
        let zeros = String(repeating: "0", count: 6 - fraction.count)
        return (.timeElapsedSeconds, "\(microseconds / 1_000_000).\(zeros)\(fraction)")
    }
}
