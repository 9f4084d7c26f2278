// Follows a notification stream: for a person, for a pipe, or for a program that is run for each event.

import Following
import Glibc
import Platform

StandardDescriptors.ensureOpen()
// First of all: the library behind it must be initialised before other descriptors are opened, on this thread.
let watcher = DirectoryWatcher()
Interruption.install()
// Patterns match characters, not bytes.
setlocale(LC_CTYPE, "C.UTF-8")
exit(FollowProgram.main(Array(CommandLine.arguments.dropFirst()), watcher: watcher).code)
