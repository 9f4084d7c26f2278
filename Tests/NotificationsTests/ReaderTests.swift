// Reading a file: what is complete, what is torn, and what can be saved of it.

import Glibc
import Notifications
import Platform
import Support
import Testing

struct ReaderTests {
    let directory: TemporaryDirectory
    let path: String

    init() throws {
        directory = try TemporaryDirectory()
        path = directory.path("notifications.log")
    }

    /// What a reader makes of the file: `+action` for an event, `!` for what is none.
    private func read(_ reader: inout NotificationReader) throws -> [String] {
        let file = try OwnedDescriptor(opening: path, O_RDONLY)
        var found: [String] = []
        repeat {
            while let item = reader.next() {
                switch item {
                case .event(let event): found.append("+" + event.action.rawValue)
                case .unreadable: found.append("!")
                }
            }
        } while try reader.fill(from: file.raw, path: path)
        return found
    }

    private func read(_ content: String) throws -> [String] {
        try directory.write("notifications.log", content)
        var reader = NotificationReader()
        return try read(&reader)
    }

    @Test("a last line without its end is not yet an event")
    func incomplete() throws {
        var reader = NotificationReader()
        try directory.write("notifications.log", "{\"action\":\"a\"}\n{\"action\":\"b\"}")
        #expect(try read(&reader) == ["+a"])
        #expect(reader.offset == 15)
        try directory.write("notifications.log", "{\"action\":\"a\"}\n{\"action\":\"b\"}\n{\"act")
        #expect(try read(&reader) == ["+b"])
        #expect(reader.offset == 30)
    }

    @Test("empty lines mean nothing")
    func emptyLines() throws {
        #expect(try read("\n\n{\"action\":\"a\"}\n\n{\"action\":\"b\"}\n\n") == ["+a", "+b"])
    }

