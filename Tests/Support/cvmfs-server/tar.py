"""Reads an uncompressed archive from a descriptor, as the server's ingest does (section 8): ustar, pax and GNU.

An own reader because the boundaries matter: where an archive may end, what counts as damaged or truncated, and that
nothing behind the end marker is read."""

import os

BLOCK = 512


class Unrecognized(Exception):
    """The first block is no header."""


class Damaged(Exception):
    """Truncated, or a header that isn't one."""


class Entry:
    """A member; its data has to be read or skipped before the next one."""

    def __init__(self):
        self.name = self.link = ""
        self.kind = "0"
        self.mode = self.uid = self.gid = self.size = self.mtime = 0
        self.major = self.minor = 0
        self.converted = True


class Reader:
    def __init__(self, descriptor):
        self.descriptor = descriptor
        self.bytes = 0
        self.left = 0  # of the current member's data and padding
        self.data = 0
        self.globals = {}

    def _read(self, size):
        parts = []
        while size > 0:
            part = os.read(self.descriptor, min(size, 1 << 20))
            if not part:
                break
            parts.append(part)
            size -= len(part)
            self.bytes += len(part)
        return b"".join(parts)

    def content(self):
        """The current member's data in pieces."""
        while self.data > 0:
            part = self._read(min(self.data, 1 << 20))
            if not part:
                raise Damaged("Truncated tar archive")
            self.data -= len(part)
            self.left -= len(part)
            yield part

    def _skip(self):
        while self.left > 0:
            size = len(self._read(min(self.left, 1 << 20)))
            if size == 0:
                if self.data > 0:
                    raise Damaged("Truncated tar archive")
                break
            self.left -= size
            self.data = max(0, self.data - size)
        self.left = self.data = 0

    def _all(self, size):
        self.data, self.left = size, padded(size)
        data = b"".join(self.content())
        self._skip()
        return data

    def __iter__(self):
        """Ends at the end marker and also at the end of the file after a complete member."""
        while True:
            entry = self._next()
            if entry is None:
                return
            yield entry
            self._skip()

    def _next(self):
        pax, name, link = {}, None, None
        while True:
            is_first = self.bytes == 0
            header = self._read(BLOCK)
            if not header or (len(header) == BLOCK and not any(header)):
                return None
            if len(header) < BLOCK or not has_checksum(header):
                if is_first:
                    raise Unrecognized("Unrecognized archive format")
                raise Damaged("Damaged tar archive" if len(header) == BLOCK else "Truncated tar archive")
            kind = chr(header[156])
            size = number(header[124:136])
            if kind == "x":
                pax = records(self._all(size))
            elif kind == "g":
                self.globals.update(records(self._all(size)))
            elif kind == "L":
                name = self._all(size).rstrip(b"\0")
            elif kind == "K":
                link = self._all(size).rstrip(b"\0")
            else:
                return self._entry(header, kind, size, dict(self.globals, **pax), name, link)

    def _entry(self, header, kind, size, pax, name, link):
        entry = Entry()
        plain = text(header[0:100])
        prefix = text(header[345:500])
        # GNU archives keep times where ustar keeps the prefix.
        if header[257:263] == b"ustar\0" and prefix:
            plain = prefix + b"/" + plain
        entry.kind = {"\0": "0", "7": "0"}.get(kind, kind)
        raw = pax.get("path", name if name is not None else plain)
        target = pax.get("linkpath", link if link is not None else text(header[157:257]))
        if entry.kind == "0" and raw.endswith(b"/"):
            entry.kind = "5"  # as archives before ustar tell a directory
        entry.name, entry.link = os.fsdecode(raw), os.fsdecode(target)
        entry.converted = raw.isascii() or "path" not in pax
        entry.mode = number(header[100:108]) & 0o7777
        entry.uid = int(pax.get("uid", number(header[108:116])))
        entry.gid = int(pax.get("gid", number(header[116:124])))
        entry.mtime = int(float(pax.get("mtime", number(header[136:148]))) // 1)
        entry.major, entry.minor = number(header[329:337]), number(header[337:345])
        entry.size = int(pax.get("size", size)) if entry.kind == "0" else 0
        if entry.kind not in "0123456":
            raise Damaged("The stand-in reads no members of type '%s'" % entry.kind)
        self.data, self.left = entry.size, padded(entry.size)
        return entry


def padded(size):
    return (size + BLOCK - 1) // BLOCK * BLOCK


def text(field):
    return field.split(b"\0", 1)[0]


def number(field):
    """Octal, or base 256 where the first bit is set."""
    if field[0] & 0x80:
        value = int.from_bytes(field, "big") & ((1 << (8 * len(field) - 1)) - 1)
        return value - (1 << (8 * len(field) - 1)) if field[0] & 0x40 else value
    digits = text(field).strip()
    try:
        return int(digits, 8) if digits else 0
    except ValueError:
        return 0


def has_checksum(header):
    stored = number(header[148:156])
    blank = header[:148] + b" " * 8 + header[156:]
    return stored in (sum(blank), sum(byte - 256 if byte > 127 else byte for byte in blank))


def records(data):
    """A pax header: `LENGTH KEY=VALUE` lines. Values stay bytes: any name is accepted."""
    found = {}
    while data and data[0:1] != b"\0":
        length, _, _ = data.partition(b" ")
        try:
            size = int(length)
            record = data[len(length) + 1:size - 1]
            key, separator, value = record.partition(b"=")
        except ValueError:
            raise Damaged("Damaged tar archive")
        if size <= len(length) or not separator:
            raise Damaged("Damaged tar archive")
        found[key.decode("utf-8", "surrogateescape")] = value
        data = data[size:]
    return found
