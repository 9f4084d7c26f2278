"""What is published: the revisions as directory trees, and what a catalogue, a manifest and the tags would say.

`.stand-in/state.json` is replaced as a whole, so a revision is published or it isn't, wherever a command is killed.
A new tree starts as hard links to the old one and the old tree is removed once nothing shows it: between commands
every file has the link count 1 that a catalogue gives it (section 10)."""

import hashlib
import json
import os
import subprocess
import time

from settings import STORAGE, say


class Store:
    """The revisions of one repository."""

    def __init__(self, repository):
        self.repository = repository
        self.folder = os.path.join(repository.stand_in, "revisions")
        self.file = os.path.join(repository.stand_in, "state.json")
        with open(self.file) as file:
            self.state = json.load(file)

    @property
    def revision(self):
        return self.state["revision"]

    @property
    def clone(self):
        """The revision a template transaction made and nothing published yet (section 5), or None."""
        return self.state.get("clone")

    @property
    def shown(self):
        """The revision `rdonly` has to show."""
        return self.clone or self.revision

    @property
    def tags(self):
        return self.state["tags"]

    def tree(self, revision):
        return os.path.join(self.folder, str(revision))

    def stage(self):
        """A new tree, equal to the one shown, for a worker to change."""
        staged = os.path.join(self.folder, "staged")
        remove(staged)
        subprocess.run(["/bin/cp", "-al", self.tree(self.shown), staged], check=True, stdin=subprocess.DEVNULL)
        return staged

    def commit_clone(self, staged):
        """The revision of a template: visible on the publisher, not published."""
        self._place(staged, self.shown + 1, root_hash(self.repository.name, self.shown + 1))
        self._save(clone=self.shown + 1)

    def drop_clone(self):
        """Its number is used again (section 5)."""
        self._save(clone=None)

    def commit(self, staged, damaged=False, manual=None, tags=()):
        """Publishes a staged tree. Publishing without a change makes a revision and a root hash too (section 6)."""
        revision = int(manual) if manual else self.shown + 1
        hash_of_root = root_hash(self.repository.name, revision)
        now = int(time.time())
        self._place(staged, revision, hash_of_root)
        size = 4096
        known = [tag for tag in self.tags if tag["name"] not in ("trunk", "trunk-previous")]
        previous = [dict(tag, name="trunk-previous") for tag in self.tags if tag["name"] == "trunk"]
        entry = {"hash": hash_of_root, "size": size, "revision": revision, "time": now}
        if not self.repository.is_gateway:  # section 14: no local tagging
            known = [dict(entry, name=name, text=text) for name, text in tags] + known
        self._save(
            revision=revision, hash=hash_of_root, clone=None, damaged=self.state["damaged"] or damaged,
            tags=[dict(entry, name="trunk", text="")] + previous + known)
        self._show_manifest()

    def _place(self, staged, revision, hash_of_root):
        os.setxattr(staged, "user.revision", str(revision).encode())  # section 12: `attr -qg revision …/rdonly`
        os.setxattr(staged, "user.root_hash", hash_of_root.encode())
        os.setxattr(staged, "user.fqrn", self.repository.name.encode())
        place = self.tree(revision)
        remove(place)
        os.rename(staged, place)

    def _save(self, **changes):
        self.state = dict(self.state, **changes)
        write_state(self.file, self.state)

    def _show_manifest(self):
        """What a client would fetch (section 12), and the publisher's note of it (section 2)."""
        replace(os.path.join(STORAGE, self.repository.name, ".cvmfspublished"),
                "C%s\nS%d\nN%s\n" % (self.state["hash"], self.revision, self.repository.name))
        replace(os.path.join(self.repository.spool, "client.local"), "CVMFS_ROOT_HASH=%s\n" % self.state["hash"])
        replace(os.path.join(self.repository.stand_in, "revision"), str(self.revision))

    def prune(self):
        """Removes the trees nothing shows."""
        keep = {str(self.revision), str(self.shown)}
        for name in os.listdir(self.folder):
            if name not in keep:
                remove(os.path.join(self.folder, name))

    def auto_tag(self):
        """Its name (section 6): one of the same second gets a number."""
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        used = {tag["name"] for tag in self.tags}
        name, number = "generic-" + stamp, 0
        while name in used:
            number += 1
            name = "generic_%d-%s" % (number, stamp)
        say("Using auto tag '%s'" % name)
        return name


def create(repository):
    """The first revision: an empty root (section 12: its number is 1)."""
    store_folder = os.path.join(repository.stand_in, "revisions")
    staged = os.path.join(store_folder, "staged")
    os.makedirs(staged, 0o755)
    # Section 18: mkfs leaves it there, to be removed by whoever wants.
    with open(os.path.join(staged, "new_repository"), "w") as file:
        file.write("New CernVM-FS repository for %s\n" % repository.name)
    for path in (staged, os.path.join(staged, "new_repository")):
        os.chown(path, repository.account.pw_uid, repository.account.pw_gid)
    write_state(os.path.join(repository.stand_in, "state.json"),
                {"revision": 0, "hash": "", "clone": None, "damaged": False, "tags": []})
    os.makedirs(os.path.join(STORAGE, repository.name))
    Store(repository).commit(staged)


def root_hash(name, revision):
    return hashlib.sha1(("%s %d %d" % (name, revision, time.time_ns())).encode()).hexdigest()


def replace(path, text):
    temporary = "%s.%d" % (path, os.getpid())
    with open(temporary, "w") as file:
        file.write(text)
    os.rename(temporary, path)


def write_state(path, state):
    replace(path, json.dumps(state))


def remove(path):
    """A tree, however large; one that isn't there is fine."""
    if os.path.lexists(path):
        subprocess.run(["/bin/rm", "-rf", "--", path], check=True, stdin=subprocess.DEVNULL)
