"""Sections 6, 9, 10 and 11: publish, its refusals and questions, and what it makes of the overlay."""

import os
import re
import socket
import stat
import subprocess

from harness import RepositoryTest, Result


class Publishing(RepositoryTest):
    def test_it_says_what_a_server_says_section_6(self):
        self.transaction()
        self.write(self.union + "/f")
        result = self.publish()
        lines = result.out.splitlines()
        self.assertRegex(lines[0], r"^Using auto tag 'generic(_1)?-\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ'$")
        self.assertEqual(lines[1:], [
            "Swissknife Sync: Processing changes...", "Waiting for upload of files before committing...",
            "Committing file catalogs...", "Swissknife Sync: Wait for all uploads to finish",
            "Swissknife Sync: Exporting repository manifest", "Statistics stored at: %s/stats.db" % self.spool,
            "Tagging " + self.name, "Flushing file system buffers", "Signing new manifest",
            "Remounting newly created repository revision"])
        self.assertEqual(result.error, "")

    def test_after_success_scratch_is_empty_and_the_mount_read_only_section_6(self):
        self.published(d__f="x")
        self.assertEqual((os.listdir(self.scratch), self.revision, self.is_writable()), ([], 2, False))
        self.assertEqual(self.state, self.name + " (stratum0 / local)  ")
        self.assertFalse(os.path.exists(self.spool + "/is_publishing.lock"))

    def test_without_changes_it_makes_a_revision_too_section_6(self):
        first = self.succeed("tag", "-l", "-x", self.name).out.split()[1]
        self.published()
        self.assertEqual(self.revision, 2)
        self.assertNotEqual(self.succeed("tag", "-l", "-x", self.name).out.split()[1], first)

    def test_it_is_unhealthy_meanwhile_section_3(self):
        self.transaction()
        self.hold("publish-worker")
        process = self.start("publish", self.name)
        self.reached()
        self.assertEqual(self.state, self.name + " (stratum0 / local - in transaction - unhealthy)  ")
        result = self.fail_with(1, "publish", self.name)
        self.assertEqual(result.error, "Another publish process is active for %s\n" % self.name)
        self.let_go()
        self.assertEqual(Result(process).code, 0)

    def test_refusals_on_stderr_section_6(self):
        result = self.fail_with(1, "publish", "nobody.stand-in.test")
        self.assertEqual(result.error, "The repository nobody.stand-in.test does not exist.\n")
        self.transaction()
        self.assertEqual(self.fail_with(1, "publish", "-a", "a b", self.name).error,
                         "Spaces are not allowed in tag names\n")
        self.publish("-a", "mine", "-m", "text")
        self.transaction()
        self.assertEqual(self.fail_with(1, "publish", "-a", "mine", self.name).error,
                         "Tag name 'mine' is already in use.\n")
        self.assertTrue(self.is_writable())

    def test_refusals_on_stdout_section_6(self):
        result = self.fail_with(1, "publish", self.name)
        self.assertEqual((result.out, result.error), ("Repository %s is not in a transaction\n" % self.name, ""))
        self.transaction()
        result = self.fail_with(1, "publish", "-n", "1", self.name)
        self.assertIn("Current revision '1' is ahead of manual revision number '1'.\n", result.out)
        result = self.fail_with(1, "publish", self.name, cwd=self.union)
        self.assertIn("Current working directory is in %s.  Please release, e.g. by 'cd $HOME'.\n" % self.union,
                      result.out)
        with open(self.union + "/f", "w"):
            result = self.fail_with(1, "publish", self.name)
        self.assertEqual(result.out, "Open writable file descriptors on %s\n" % self.name)
        self.assertTrue(self.is_writable())
        self.publish("-n", "7")
        self.assertEqual(self.revision, 7)

    def test_a_refusal_on_stdout_goes_on_with_the_next_repository_section_6(self):
        other = self.another()
        self.succeed("transaction", other)
        self.assertIn("is not in a transaction", self.fail_with(1, "publish", self.name, other + "/path").out)
        self.assertNotIn("in transaction", [line for line in self.succeed("list").out.splitlines()
                                            if line.startswith(other)][0])

    def test_a_bad_option_is_3_with_usage_on_stdout_section_1(self):
        result = self.fail_with(3, "publish", "--nope", self.name)
        self.assertIn("NOTE: ", result.out)
        self.assertEqual(result.error, "")

    def test_it_asks_when_somebody_reads_section_6(self):
        self.configure(CVMFS_FORCE_REMOUNT_WARNING="false")
        self.published(f="old")
        self.transaction()
        with open(self.union + "/f"):
            for answer in (b"n\n", b"", b"yes\n"):
                result = self.fail_with(1, "publish", self.name, data=answer)
                self.assertTrue(result.out.startswith(
                    "WARNING! There are open read-only file descriptors in %s\n" % self.union), result.out)
                self.assertTrue(result.out.endswith("Do you want to proceed anyway? (y/N) aborted.\n"), result.out)
                self.assertEqual((self.revision, self.is_writable()), (2, True))
            self.succeed("publish", self.name, data=b"y\n")
        self.assertEqual(self.revision, 3)
        self.transaction()
        with open(self.union + "/f"):
            self.assertIn("WARNING: Open file descriptors on %s (possible race!)" % self.union,
                          self.publish("-f").out)
        self.assertEqual((self.revision, self.is_writable()), (4, False))

    def test_a_working_directory_of_another_process_counts_as_reading_section_6(self):
        self.transaction()
        sleeper = subprocess.Popen(["sleep", "60"], cwd=self.union)
        try:
            self.assertIn("aborted.", self.fail_with(1, "publish", self.name).out)
        finally:
            sleeper.kill()
            sleeper.wait()

    def test_with_a_silent_pipe_as_stdin_it_hangs_section_6(self):
        self.published(f="old")
        self.transaction()
        with open(self.union + "/f"):
            process = self.start("publish", self.name, stdin=subprocess.PIPE)
            seen = b""
            while b"(y/N) " not in seen:
                seen += os.read(process.stdout.fileno(), 4096)
            with self.assertRaises(subprocess.TimeoutExpired):
                process.wait(timeout=0.3)
            process.stdin.write(b"n\n")
            process.stdin.flush()
            self.assertEqual(process.wait(timeout=30), 1)

    def test_a_failing_worker_leaves_the_transaction_open_and_scratch_intact_section_6(self):
        self.transaction()
        self.write(self.union + "/f")
        self.fault("publish-worker", fail=1, stderr="out of space", once=True)
        result = self.fail_with(1, "publish", self.name)
        self.assertIn("out of space\n", result.error)
        self.assertIn("Synchronization failed\n\nExecuted Command:\n", result.error)
        self.assertEqual((self.revision, os.listdir(self.scratch), self.is_writable()), (1, ["f"], True))
        self.publish()
        self.assertEqual((self.revision, self.names()), (2, ["f"]))

    def test_hooks_section_6(self):
        self.transaction()
        self.hook("publish_before_hook", "echo before $1; return 9")
        self.assertIn("before %s\n" % self.name, self.fail_with(9, "publish", self.name).out)
        self.assertEqual((self.revision, self.is_writable()), (1, True))
        self.hook("publish_after_hook", "return 8")
        self.fail_with(8, "publish", self.name)
        self.assertEqual(self.revision, 2)
        self.assertEqual(self.state, self.name + " (stratum0 / local - unhealthy)  ")
        self.assertTrue(self.is_writable())
        self.transaction()