    @Test("whole events before, between and behind fragments are recovered")
    func recovery() throws {
        let whole = "{\"action\":\"w\",\"image\":\"a{\"}"
        let torn = "{\"action\":\"t\",\"image\":\"docker.io/libr"
        #expect(try read(torn + whole + "\n") == ["!", "+w"])
        #expect(try read(whole + torn + "\n") == ["!", "+w"])
        #expect(
            try read(torn + whole + torn + whole + whole + torn + "\n{\"action\":\"n\"}\n")
                == ["!", "+w", "+w", "+w", "+n"])
        #expect(try read(torn + "\n{\"action\":\"n\"}\n") == ["!", "+n"])
        #expect(try read("\0\0\0\0" + whole + "\n") == ["!", "+w"])
        #expect(try read("Nov 24 host kernel: oops\n" + whole + "\n") == ["!", "+w"])
        #expect(try read(whole.dropFirst() + "\n") == ["!"])
    }

    @Test("of a damaged line that looks whole, the check says that it is none")
    func damagedRecovery() throws {
        try NotificationWriter(path: path).emit(.publishTest, [(.layer, "abc")])
        let line = try text(of: path)
        let damaged = line.replacing("abc", with: "abd")
        #expect(try read("x" + line) == ["!", "+publish_test"])
        #expect(try read("x" + damaged) == ["!"])
    }

    @Test("a line longer than a reader holds is reported once, and the events in it are found")
    func longLine() throws {
        let long = String(repeating: "x", count: 3 << 20)
        #expect(try read("{\"action\":\"a\"}\n\(long)\n{\"action\":\"b\"}\n") == ["+a", "!", "+b"])
        #expect(try read("\(long)\n\(long)\n{\"action\":\"b\"}\n") == ["!", "!", "+b"])
        let event = "{\"action\":\"a\"}"
        #expect(try read("\(event)\(long)\(event)\(long)\(event)\n") == ["!", "+a", "+a", "+a"])
        // What no line feed ends is read as far as it is no line in any case.
        #expect(try read("\(long)\(event)") == ["!", "+a"])
    }

    @Test("space around one of our lines is no part of it; around the original's it is allowed")
    func space() throws {
        try NotificationWriter(path: path).emit(.test)
        let line = try text(of: path).dropLast()
        #expect(try read(" \(line)\n") == ["!", "+test"])
        #expect(try read("\(line)\r\n") == ["!", "+test"])
        #expect(try read(" {\"action\":\"a\"}\r\n") == ["+a"])
    }

    @Test("what two fragments of our lines make together is no event of the original DUCC's")
    func glued() throws {
        let line = "{\"time\":\"a\",\"timestamp\":\"b\",\"action\":\"x\"}"
        #expect(try Event(line: Array(line.utf8)).isProven == false)
        #expect(try read("torn\(line)\n") == ["!"])
    }

    @Test("whatever the pieces it is read in, a file yields the same")
    func everyOffset() throws {
        let content = "{\"action\":\"a\"}\n\n{\"tor{\"action\":\"b\"}\n{\"action\":\"c\"}\n"
        var found: [String] = []
        var reader = NotificationReader()
        for length in 0...content.utf8.count {
            try directory.write("notifications.log", String(content.prefix(length)))
            found += try read(&reader)
        }
        #expect(found == ["+a", "!", "+b", "+c"])
    }

    @Test("an event can be looked at where it lies, and only the wanted ones are copied")
    func wanted() throws {
        try directory.write(
            "notifications.log",
            #"{"action":"a","image":"x\u0041"}"# + "\ntorn\n" + #"{"action":"b","image":"y"}"# + "\n")
        var reader = NotificationReader()
        let file = try OwnedDescriptor(opening: path, O_RDONLY)
        #expect(try reader.fill(from: file.raw, path: path))
        var seen: [String] = []
        var found: [String] = []
        while let item = reader.next(where: { record in
            let encoded = record.withEncodedValue(of: .image) { $0.byteCount } ?? -1
            seen.append("\(record[.image] ?? "") \(encoded) \(record.withLine { $0.byteCount })")
            return record[.action] == "b" && record[.status] == nil
        }) {
            if case .event(let event) = item {
                found.append(event.action.rawValue)
            } else {
                found.append("!")
            }
        }
        #expect(found == ["!", "b"])
        #expect(seen == ["xA 7 32", "y 1 26"])
    }

    @Test("an identifier of a line without event_id is the same when reading goes on at its offset")
    func identifiers() throws {
        try directory.write("notifications.log", "{\"action\":\"a\"}\n{\"action\":\"b\"}\n")
        let file = try OwnedDescriptor(opening: path, O_RDONLY)
        func identifiers(_ reader: inout NotificationReader) throws -> [String] {
            var found: [String] = []
            while try reader.fill(from: file.raw, path: path) {
                while let item = reader.next() {
                    if case .event(let event) = item { found.append(event.identifier) }
                }
            }
            return found
        }
        var first = NotificationReader()
        let all = try identifiers(&first)
        var second = NotificationReader(offset: 15, fileFingerprint: first.fileFingerprint)
        #expect(Set(all).count == 2)
        #expect(try identifiers(&second) == [all[1]])
    }

    @Test("a file is recognised by its first line that isn't empty")
    func emptyLinesFirst() throws {
        let line = "{\"action\":\"a\"}"
        try directory.write("notifications.log", "\n\n\(line)\n\(line)\n")
        var reader = NotificationReader()
        #expect(try read(&reader) == ["+a", "+a"])
        #expect(reader.fileFingerprint == LineIdentity.fileFingerprint(firstLine: line.utf8))
    }

    @Test("what is shown of a line that is none has no control characters")
    func printableExcerpt() throws {
        try directory.write("notifications.log", "a\u{1b}[31m\u{9b}31m\u{7f}\tä😀\n")
        let file = try OwnedDescriptor(opening: path, O_RDONLY)
        var reader = NotificationReader()
        #expect(try reader.fill(from: file.raw, path: path))
        guard case .unreadable(_, let excerpt) = reader.next() else {
            Issue.record("it is an event")
            return
        }
        #expect(excerpt == "a [31m 31m  ä😀")
    }

    @Test(
        "where reading goes on in a line that is none, it finds and tells what it would have told without the stop"
    )
    func resumedInLine() throws {
        try NotificationWriter(path: path).emit(.publishTest, [(.layer, "abc")])
        let damaged = try text(of: path).replacing("abc", with: "abd").dropLast()
        try directory.write(
            "notifications.log", "torn{\"action\":\"a\"}\(damaged)\n\(damaged)\n{\"action\":\"b\"}\n")
        var whole = NotificationReader()
        let all = try read(&whole)
        #expect(all == ["!", "+a", "+publish_test", "+b"])
        var first = NotificationReader()
        let file = try OwnedDescriptor(opening: path, O_RDONLY)
        #expect(try first.fill(from: file.raw, path: path))
        for _ in 0..<2 { _ = first.next() }
        var second = NotificationReader(offset: first.offset, fileFingerprint: first.fileFingerprint)
        #expect(try read(&second) == ["+publish_test", "+b"])
    }
}
