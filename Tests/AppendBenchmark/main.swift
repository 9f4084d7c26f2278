// `append-benchmark FILE COUNT`: appends COUNT ordinary events to FILE without syncing and prints the events per
// second. Tests use it too, as a writer in a process of its own that can be killed.

import Glibc
import Notifications
import Platform

guard CommandLine.arguments.count == 3, let count = Int(CommandLine.arguments[2]), count > 0 else {
    print("usage: append-benchmark FILE COUNT")
    exit(64)
}
let writer = try NotificationWriter(path: CommandLine.arguments[1], sync: .none)
let fields: [(Field, String)] = [
    (.imageRequest, "https://registry.example.org/atlas/athena:25.0.1"),
    (.image, "registry.example.org/atlas/athena:25.0.1"),
    (.layer, "167126a72c1a6dec1cfe595fd1d7cff86d4800482c1dea55bdfb4b5299b95d60"),
    (.id, "f1cec170-cfe9-40ed-8c57-0a733cc918ae"), (.status, "ok"), (.sizeBytes, "2127872"),
    (.timeElapsedSeconds, "0.585205"),
]
let begin = MonotonicClock.nanoseconds()
for _ in 0..<count { writer.emit(.endLayerConversion, fields) }
print(Int(Double(count) / (Double(MonotonicClock.nanoseconds() - begin) / 1e9)))
exit(writer.lostCount == 0 ? 0 : 1)
