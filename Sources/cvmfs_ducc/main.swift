// cvmfs_ducc: from a wish list of container images to a repository.

import Glibc
import Platform

StandardDescriptors.ensureOpen()
// Before any thread: what we publish has exact modes, and a signal becomes a request to stop.
FileCreationMask.clear()
Interruption.install()

exit(DUCC.run(Array(CommandLine.arguments.dropFirst())))
