// Notification files against the JSON Schema that the built program prints, as a validator sees them that is none of
// ours: Debian's python3-jsonschema.

import Platform

/// The validator.
package enum SchemaValidation {
    /// Prints `LINE: what is wrong` for each bad line; a line that no line feed ends is not yet an event.
    private static let program = """
        import json, sys
        from jsonschema import Draft202012Validator
        with open(sys.argv[1], encoding="utf-8") as file:
            schema = json.load(file)
        Draft202012Validator.check_schema(schema)
        validator = Draft202012Validator(schema)
        with open(sys.argv[2], "rb") as file:
            lines = file.read().split(b"\\n")[:-1]
        for number, line in enumerate(lines, 1):
            if not line:
                continue
            try:
                event = json.loads(line.decode("utf-8"))
            except ValueError as error:
                print(f"{number}: {error}")
                continue
            for error in validator.iter_errors(event):
                place = "".join(f"{name}: " for name in error.absolute_path)
                print(f"{number}: {place}{error.message}", "in", line.decode("utf-8"))
        """

    /// Where the schema is, for as long as the tests run.
    private static let schema = Result {
        let directory = try TemporaryDirectory()
        return (directory, try directory.write("schema.json", try text()))
    }

    /// The schema as the program prints it.
    package static func text() throws -> String {
        try runSuccessfully(Programs.ducc, ["notification-schema"])
    }

    /// What is wrong with the lines of a file, one string each; nothing if all is well.
    package static func problems(in path: String) throws -> [String] {
        // Not whichever python3 is first on PATH: the package belongs to Debian's.
        let output = try runSuccessfully("/usr/bin/python3", ["-c", program, try schema.get().1, path])
        return output.split(separator: "\n").map(String.init)
    }
}
