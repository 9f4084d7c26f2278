// A stream's files as a program sees them that shares nothing with ours: Python's json, hashlib and gzip.

import Platform

/// What an independent reader finds in all files of a stream.
package struct StreamProof: Sendable {
    /// How many events each run has, by its identifier: 1, 2 … without gaps, each once, each proven, each referring to
    /// the one before.
    package let runs: [String: Int]
    /// Whatever is not as it should be, one line each.
    package let problems: [String]

    /// The events of all runs.
    package var count: Int { runs.values.reduce(0, +) }

    private static let program = """
        import gzip, hashlib, json, sys

        counted = sys.argv[1] == "counted"

        def read(name):
            with gzip.open(name) if name.endswith(".gz") else open(name, "rb") as file:
                data = file.read()
            if data and not data.endswith(b"\\n"):
                print(f"problem {name}: does not end with a line feed")
            return [line for line in data.split(b"\\n") if line]

        def problem(line):
            try:
                event = json.loads(line.decode("utf-8"))
                if not all(isinstance(value, str) for value in event.values()):
                    return "not a map of strings"
                body, mark, rest = line.rpartition(b',"check":"')
                if not mark or rest != hashlib.sha256(body).hexdigest()[:32].encode() + b'"}':
                    return "its check does not fit"
            except ValueError as error:
                return str(error)

        runs = {}
        for name in sys.argv[2:]:
            for line in read(name):
                found = problem(line)
                if found:
                    print(f"problem {name}: {found}: {line.decode('utf-8', 'replace')}")
                    continue
                event = json.loads(line)
                events = runs.setdefault(event["run_id"], {})
                number = int(event["seq"])
                if number in events:
                    print(f"problem {name}: {event['event_id']} is there twice")
                if event["event_id"] != f"{event['run_id']}:{number}":
                    print(f"problem {name}: event_id of another event: {event['event_id']}")
                events[number] = (event["prev"], event["check"])
        for run, events in runs.items():
            print("run", run, len(events))
            before = "0" * 32
            for number in range(1, max(events) + 1):
                if number not in events:
                    if counted:
                        print(f"problem {run}: {number} is missing")
                    continue
                if events[number][0] != before and counted:
                    print(f"problem {run}: {number} does not refer to the one before")
                before = events[number][1]
        """

    /// Reads the files of a stream.
    ///
    /// - Parameter allowsLosses: whether events may be missing (of writers that were killed or had a full disk).
    package init(_ files: [String], allowsLosses: Bool = false) throws {
        let output = try runSuccessfully(
            "/usr/bin/python3",
            ["-c", Self.program, allowsLosses ? "uncounted" : "counted"] + files, seconds: 600)
        var runs: [String: Int] = [:]
        var problems: [String] = []
        for line in output.split(separator: "\n") {
            let words = line.split(separator: " ")
            if words[0] == "run", words.count == 3 {
                runs[String(words[1])] = Int(words[2])
            } else {
                problems.append(String(line))
            }
        }
        self.runs = runs
        self.problems = problems
    }
}
