#!/usr/bin/python3 -IB
"""Lets a repository's owner run the stand-in, which needs root where the real server has a set-uid helper.

    owner.py serve SOCKET UID     as root: runs the commands that come from UID, until standard input ends
    owner.py call SOCKET …        as the owner: has a command run, with this process's files, and ends as it does
"""

import array
import json
import os
import socket
import struct
import subprocess
import sys
import threading

PROGRAM = os.path.join(os.path.dirname(os.path.realpath(__file__)), "cvmfs_server")


def serve(path, uid):
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    os.chown(path, uid, -1)
    listener.listen()
    print("ready", flush=True)
    threading.Thread(target=accept, args=(listener, uid), daemon=True).start()
    sys.stdin.read()


def accept(listener, uid):
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=answer, args=(connection, uid), daemon=True).start()


def answer(connection, uid):
    with connection:
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        if struct.unpack("3i", credentials)[1] != uid:
            return
        text, ancillary, _, _ = connection.recvmsg(1 << 16, socket.CMSG_SPACE(3 * 4))
        files = array.array("i")
        for _, _, data in ancillary:
            files.frombytes(data)
        request = json.loads(text)
        process = subprocess.Popen(
            [PROGRAM, *request["arguments"]], stdin=files[0], stdout=files[1], stderr=files[2], cwd=request["folder"])
        for file in files:
            os.close(file)
        connection.send(b"%d" % process.wait())


def call(path, arguments):
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)
        request = json.dumps({"arguments": arguments, "folder": os.getcwd()}).encode()
        connection.sendmsg(
            [request], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0, 1, 2]).tobytes())])
        # An archive that is cut has to end: this process must not keep it open.
        for file in (0, 1, 2):
            os.close(file)
        code = int(connection.recv(16) or b"1")
    os._exit(code if code >= 0 else 128 - code)


if sys.argv[1] == "serve":
    serve(sys.argv[2], int(sys.argv[3]))
else:
    call(sys.argv[2], sys.argv[3:])
