import Delivery
import Notifications

/// `NAME=GLOB`.
enum FieldPattern {
    static func isValid(_ text: String) -> Bool {
        text.firstIndex(of: "=").map { $0 > text.startIndex } ?? false
    }
}

extension ShortFilter {
    /// The filter of a command line.
    init(_ command: FollowCommand) {
        self.init()
        add(.action, command.action)
        add(.image, command.image)
        add(.status, command.status.map(\.rawValue))
        for text in command.field {
            guard let sign = text.firstIndex(of: "=") else { continue }
            add(Field(rawValue: String(text[..<sign])), [String(text[text.index(after: sign)...])])
        }
    }
}
