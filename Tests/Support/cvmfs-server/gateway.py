"""Leases of a gateway (section 14): one for each path, with a time limit, in `.stand-in/leases/`.

A test plays another publisher by putting a file there: {"path": "/some/path", "expires": seconds since 1970}. The
file `lease-seconds` beside it sets how long a lease lasts."""

import fcntl
import json
import os
import time
import uuid

from settings import Failure, say


def _folder(repository):
    return os.path.join(repository.stand_in, "leases")


def _overlap(one, other):
    one, other = one.rstrip("/") + "/", other.rstrip("/") + "/"
    return one.startswith(other) or other.startswith(one)


def take(repository, path):
    """Takes the lease or raises `Failure` 16. Nothing to do for a repository without a gateway."""
    if not repository.is_gateway:
        return
    folder = _folder(repository)
    guard = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(guard, fcntl.LOCK_EX)  # the gateway answers one request at a time
        for name in os.listdir(folder):
            lease = _read(os.path.join(folder, name))
            left = lease["expires"] - time.time()
            if left <= 0:
                os.unlink(os.path.join(folder, name))
            elif _overlap(lease["path"], path):
                say("Path busy. Time remaining = %d" % left)
                raise Failure(16, "CernVM-FS transaction error: lease path busy")
        token = uuid.uuid4().hex
        with open(os.path.join(folder, token), "w") as file:
            json.dump({"path": path, "expires": time.time() + _seconds(repository)}, file)
        with open(repository.token, "w") as file:
            file.write(token)
    finally:
        os.close(guard)
    say("Gateway reply: ok")


def _seconds(repository):
    try:
        with open(os.path.join(repository.stand_in, "lease-seconds")) as file:
            return float(file.read())
    except FileNotFoundError:
        return 7200


def _read(path):
    try:
        with open(path) as file:
            return json.load(file)
    except FileNotFoundError:
        return {"path": "/", "expires": 0}


def _token(repository):
    try:
        with open(repository.token) as file:
            return file.read()
    except FileNotFoundError:
        return None


def require(repository):
    """A worker without a valid lease can't submit anything."""
    token = _token(repository)
    lease = _read(os.path.join(_folder(repository), token)) if token else {"expires": 0}
    return not repository.is_gateway or lease["expires"] > time.time()


def give_back(repository):
    token = _token(repository)
    if token:
        for path in (os.path.join(_folder(repository), token), repository.token):
            try:
                os.unlink(path)
            except FileNotFoundError:
                pass
