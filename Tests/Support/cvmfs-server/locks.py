"""`is_publishing.lock` (section 2): held with flock during publish, ingest and abort, removed afterwards. One that a
killed process left is an unlocked file and does no harm."""

import fcntl
import os


class PublishingLock:
    """Take it with `acquire`, which doesn't wait."""

    def __init__(self, repository):
        self.path = repository.publishing
        self.descriptor = None

    def acquire(self):
        while True:
            try:
                descriptor = os.open(self.path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
            except OSError:
                return False
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # Its holder removes the file: a lock on a removed file is none.
                if os.path.samestat(os.fstat(descriptor), os.stat(self.path)):
                    self.descriptor = descriptor
                    return True
            except BlockingIOError:
                os.close(descriptor)
                return False
            except FileNotFoundError:
                pass
            os.close(descriptor)

    def release(self):
        if self.descriptor is not None:
            try:
                os.unlink(self.path)
            except FileNotFoundError:
                pass
            os.close(self.descriptor)
            self.descriptor = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.release()
