import Delivery
import Notifications

extension ShortFilter {
    /// The filter of a command line.
    init(_ command: FollowCommand) {
        self.init()
        add(.action, command.action)
        add(.image, command.image)
        add(.status, command.status.map(\.rawValue))
        for text in command.field { add(text) }
    }
}
