import Glibc
import Wishes

/// The wish list that a command was given.
struct WishListFile {
    let path: String

    init(_ path: String) { self.path = path }

    /// The list as the file has it now, with what `DUCC_IGNORE_ERRORS_FILE` adds.
    ///
    /// - Throws: `WishListError`.
    func read() throws(WishListError) -> WishList {
        var list = try WishList.read(path: path)
        if let path = getenv("DUCC_IGNORE_ERRORS_FILE").map({ String(cString: $0) }), !path.isEmpty {
            list.ignoreErrors.add(try IgnoreErrors.read(path: path))
        }
        return list
    }
}