class Catalogs(RepositoryTest):
    def test_markers_make_and_unmake_nested_catalogues_section_9(self):
        self.published(a__f="x", **{"a__.cvmfscatalog": "", "a__b__.cvmfscatalog": ""})
        self.assertEqual(self.catalogs, ["/", "/a", "/a/b"])
        self.transaction()
        os.unlink(self.union + "/a/.cvmfscatalog")
        self.publish()
        self.assertEqual(self.catalogs, ["/", "/a/b"])
        self.transaction()
        subprocess.run(["rm", "-r", self.union + "/a/b"], check=True)
        self.publish()
        self.assertEqual(self.catalogs, ["/"])

    def test_a_marker_in_the_root_or_no_regular_file_fails_section_9(self):
        self.transaction()
        self.write(self.union + "/.cvmfscatalog")
        self.assertIn("Error: nested catalog marker in root directory",
                      self.fail_with(1, "publish", self.name).error)
        os.unlink(self.union + "/.cvmfscatalog")
        os.makedirs(self.union + "/a/.cvmfscatalog")
        self.assertIn("/.cvmfscatalog' is not a regular file.", self.fail_with(1, "publish", self.name).error)

    def test_dirtab_marks_what_its_globs_match_section_9(self):
        self.transaction()
        for folder in ("a/1", "a/2", "b"):
            os.makedirs(self.union + "/" + folder)
        self.write(self.union + "/.cvmfsdirtab", "# comment\n/a/*\n! /a/2\n/nomatch/*\n")
        self.assertIn("Swissknife Sync: WARNING: cannot apply pathspec /nomatch/*", self.publish().error)
        self.assertEqual(self.catalogs, ["/", "/a/1"])


