"""The commands that only tell something: `list`, `info`, `tag`, `check`, `list-catalogs`; and `mount`."""

import os

import mounts
from locks import PublishingLock
from settings import CONFIGURATION, Failure, Repository, repository_names, say, unexpected
from store import Store
from tree import Tree


def list_repositories(_):
    """Section 3."""
    entries = sorted(os.listdir(CONFIGURATION)) if os.path.isdir(CONFIGURATION) else []
    for name in entries:
        path = os.path.join(CONFIGURATION, name)
        if not os.path.isdir(path):
            say("Warning: unexpected file '%s' in directory %s/" % (path, CONFIGURATION))
            continue
        repository = Repository(name)
        try:
            state = (" - in transaction" if repository.in_transaction else "") + (
                "" if mounts.Health(repository).is_good else " - unhealthy")
            kind, storage = repository.setting("CVMFS_REPOSITORY_TYPE", "stratum0"), repository.storage_type
        except OSError:
            continue  # it is being made or removed
        # The two last fields are blank-separated even if they are empty.
        say("%s (%s / %s%s)  " % (name, kind, storage, state))
    return 0


def info(words):
    """Section 4."""
    names = [word for before, word in zip([""] + words, words) if not word.startswith("-") and before != "-k"]
    repository = Repository(names[0] if names else "".join(repository_names()[:1]))
    if not repository.exists:
        raise unexpected("cannot load whitelist [failed to download whitelist]")
    name = repository.name
    say("Repository name: %s\nCreated by CernVM-FS 143\nStratum1 replication allowed: yes\n"
        "Whitelist is valid for another 29 days\n\nClient configuration:\n"
        "Add %s to CVMFS_REPOSITORIES in /etc/cvmfs/default.local\n"
        "Create /etc/cvmfs/config.d/%s.conf and set\n"
        "  CVMFS_SERVER_URL=http://localhost/cvmfs/%s\n"
        "  CVMFS_PUBLIC_KEY=/etc/cvmfs/keys/%s.pub\n"
        "Copy /etc/cvmfs/keys/%s.pub to the client" % ((name,) * 6))
    return 0


def _one_name(command, arguments, flags, valued=()):
    """The repository of a shell command with its options (section 1: usage, 3, for anything else)."""
    options, names, rest = {}, [], list(arguments)
    while rest:
        argument = rest.pop(0)
        if argument in valued and rest:
            options[argument] = rest.pop(0)
        elif argument in flags:
            options[argument] = True
        elif argument.startswith("-"):
            raise Failure(3, "NOTE: Command %s: Unrecognized option: %s" % (command, argument), "usage")
        else:
            names.append(argument)
    if not names:
        names = repository_names()
        if len(names) != 1:
            raise Failure(3, "NOTE: Please specify a repository name", "usage")
    repository = Repository(names[0])
    if not repository.exists:
        raise Failure(1, "The repository %s does not exist." % names[0])
    return repository, options


def tag(arguments):
    """Section 12: `tag -l -x` and `tag -i`."""
    repository, options = _one_name("tag", arguments, ("-l", "-x"), ("-i",))
    tags = Store(repository).tags
    if "-i" in options:
        tags = [entry for entry in tags if entry["name"] == options["-i"]]
        if not tags:
            raise Failure(1, "tag '%s' does not exist" % options["-i"])
    order = {"trunk": 0, "trunk-previous": 1}
    for entry in sorted(tags, key=lambda entry: (-entry["revision"], order.get(entry["name"], 2))):
        say("%(name)s %(hash)s %(size)d %(revision)d %(time)d (default) %(text)s" % entry)
    return 0


def check(arguments):
    """Section 12; a catalogue once damaged stays so (section 8)."""
    repository, options = _one_name("check", arguments, ("-c", "-i", "-r"), ("-t", "-s", "-R"))
    store = Store(repository)
    if "-t" in options and not any(entry["name"] == options["-t"] for entry in store.tags):
        raise Failure(1, "no such tag: %s" % options["-t"])
    say("Verifying integrity of %s..." % repository.name)
    if store.state["damaged"]:
        raise Failure(1, "CATALOG PROBLEMS OR OTHER ERRORS FOUND")
    say("no problems found")
    return 0


def list_catalogs(arguments):
    """Section 9: one path per line, `/` first."""
    repository, options = _one_name("list-catalogs", arguments, ("-x", "-s", "-e", "-h"))
    store = Store(repository)
    paths = ["/" + path for path in Tree(store.tree(store.revision)).catalogs()]
    for path in ["/"] + paths:
        say(path if "-x" in options else ("%s\\_ %s" % ("  " * path.count("/"), path)))
    return 0


def mount(arguments):
    """Section 12: what a reboot took away; an open transaction goes on."""
    names = repository_names() if "-a" in arguments else [name for name in arguments if not name.startswith("-")]
    for name in names:
        repository = Repository(name)
        if not repository.exists:
            raise Failure(1, "The repository %s does not exist." % name)
        # Mounts that are away for a moment, because somebody publishes, aren't lost.
        with PublishingLock(repository) as lock:
            if lock.acquire() and not {repository.rdonly, repository.union} <= set(mounts.mounted()):
                mounts.repair(repository)
    return 0
