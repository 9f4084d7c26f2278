// A writer in a process of its own, for tests and benchmarks: it can be timed, paced, limited and killed.

import ArgumentParser
import Glibc
import Notifications
import Platform

@main
struct Emitter: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "test-emitter", abstract: "A writer, and a reader, for tests and benchmarks.",
        subcommands: [Emit.self, Read.self], defaultSubcommand: Emit.self)
}

/// Emits events at a pace, from threads, or one by one.
struct Emit: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Emits ordinary events into FILE and prints how many a second, and how many were lost.")

    @Argument(help: "The notification file.")
    var file: String

    @Option(help: "How many events each thread emits.")
    var count = 1

    @Option(help: "How many events a second all threads together emit; 0: as many as they can.")
    var rate = 0

    @Option(help: "How many threads share the writer.")
    var threads = 1

    @Option(help: "Which events are forced to disk: every, publish or none.")
    var sync = SyncPolicy.none

    @Flag(help: "Emit publish_layer, which is durable, instead of end_layer_conversion.")
    var publish = false

    @Option(help: "With --publish: how many of the threads do; the others emit what is not durable.")
    var publishers = Int.max

    @Flag(
        help:
            "Emit publish_test with each line of standard input as its text, and print its event_id when it is done."
    )
    var input = false

    private static let image: [(Field, String)] = [
        (.imageRequest, "https://registry.example.org/atlas/athena:25.0.1"),
        (.image, "registry.example.org/atlas/athena:25.0.1"), (.repository, "software.example.org"),
    ]
    private static let digest = "167126a72c1a6dec1cfe595fd1d7cff86d4800482c1dea55bdfb4b5299b95d60"
    /// A line of about 640 bytes, which `Tests/Benchmarks/append.c` writes too.
    private static let conversion =
        image + [
            (.layer, digest), (.id, "f1cec170-cfe9-40ed-8c57-0a733cc918ae"), (.status, "ok"),
            (.sizeBytes, "2127872"), (.timeElapsedSeconds, "0.585205"),
        ]

    func run() throws {
        let writer = try NotificationWriter(path: file, sync: sync)
        if input {
            while let line = readLine() {
                print(writer.emit(Action(rawValue: "publish_test"), [(Field(rawValue: "text"), line)]))
                fflush(nil)
            }
            return
        }
        let begin = MonotonicClock.nanoseconds()
        try Threads.forEach(threads, width: threads) { [self] thread in
            let publishes = publish && thread < publishers
            let action = publishes ? Action.publishLayer : .endLayerConversion
            let fields = publishes ? Self.image + [(.layerDigest, Self.digest)] : Self.conversion
            for number in 0..<count {
                if rate > 0 {
                    pause(until: begin + UInt64(number) * 1_000_000_000 * UInt64(threads) / UInt64(rate))
                }
                writer.emit(action, fields)
            }
        }
        let seconds = Double(MonotonicClock.nanoseconds() - begin) / 1e9
        print("lost \(writer.lostCount)")
        print("run \(writer.runIdentifier)")
        print(Int(Double(count * threads) / seconds))
        if writer.lostCount > 0 { throw ExitCode(1) }
    }

    private func pause(until moment: UInt64) {
        var wanted = timespec(tv_sec: Int(moment / 1_000_000_000), tv_nsec: Int(moment % 1_000_000_000))
        while clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &wanted, nil) == EINTR {}
    }
}

extension SyncPolicy: ExpressibleByArgument {}
