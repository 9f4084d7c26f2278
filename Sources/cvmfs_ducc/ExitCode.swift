// The exit codes, and the one place that decides which one an error gets.

import ArgumentParser
import Conversion
import Notifications
import Platform
import Repository
import Wishes

/// What the process tells whoever started it.
enum DUCCExit {
    static let success: CInt = 0
    /// Some wish failed, or the lock can't be had.
    static let failure: CInt = 1
    static let usage: CInt = 2
    static let noPassword: CInt = 101
    static let wishListUnreadable: CInt = 102
    static let wishListInvalid: CInt = 103
    static let noSuchRepository: CInt = 104
    static let notificationFile: CInt = 105

    /// The code of an error that ended a command.
    static func code(of error: any Error) -> CInt {
        switch error {
        case let error as Interrupted: error.exitCode
        case let error as WishListError: error.kind == .unreadable ? wishListUnreadable : wishListInvalid
        case let error as RepositoryError: error.kind == .noSuchRepository ? noSuchRepository : failure
        case is NotificationFileError: notificationFile
        case is UsageError: usage
        case is MissingPassword: noPassword
        default: failure
        }
    }
}

/// Arguments that parse but mean nothing.
struct UsageError: Error, CustomStringConvertible {
    let description: String
}
