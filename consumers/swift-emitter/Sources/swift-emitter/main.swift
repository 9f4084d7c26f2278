// swift-emitter FILE [IMAGE]: notes a look at an image in the notification file, and prints what the file tells of it.
//
// As a hook of ducc-follow it takes the image, and the event that led to it, from the environment.

import Glibc
import Notifications

func variable(_ name: String) -> String? {
    guard let value = getenv(name).map({ String(cString: $0) }), !value.isEmpty else { return nil }
    return value
}

/// Standard error by its descriptor: the C library's `stderr` is no thing to share between threads.
func complain(_ text: String) {
    let line = Array("swift-emitter: \(text)\n".utf8)
    _ = write(2, line, line.count)
}

func fail(_ text: String, _ code: CInt) -> Never {
    complain(text)
    exit(code)
}

/// Emits the two events of a look at an image.
///
/// - Returns: how many of them could not be written.
func emit(_ image: String, to path: String) throws -> Int {
    let writer = try NotificationWriter(path: path)
    var fields: [(Field, String)] = [(.image, image)]
    if let cause = variable("DUCC_EVENT_ID") { fields.append((.causedBy, cause)) }
    let start = writer.emit(Action(rawValue: "start_look"), fields)
    // Here a program of your own would do something with the image.
    writer.emit(Action(rawValue: "end_look"), [(.image, image), (.status, "ok"), (.causedBy, start)])
    return writer.lostCount
}

/// Prints each event about an image, and says what in the file is none.
func read(_ image: String, from path: String) throws {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { fail("cannot read \(path): \(String(cString: strerror(errno)))", 1) }
    defer { close(descriptor) }
    var reader = NotificationReader()
    repeat {
        while let item = reader.next() {
            switch item {
            case .event(let event):
                guard event[.image] == image else { continue }
                let proof = event.isProven.map { $0 ? "proven" : "DAMAGED" } ?? "of DUCC's own, without proof"
                print(event.timestamp ?? "-", event.action, event[.status] ?? "-", "(\(proof))")
            case .unreadable(let problem, let excerpt):
                complain("\(path): a line \(problem): \(excerpt)")
            }
        }
    } while try reader.fill(from: descriptor, path: path)
}

let arguments = CommandLine.arguments.dropFirst()
guard (1...2).contains(arguments.count), let path = arguments.first,
    let image = arguments.count == 2 ? arguments.last : variable("DUCC_IMAGE")
else { fail("usage: swift-emitter FILE [IMAGE]; without IMAGE it is DUCC_IMAGE of the environment", 64) }

do {
    let lost = try emit(image, to: path)
    try read(image, from: path)
    exit(lost == 0 ? 0 : 1)
} catch {
    fail("\(error)", 1)
}
