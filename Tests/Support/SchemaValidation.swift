// Notification files against the JSON Schema that the built program prints, as a validator sees them that is none of
// ours: Debian's python3-jsonschema.

import Platform

/// The validator.
package enum SchemaValidation {
    /// Prints `LINE: what is wrong` for each bad line; a line that no line feed ends is not yet an event.
    private static let program = """
        import json, sys
        from jsonschema import Draft202012Validator
        schema = json.loads(sys.argv[1])
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

    /// The schema, printed once: as a program's argument, so that no file of it outlives the tests.
    private static let schema = Result { try text() }

    /// The schema as the program prints it.
    package static func text() throws -> String {
        try runSuccessfully(Programs.ducc, ["notification-schema"])
    }

    /// What is wrong with the lines of a file, one string each; nothing if all is well.
    package static func problems(in path: String) throws -> [String] {
        // Not whichever python3 is first on PATH: the package belongs to Debian's.
        let output = try runSuccessfully("/usr/bin/python3", ["-c", program, try schema.get(), path])
        return output.split(separator: "\n").map(String.init)
    }
}