class Overlay(RepositoryTest):
    def test_removing_and_replacing_through_the_mount_section_10(self):
        self.published(f="f", d__g="g", d__h="h", e__i="i")
        self.transaction()
        os.unlink(self.union + "/f")
        subprocess.run("rm -r d && mkdir d && echo new > d/new; rm -r e && echo file > e", shell=True, check=True,
                       cwd=self.union)
        self.publish()
        self.assertEqual((self.names(), self.names("d"), self.read("e")), (["d", "e"], ["new"], "file\n"))

    def test_moved_directories_are_published_section_10(self):
        self.published(d__e__f="f")
        self.transaction()
        subprocess.run(["mv", self.union + "/d", self.union + "/moved"], check=True)
        self.publish()
        self.assertEqual((self.names(), self.read("moved/e/f")), (["moved"], "f"))

    def test_sneaky_scratch_is_published_with_whiteouts_and_opaque_marks_sections_5_and_10(self):
        self.published(a__f="f", a__g="g", b__h="h", c__x="x")
        os.makedirs(self.scratch + "/a", 0o750)
        os.chmod(self.scratch + "/a", 0o750)
        os.mknod(self.scratch + "/a/f", stat.S_IFCHR, 0)
        os.makedirs(self.scratch + "/b")
        os.setxattr(self.scratch + "/b", "trusted.overlay.opaque", b"y")
        self.write(self.scratch + "/b/new")
        os.symlink("(overlay-whiteout)", self.scratch + "/c")
        self.transaction()
        self.publish()
        self.assertEqual((self.names(), self.names("a"), self.names("b")), (["a", "b"], ["g"], ["new"]))
        self.assertEqual(self.status("a").st_mode & 0o777, 0o750)
        self.assertEqual(os.listxattr(self.rdonly + "/b"), [])

    def test_wh_names_delete_and_are_never_published_section_10(self):
        self.published(a="a", B="b", keep="k")
        self.transaction()
        self.write(self.union + "/.wh.a")
        self.write(self.union + "/.WH.B")
        self.write(self.union + "/.wh.nothing")
        os.makedirs(self.union + "/new")
        self.write(self.union + "/new/.wh.keep")
        os.mkdir(self.union + "/.wh.folder")
        error = self.publish().error
        self.assertIn("[WARNING] 'nothing' cannot be deleted. Unrecognized file type.\n", error)
        self.assertIn("[WARNING] 'new/keep' cannot be deleted. Unrecognized file type.\n", error)
        self.assertEqual((self.names(), self.names("new")), (["keep", "new"], []))
        self.transaction()
        self.write(self.union + "/.wh.folder/f")
        self.fail_with(1, "publish", self.name)

    def test_hard_links_are_broken_with_a_warning_section_10(self):
        self.transaction()
        self.write(self.union + "/f")
        os.link(self.union + "/f", self.union + "/g")
        self.assertIn("Warning: Found file with linkcount > 1 (f). We will break up these hardlinks.",
                      self.publish().error)
        self.assertEqual([self.status(name).st_nlink for name in ("f", "g")], [1, 1])
        self.assertNotEqual(self.status("f").st_ino, self.status("g").st_ino)

    def test_link_counts_stay_1_over_revisions_section_10(self):
        self.published(f="x")
        self.published(g="x")
        self.assertEqual([self.status(name).st_nlink for name in ("f", "g")], [1, 1])

    def test_whiteout_devices_cant_be_made_through_the_mount_section_10(self):
        self.transaction()
        with self.assertRaises(PermissionError):
            os.mknod(self.union + "/w", stat.S_IFCHR, 0)
        os.mkdir(self.union + "/d")
        os.setxattr(self.union + "/d", "trusted.overlay.opaque", b"y")
        self.assertEqual([name for name in os.listxattr(self.scratch + "/d") if name.endswith("overlay.opaque")
                          and name.count("overlay") == 1], [])

    def test_what_is_kept_and_what_is_altered_section_11(self):
        self.transaction()
        self.write(self.union + "/set", "s")
        os.chown(self.union + "/set", 12345, 23456)
        os.chmod(self.union + "/set", 0o6711)
        self.write(self.union + "/none", "n")
        os.chmod(self.union + "/none", 0)
        os.mkfifo(self.union + "/fifo")
        os.mknod(self.union + "/null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(self.union + "/socket")
        os.symlink("$(VAR:-default)", self.union + "/link")
        strange = os.fsencode(self.union) + b"/\xff\n" + b"x" * 253
        os.mkdir(strange)
        os.utime(self.union + "/set", ns=(10**18 + 7, 10**18 + 7))
        self.publish()
        status = self.status("set")
        self.assertEqual((status.st_uid, status.st_gid, status.st_mode, status.st_mtime_ns),
                         (12345, 23456, stat.S_IFREG | 0o6711, 10**18))
        self.assertEqual(self.status("none").st_mode, stat.S_IFREG)
        self.assertTrue(stat.S_ISFIFO(self.status("fifo").st_mode))
        self.assertTrue(stat.S_ISSOCK(self.status("socket").st_mode))
        self.assertEqual(self.status("null").st_rdev, os.makedev(1, 3))
        self.assertEqual(os.readlink(self.rdonly + "/link"), "$(VAR:-default)")
        self.assertTrue(os.path.isdir(os.fsencode(self.rdonly) + b"/\xff\n" + b"x" * 253))
        with self.assertRaises(PermissionError):  # section 10: devices aren't for use any more
            open(self.union + "/null").close()

    def test_xattrs_are_published_only_if_asked_for_section_10(self):
        def make(name):
            self.transaction()
            self.write(self.union + "/" + name)
            for key, size in (("short", 255), ("edge", 256), ("long", 257)):
                os.setxattr(self.union + "/" + name, "user." + key, b"v" * size)
            self.publish()
            return {key: len(os.getxattr(self.rdonly + "/" + name, key)) for key in os.listxattr(
                self.rdonly + "/" + name)}
        self.assertEqual(make("f"), {})
        self.configure(CVMFS_INCLUDE_XATTRS="true")
        self.assertEqual(make("g"), {"user.short": 255, "user.edge": 0})

    def test_special_files_are_ignored_if_asked_for_section_11(self):
        self.configure(CVMFS_IGNORE_SPECIAL_FILES="true")
        self.transaction()
        os.mkfifo(self.union + "/p")
        self.assertIn("[WARNING] 'p' is a special file, ignoring.\n", self.publish().error)
        self.assertEqual(self.names(), [])

    def test_dot_cvmfs_in_the_root_is_rejected_section_11(self):
        self.transaction()
        os.mkdir(self.union + "/.cvmfs")
        self.assertIn("[ERROR] invalid attempt to modify .cvmfs", self.fail_with(1, "publish", self.name).error)

    def test_untouched_directories_keep_their_times_section_11(self):
        self.published(d__e__f="x")
        before = self.status("d").st_mtime_ns
        self.assertEqual(before % 10**9, 0)
        self.published(g="x")
        self.assertEqual(self.status("d").st_mtime_ns, before)

    def test_auto_tags_of_one_second_get_a_number_section_6(self):
        for _ in range(2):
            self.published()
        names = [line.split()[0] for line in self.succeed("tag", "-l", "-x", self.name).out.splitlines()]
        self.assertEqual(len(set(names)), len(names))
        self.assertEqual(len([name for name in names if re.match(r"generic(_\d+)?-", name)]), 2)
