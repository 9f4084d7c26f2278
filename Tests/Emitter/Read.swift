import ArgumentParser
import Glibc
import Notifications
import Platform

/// Reads a stream as a consumer does that wants one kind of event.
struct Read: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract:
            "Read FILE, print how many of its events are a publish_image, how many there are, and how many a second."
    )

    @Argument(help: "The notification file.")
    var file: String

    func run() throws {
        let begin = MonotonicClock.nanoseconds()
        let descriptor = try OwnedDescriptor(opening: file, O_RDONLY)
        var reader = NotificationReader()
        var events = 0
        var wanted = 0
        while try reader.fill(from: descriptor.raw, path: file) {
            while let item = reader.next(where: {
                events += 1
                return $0[.action] == "publish_image"
            }) {
                if case .event = item { wanted += 1 }
            }
        }
        print(
            "\(wanted)\n\(events)\n\(Int(Double(events) * 1e9 / Double(MonotonicClock.nanoseconds() - begin)))"
        )
    }
}
