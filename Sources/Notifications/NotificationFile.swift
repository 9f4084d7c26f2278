// The file behind a writer: opened, looked after when logrotate moves it away, and written with one `write` a line.

import CLinux
import Glibc
import Platform

/// An open notification file, or the promise of one.
struct NotificationFile: ~Copyable {
    private enum Kind { case regular, fifo, socket, device }

    private let path: String
    private let mode: mode_t
    private let isStandardOutput: Bool
    /// nil only for a FIFO that nobody reads yet.
    private var descriptor: SharedDescriptor?
    /// Counts the files that were opened.
    private(set) var generation = 0
    private var kind = Kind.regular
    private var device: dev_t = 0
    private var inode: ino_t = 0
    /// Set in a newly opened file and after an error: the end of the file is not known to be the end of a line.
    private var endIsUnknown = true
    private var missingSince: UInt64?
    /// When the path was looked at last and was missing.
    private var lastMissing: UInt64 = 0
    private var complained = false
    /// What a person should be told, once the writer's lock is free.
    private var complaint: String?

    /// How long a path may be missing before it is created: logrotate renames first and creates afterwards,
    /// and would move a file it finds there out of the way, over an older one.
    private static let patience: UInt64 = 1_000_000_000
    /// How long a writer that has no open file yet looks before it creates one, for the same reason.
    private static let firstPatience: UInt64 = 100_000_000

    /// Opens the file, creating it if it isn't there.
    init(path: String, mode: mode_t) throws(NotificationFileError) {
        self.path = path
        self.mode = mode
        isStandardOutput = path == "-" || path == "/dev/stdout"
        if isStandardOutput {
            let code = openStandardOutput()
            if code != 0 { throw NotificationFileError(path: path, code: code) }
            return
        }
        let code = openSoon()
        guard code == 0 || code == ENXIO && kind == .fifo else {
            throw NotificationFileError(path: path, code: code)
        }
    }

    /// Opens what is at the path or comes there very soon, else creates it.
    private mutating func openSoon() -> CInt {
        let deadline = MonotonicClock.nanoseconds() + Self.firstPatience
        var code = open(create: false)
        while code == ENOENT, MonotonicClock.nanoseconds() < deadline {
            poll(nil, 0, 5)
            code = open(create: false)
        }
        return code == ENOENT ? open(create: true) : code
    }

    /// The open file, where it is one that can be forced to disk.
    var synchronizable: SharedDescriptor? { kind == .regular ? descriptor : nil }

    /// The most bytes of one line: what a FIFO takes in one piece.
    var longestLine: Int {
        kind == .fifo ? Int(PIPE_BUF) : LineEncoder.longestLine
    }

    // MARK: Rotation

    /// Makes sure that the next line goes to the file at the path.
    ///
    /// - Returns: 0, or why there is no file that a line could be written to.
    mutating func look() -> CInt {
        guard descriptor != nil else { return open(create: false) }
        if kind != .regular || isStandardOutput { return 0 }
        var there = stat()
        if stat(path, &there) == 0 {
            missingSince = nil
            if there.st_ino == inode && there.st_dev == device { return 0 }
            return reopen(create: false)
        }
        guard errno == ENOENT || errno == ENOTDIR else { return goOn(code: errno) }
        let now = MonotonicClock.nanoseconds()
        let since = missingSince ?? now
        // Looked at long ago, it may have been there since, and this may be the next rotation.
        let isOldNews = now - lastMissing >= Self.firstPatience
        missingSince = since
        lastMissing = now
        // A file without a name was deleted, not renamed: nobody would ever read the line in it.
        if isDeleted { return reopen(create: true) }
        guard now - since >= Self.patience else { return 0 }
        return isOldNews ? reopened(openSoon(), create: true) : reopen(create: true)
    }

    private mutating func reopen(create: Bool) -> CInt { reopened(open(create: create), create: create) }

    private mutating func reopened(_ code: CInt, create: Bool) -> CInt {
        guard code != 0 else {
            missingSince = nil
            complained = false
            return 0
        }
        // Renamed between look and open: the path is missing, which has its own rule.
        if code == ENOENT && !create { return isDeleted ? reopen(create: true) : 0 }
        return goOn(code: code)
    }

    /// The path is of no use: the file that is open still is, as long as a reader can find it.
    private mutating func goOn(code: CInt) -> CInt {
        if isDeleted { return code }
        if !complained {
            complained = true
            complaint =
                "the notification file \(path) cannot be opened anew (\(SystemError.reason(code))): "
                + "events go on into the file that was open\n"
        }
        return 0
    }

    /// What is to be told on standard error, once.
    mutating func takeComplaint() -> String? { complaint == nil ? nil : complaint.take() }

    private var isDeleted: Bool {
        guard let descriptor else { return true }
        var information = stat()
        return fstat(descriptor.raw, &information) == 0 && information.st_nlink == 0
    }

