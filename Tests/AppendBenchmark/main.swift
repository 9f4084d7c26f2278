// `append-benchmark FILE COUNT` appends COUNT ordinary events to FILE without syncing and prints the events per second.
// `append-benchmark FILE -` is a writer for tests, in a process that can be limited and killed: it emits one event for
// each line of its standard input and prints the event's identifier once it is done.

import Glibc
import Notifications
import Platform

func fail(_ text: String) -> Never {
    print(text)
    exit(64)
}

let arguments = CommandLine.arguments
guard arguments.count == 3 else { fail("usage: append-benchmark FILE COUNT|-") }
let writer = try NotificationWriter(path: arguments[1], sync: .none)

if arguments[2] == "-" {
    while let line = readLine() {
        print(writer.emit(.publishLayer, [(.layer, line)]))
        fflush(nil)
    }
    exit(0)
}

guard let count = Int(arguments[2]), count > 0 else { fail("COUNT must be a number above 0") }
let fields: [(Field, String)] = [
    (.imageRequest, "https://registry.example.org/atlas/athena:25.0.1"),
    (.image, "registry.example.org/atlas/athena:25.0.1"),
    (.layer, "167126a72c1a6dec1cfe595fd1d7cff86d4800482c1dea55bdfb4b5299b95d60"),
    (.id, "f1cec170-cfe9-40ed-8c57-0a733cc918ae"), (.status, "ok"), (.sizeBytes, "2127872"),
    (.timeElapsedSeconds, "0.585205"),
]
let begin = MonotonicClock.nanoseconds()
for _ in 0..<count { writer.emit(.endLayerConversion, fields) }
let seconds = Double(MonotonicClock.nanoseconds() - begin) / 1e9
print(Int(Double(count) / seconds))
exit(writer.lostCount == 0 ? 0 : 1)
