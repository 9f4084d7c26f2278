// The hooks' program of the model test: it notes what it was told in a ledger, one write a line, and then does what it is
// told to do in a file: succeed, fail, hang, or hang and ignore SIGTERM.

import Glibc
import Platform
import Support

/// A small program, compiled once.
struct ModelProgram: Sendable {
    let path: String
    private let directory: TemporaryDirectory

    /// Its arguments: `exec` or `pipe`, the hook's name, the ledger, what tells it what to do, and the event.
    private static let source = """
        #define _GNU_SOURCE
        #include <fcntl.h>
        #include <signal.h>
        #include <stdio.h>
        #include <stdlib.h>
        #include <string.h>
        #include <unistd.h>
        static char **words;
        static void note(const char *event, const char *attempt, const char *outcome) {
            char line[256];
            int length = snprintf(line, sizeof line, "%s %s %s %s\\n", words[2], event, attempt, outcome);
            int ledger = open(words[3], O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
            if (write(ledger, line, length) != length) abort();
            close(ledger);
        }
        static char acknowledged[128];
        static void acknowledge(void) {
            if (*acknowledged && write(1, acknowledged, strlen(acknowledged)) < 0) _exit(1);
            *acknowledged = 0;
        }
        // Whether it is to go on; what is to happen once is forgotten.
        static void tell(const char *event, const char *attempt) {
            char told = 's';
            int control = open(words[4], O_RDONLY | O_CLOEXEC);
            if (control >= 0) { if (read(control, &told, 1) < 0) abort(); close(control); }
            if (strchr("Fhi", told)) unlink(words[4]);
            if (told == 's') { note(event, attempt, "done"); return; }
            acknowledge();
            if (told == 'i') signal(SIGTERM, SIG_IGN);
            note(event, attempt, told == 'f' || told == 'F' ? "failed" : "hangs");
            if (told == 'f' || told == 'F') _exit(1);
            for (;;) pause();
        }
        int main(int count, char **arguments) {
            static char bytes[1 << 20];
            int length = 0, found;
            words = arguments;
            if (!strcmp(words[1], "exec")) { tell(words[5], getenv("DUCC_ATTEMPT")); return 0; }
            while ((found = read(0, bytes + length, sizeof bytes - length)) > 0) {
                char *line = bytes, *end;
                length += found;
                while ((end = memchr(line, '\\n', bytes + length - line))) {
                    char event[100] = "", *begin = strstr(line, "\\"event_id\\":\\"");
                    if (begin) sscanf(begin + 12, "%90[^\\"]", event);
                    tell(event, "0");
                    snprintf(acknowledged, sizeof acknowledged, "%s\\n", event);
                    line = end + 1;
                }
                acknowledge();
                length -= line - bytes;
                memmove(bytes, line, length);
            }
            return 0;
        }

        """

    init() throws {
        // A program that leaves is an error of the write to it, as in `ducc-follow run`.
        signal(SIGPIPE, SIG_IGN)
        directory = try TemporaryDirectory()
        path = directory.path("hook")
        let file = try directory.write("hook.c", Self.source)
        try runSuccessfully("clang", ["-O", "-static", "-o", path, file])
    }
}