    /// - Returns: 0, or an error number; what was open then stays open.
    private mutating func open(create: Bool) -> CInt {
        var there = stat()
        let isFIFO = stat(path, &there) == 0 && there.st_mode & S_IFMT == S_IFIFO
        // Without blocking: on a FIFO until somebody reads it, on a file until somebody gives a lease back.
        let flags = O_APPEND | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | (create ? O_CREAT : 0)
        var opened: CInt = -1
        for attempt in 0..<20 {
            if attempt > 0 { poll(nil, 0, 1) }
            opened = Glibc.open(path, flags | (isFIFO ? O_WRONLY : O_RDWR), mode)
            if opened < 0, errno == EACCES { opened = Glibc.open(path, flags | O_WRONLY, mode) }
            if opened >= 0 || errno != EAGAIN && errno != EINTR { break }
        }
        guard opened >= 0 else {
            let code = errno
            if descriptor == nil && isFIFO { kind = .fifo }
            return code
        }
        descriptor = SharedDescriptor(OwnedDescriptor(raw: opened))
        return adopt()
    }

    /// Descriptor 1 belongs to others too: to this process's own output, and to whoever it was inherited from.
    ///
    /// - Returns: 0, or an error number.
    private mutating func openStandardOutput() -> CInt {
        descriptor = SharedDescriptor(OwnedDescriptor(raw: fcntl(1, F_DUPFD_CLOEXEC, 0)))
        let code = adopt()
        if code != 0 { return code }
        switch kind {
        case .regular:
            // `> FILE` in a shell: without O_APPEND an event would overwrite what another writer has appended since.
            // On descriptor 1 itself, so that what this process prints doesn't overwrite an event either.
            let flags = fcntl(1, F_GETFL)
            if flags >= 0 { _ = fcntl(1, F_SETFL, flags | O_APPEND) }
        case .fifo, .device:
            // Opened anew, so that it can be written without waiting while it stays blocking for the others. Where
            // that is not allowed, or nobody reads the pipe, it is written only where there is room.
            let opened = Glibc.open("/proc/self/fd/1", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)
            if opened >= 0 { descriptor = SharedDescriptor(OwnedDescriptor(raw: opened)) }
        case .socket: break
        }
        return 0
    }

    /// Finds out what was opened.
    private mutating func adopt() -> CInt {
        guard let descriptor else { return EBADF }
        var information = stat()
        guard fstat(descriptor.raw, &information) == 0 else { return errno }
        generation += 1
        device = information.st_dev
        inode = information.st_ino
        endIsUnknown = true
        switch information.st_mode & S_IFMT {
        case S_IFREG: kind = .regular
        case S_IFIFO: kind = .fifo
        case S_IFSOCK: kind = .socket
        default: kind = .device
        }
        return 0
    }

    // MARK: Writing

    /// Appends the line in `buffer`, in one `write` unless the system itself tears it.
    ///
    /// - Returns: 0 once the whole line, its line feed included, is in the file; else why not.
    mutating func append(_ buffer: borrowing LineBuffer) -> CInt {
        guard let descriptor else { return ENXIO }
        let line = endIsUnknown && needsLineFeed(descriptor.raw) ? buffer.lineAfterLineFeed : buffer.line
        endIsUnknown = true
        var written = write(line, to: descriptor.raw)
        guard written >= 0 else { return errno }
        if written == line.count - 1 {
            // All but the line feed: it alone completes the line.
            let lineFeed = UnsafeRawBufferPointer(rebasing: buffer.lineAfterLineFeed[..<1])
            written += max(0, write(lineFeed, to: descriptor.raw))
            if written < line.count { return shortWriteReason }
        } else if written < line.count {
            // A fragment is in the file. The line once more and whole, behind a line feed that ends the fragment.
            written = write(buffer.lineAfterLineFeed, to: descriptor.raw)
            if written < 0 { return errno }
            if written < buffer.lineAfterLineFeed.count { return shortWriteReason }
        }
        endIsUnknown = false
        return 0
    }

    /// A short write has no error number; this is what it nearly always means.
    private var shortWriteReason: CInt { kind == .regular ? ENOSPC : EAGAIN }

    private func write(_ bytes: UnsafeRawBufferPointer, to descriptor: CInt) -> Int {
        switch kind {
        case .regular: break
        case .socket:
            return retrying {
                send(descriptor, bytes.baseAddress, bytes.count, CInt(ducc_MSG_DONTWAIT_NOSIGNAL))
            }
        case .fifo, .device:
            // Standard output that could not be opened anew may block: only where there is room.
            var state = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
            if poll(&state, 1, 0) == 0 {
                errno = EAGAIN
                return -1
            }
        }
        let count = retrying { Glibc.write(descriptor, bytes.baseAddress, bytes.count) }
        if count != 0 { return count }
        errno = EIO
        return -1
    }

    /// Whether the file ends in the middle of a line, or can't tell.
    private func needsLineFeed(_ descriptor: CInt) -> Bool {
        guard kind == .regular else { return false }
        var information = stat()
        guard fstat(descriptor, &information) == 0 else { return true }
        if information.st_size == 0 { return false }
        var last: UInt8 = 0
        return pread(descriptor, &last, 1, information.st_size - 1) != 1 || last != UInt8(ascii: "\n")
    }
}
