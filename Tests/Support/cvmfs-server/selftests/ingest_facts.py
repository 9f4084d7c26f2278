"""Section 8: ingest, its archives, deletions, owners and failures."""

import io
import os
import pwd
import stat
import subprocess
import tarfile

from harness import RepositoryTest, Result, archive, directory, entry


class Command(RepositoryTest):
    def test_it_publishes_in_its_own_transaction(self):
        result = self.ingest(archive(entry("f", data=b"text")))
        self.assertIn("Swissknife Ingest: Processing changes...\n", result.out)
        self.assertIn("Remounting newly created repository revision\n", result.out)
        self.assertIn("[[: not found", result.error)  # section 1: dash
        self.assertEqual((self.revision, self.read("base/f")), (2, "text"))
        self.assertEqual(self.state, self.name + " (stratum0 / local)  ")

    def test_options(self):
        for arguments, message in (
                ((), "Please provide some parameters, use -t $TAR_FILE"),
                (("-b", "x"), "Please provide the tarball to extract, "),
                (("-t", "x"), "Please set the base directory where to extract the tarball, "),
                (("-t", "x", "-b", "", "-c"), "Please set the base directory")):  # an empty value ends the loop
            self.assertIn(message, self.fail_with(1, "ingest", *arguments, self.name).error)
        self.assertIn("server.conf", self.fail_with(2, "ingest", "-d", "x", "nobody.stand-in.test").error)
        self.succeed("ingest", "--unknown", "--base_dir=x", "-d", "x", self.name)

    def test_an_open_transaction_is_left_alone(self):
        self.transaction()
        self.write(self.union + "/f")
        result = self.fail_with(1, "ingest", "-d", "x", self.name)
        self.assertIn("CernVM-FS transaction error: another transaction is already open\n"
                      "Impossible to start a transaction\n", result.error)
        self.publish()
        self.assertEqual(self.names(), ["f"])

    def test_of_4_parallel_ones_some_get_1_and_nothing_is_lost(self):
        processes = [self.start("ingest", "-d", "x", self.name) for _ in range(4)]
        codes = [Result(process).code for process in processes]
        self.assertLessEqual(set(codes), {0, 1})
        self.assertEqual(self.revision, 1 + codes.count(0))

    def test_a_failing_worker_makes_it_abort_itself(self):
        self.fault("ingest-worker", fail=1, once=True)
        self.assertIn("Synchronization failed\n\nExecuted Command:\n",
                      self.fail_with(1, "ingest", "-d", "x", self.name).error)
        self.assertEqual((self.revision, self.state), (1, self.name + " (stratum0 / local)  "))

    def test_the_first_line_of_the_archive_answers_the_question(self):
        self.published(f="x")
        with open(self.union + "/f"):
            result = self.fail_with(1, "ingest", "-t", "-", "-b", "b", self.name, data=archive(entry("g")))
        self.assertIn("Do you want to proceed anyway? (y/N) aborted.\n", result.out)
        self.assertIn("- in transaction", self.state)

    def test_an_open_file_in_rdonly_is_32_published_and_open(self):
        self.published(f="x")
        with open(self.rdonly + "/f"):
            self.fail_with(32, "ingest", "-d", "nothing", self.name)
            self.assertEqual(self.signed, 3)
            self.assertIn("- in transaction - unhealthy", self.state)
        self.succeed("abort", "-f", self.name)
        self.assertEqual(self.revision, 3)

    def test_scratch_is_thrown_away_and_not_published(self):
        self.write(self.scratch + "/sneaky")
        self.ingest(archive(entry("f")))
        self.assertEqual((self.names(), os.listdir(self.scratch)), (["base"], []))

    def test_a_stalled_producer_blocks_it_with_the_transaction_open(self):
        process = self.start("ingest", "-t", "-", "-b", "b", self.name, stdin=subprocess.PIPE)
        data = archive(entry("f"))
        process.stdin.write(data[:600])
        process.stdin.flush()
        self.wait_for(lambda: "in transaction - unhealthy" in self.state)
        self.assertIsNone(process.poll())
        process.stdin.write(data[600:])
        process.stdin.close()
        process.stdin = None
        self.assertEqual(Result(process).code, 0)

    def test_hooks_of_transaction_and_publish_run_section_13(self):
        self.only_stand_in()
        self.write(self.stand_in + "/hooks.sh",
                   "transaction_after_hook() { echo opened; }\npublish_after_hook() { echo closed; }\n")
        self.assertRegex(self.succeed("ingest", "-d", "x", self.name).out, r"(?s)^opened\n.*closed\n$")

    def test_killed_at_any_step_it_leaves_an_old_or_a_new_revision(self):
        for step, revision in (("ingest-applied", 1), ("ingest-exported", 1), ("ingest-remount", 2)):
            with self.subTest(step):
                self.hold(step)
                process = self.start("ingest", "-d", "x", self.name, group=True)
                self.reached()
                self.kill_group(process)
                for left in (self.stand_in + "/faults/" + step, self.folder + "/reached"):
                    os.unlink(left)
                self.assertIn("in transaction - unhealthy", self.state)
                self.succeed("abort", "-f", self.name)
                self.assertEqual(self.revision, revision)


class Archives(RepositoryTest):
    def refused(self, data, message, *options):
        revision = self.revision
        result = self.fail_with(1, "ingest", "-t", "-", "-b", "base", *options, self.name, data=data)
        self.assertIn(message, result.error)
        self.assertEqual((self.revision, self.state), (revision, self.name + " (stratum0 / local)  "))

    def check_fails(self):
        self.assertIn("CATALOG PROBLEMS OR OTHER ERRORS FOUND", self.fail_with(1, "check", self.name).error)

    def test_ustar_gnu_and_pax(self):
        for form in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
            long = "d/" * 40 + "f" * 60  # needs ustar's prefix, GNU's long name, a pax record
            base = "b%d" % form
            self.ingest(archive(entry(long, data=b"x"), form=form), base=base)
            self.assertEqual(self.read(base + "/" + long), "x")

    def test_compressed_or_garbage_is_unrecognized(self):
        output = io.BytesIO()
        with tarfile.open(fileobj=output, mode="w:gz") as tar:
            tar.addfile(entry("f")[0])
        for data in (output.getvalue(), b"garbage" * 1000):
            self.refused(data, "Impossible to open the archive: Unrecognized archive format")

    def test_cut_inside_data_or_a_header_or_a_bad_checksum(self):
        data = archive(entry("f", data=b"x" * 2000), entry("g"))
        self.refused(data[:1000], "Truncated tar archive")
        self.refused(archive(entry("../f", data=b"x" * 2000))[:1000], "Truncated tar archive")
        self.refused(data[:512 + 2048 + 100], "Truncated tar archive")
        self.refused(data[:2560] + b"#" + data[2561:], "Damaged tar archive")

    def test_cut_after_a_complete_entry_is_published(self):
        self.ingest(archive(entry("f", data=b"x" * 2000), entry("g"))[:512 + 2048])
        self.assertEqual(self.names("base"), ["f"])

    def test_an_empty_one_makes_a_revision_and_with_c_a_catalogue(self):
        for data in (b"", bytes(10240)):
            self.ingest(data)
        self.assertEqual((self.names(), self.revision), ([], 3))
        self.ingest(b"", "-c")
        self.assertEqual((self.names("base"), self.catalogs), ([".cvmfscatalog"], ["/", "/base"]))

    def test_base_directories(self):
        self.ingest(archive(entry("f")), base="a/b/")
        self.ingest(archive(entry("r")), base="/")
        self.ingest(archive(entry("f")), base="/cvmfs/%s/x" % self.name)
        self.assertEqual(self.names(), ["a", "cvmfs", "r"])
        self.assertEqual(self.status("a").st_mode & 0o7777, 0o755)
        self.fail_with(1, "ingest", "-t", "-", "-b", "./x", self.name, data=archive(entry("f")))
        self.succeed("check", self.name)
        self.ingest(archive(entry("f")), base="a//b")
        self.check_fails()

    def test_dot_dot_and_double_slashes_damage_the_catalogue(self):
        for name in ("../x", "a/../b", "a//b"):
            self.ingest(archive(entry(name), entry("good")))
            self.assertEqual(self.names("base"), ["good"])
            self.check_fails()

    def test_leading_slashes_and_dots_are_stripped(self):
        self.ingest(archive(entry("/f"), entry("./g"), directory("./", mode=0o700)))
        self.ingest(archive(directory("./", mode=0o700), entry("./g")), base="other")
        self.assertEqual((self.names("base"), self.status("other").st_mode & 0o777), (["f", "g"], 0o700))

    def test_trees_are_merged_and_existing_directories_keep_their_attributes(self):
        self.ingest(archive(directory("d", mode=0o700, mtime=1000), entry("d/f", data=b"1"), entry("d/g"),
                            directory("e"), entry("e/x")), "-k")
        self.ingest(archive(directory("d", mode=0o755, mtime=2000, uid=7), entry("d/f", data=b"2"), entry("e")), "-k")
        status = self.status("base/d")
        self.assertEqual((status.st_mode & 0o777, status.st_mtime, status.st_uid), (0o700, 1000, 0))
        self.assertEqual((self.names("base/d"), self.read("base/d/f")), (["f", "g"], "2"))
        self.assertTrue(stat.S_ISREG(self.status("base/e").st_mode))
        self.succeed("check", self.name)

    def test_a_directory_over_a_file_or_link_stays_unreachable(self):
        for blocking in (entry("x"), entry("x", tarfile.SYMTYPE, linkname="d")):
            base = "b%s" % blocking[0].type.decode()
            self.ingest(archive(directory("d"), blocking), base=base)
            self.succeed("ingest", "-t", "-", "-b", base, self.name, data=archive(directory("x"), entry("x/f")))
            self.assertFalse(stat.S_ISDIR(self.status(base + "/x").st_mode))
            self.assertEqual(self.names(base + "/d"), [])
            self.check_fails()
        self.succeed("ingest", "-d", "b0", "-d", "b2", self.name)
        self.check_fails()  # deleting the path doesn't heal it

    def test_contradictions_within_one_archive_abort(self):
        for members in ((entry("x"), entry("x")), (entry("x"), entry("x/y")),
                        (directory("d"), entry("x", tarfile.SYMTYPE, linkname="d"), entry("x/y"))):
            self.refused(archive(*members), "Assertion 'retval' failed")

    def test_directories_twice_and_after_their_children(self):
        self.ingest(archive(directory("d", mode=0o700), directory("d", mode=0o711), entry("e/f"),
                            directory("e", mode=0o700)))
        self.assertEqual([self.status("base/" + name).st_mode & 0o777 for name in "de"], [0o700, 0o755])
        self.assertNotEqual(self.status("base/e").st_mtime, 1600000000)

    def test_odd_names(self):
        odd = os.fsdecode(b"\xff\xfe\n")
        result = self.ingest(archive(entry("\u00e9"), entry(odd), form=tarfile.PAX_FORMAT))
        self.assertIn("Pathname can't be converted from UTF-8 to current locale.\n", result.error)
        self.assertEqual(self.names("base"), sorted(["\u00e9", odd]))

    def test_owners(self):
        member = entry("f", uid=1000, gid=2000)
        nobody = pwd.getpwnam("daemon")
        for options, owner, implied in (((), (0, 0), (0, 0)), (("-k",), (1000, 2000), (65534, 65534)),
                                        (("-u", "daemon", "-g", "root"), (nobody.pw_uid, nobody.pw_gid), None)):
            base = "b%d" % len(options)
            self.ingest(archive(member), *options, base=base)
            status = self.status(base + "/f")
            self.assertEqual((status.st_uid, status.st_gid), owner)
            if implied:
                self.assertEqual((self.status(base).st_uid, self.status(base).st_gid), implied)
        self.ingest(archive(member), "-u", "daemon", base="nothing")
        self.assertNotIn("nothing", self.names())
        self.fail_with(1, "ingest", "-t", "-", "-b", "x", "-g", "root", self.name, data=archive(member))

    def test_modes_times_links_and_devices_are_kept_and_xattrs_dropped(self):
        capability = entry("cap", data=b"x")
        capability[0].pax_headers = {"SCHILY.xattr.user.a": "b"}
        self.ingest(archive(entry("s", mode=0o6755, mtime=1234567), entry("l", tarfile.SYMTYPE, linkname="../../up"),
                            entry("p", tarfile.FIFOTYPE), directory("t", mode=0o1777, mtime=77),
                            entry("t/x"), entry("n", tarfile.CHRTYPE, devmajor=1, devminor=3), capability))
        status = self.status("base/s")
        self.assertEqual((status.st_mode & 0o7777, status.st_mtime), (0o6755, 1234567))
        self.assertEqual((self.status("base/t").st_mode & 0o7777, self.status("base/t").st_mtime), (0o1777, 77))
        self.assertEqual(os.readlink(self.rdonly + "/base/l"), "../../up")
        self.assertEqual(self.status("base/n").st_rdev, os.makedev(1, 3))
        self.assertTrue(stat.S_ISFIFO(self.status("base/p").st_mode))
        self.assertEqual(os.listxattr(self.rdonly + "/base/cap"), [])

    def test_hard_links_become_clones_with_link_count_1(self):
        link = lambda name, to: entry(name, tarfile.LNKTYPE, linkname=to, mode=0, uid=9)
        self.ingest(archive(entry("old", data=b"old", mode=0o640, uid=5, mtime=50)), "-k", base="layer")
        self.ingest(archive(link("forward", "f"), link("chained", "forward"), entry("f", data=b"f", mode=0o600),
                            entry("sym", tarfile.SYMTYPE, linkname="f"), link("tosym", "sym"),
                            link("flat/clone", "layer/old")), "-k", base="/")
        self.assertEqual([self.read(name) for name in ("forward", "chained", "flat/clone")], ["f", "f", "old"])
        status = self.status("flat/clone")
        self.assertEqual((status.st_mode & 0o777, status.st_uid, status.st_mtime, status.st_nlink), (0o640, 5, 50, 1))
        self.assertEqual((self.status("layer/old").st_nlink, self.status("f").st_nlink), (1, 1))
        self.assertEqual(os.readlink(self.rdonly + "/tosym"), "f")
        self.succeed("check", self.name)

    def test_hard_links_to_links_are_resolved_in_byte_order_of_their_targets(self):
        link = lambda name, to: entry(name, tarfile.LNKTYPE, linkname=to)
        self.ingest(archive(link("a", "m"), link("m", "b"), entry("b", data=b"b")), base="q")
        self.assertEqual([self.read("q/" + name) for name in "abm"], ["b", "b", "b"])
        self.refused(archive(entry("z", data=b"z"), link("m", "z"), link("a", "m")),
                     "catalog for file 'base/m' cannot be found, aborting")

    def test_hard_links_to_one_file_work_in_every_order_of_names(self):
        for number in range(6):
            names = [chr(ord("a") + (number + step * 5) % 6) for step in range(6)]
            members = [entry(names[0], data=b"text")] + [
                entry(name, tarfile.LNKTYPE, linkname=names[0]) for name in names[1:]]
            self.ingest(archive(*members[number:], *members[:number]), base="g%d" % number)
            self.assertEqual({self.read("g%d/%s" % (number, name)) for name in names}, {"text"})

    def test_hard_links_to_nothing_or_a_directory_fail(self):
        self.refused(archive(entry("l", tarfile.LNKTYPE, linkname="x")),
                     "catalog for file 'base/x' cannot be found, aborting")
        self.refused(archive(directory("d"), entry("l", tarfile.LNKTYPE, linkname="d")),
                     "Trying to clone a directory: ")

    def test_whiteouts_are_stored_as_they_are(self):
        self.ingest(archive(entry(".wh.x"), entry(".wh..wh..opq"), entry("dev", tarfile.CHRTYPE), entry("f")))
        self.assertEqual(self.names("base"), [".wh..wh..opq", ".wh.x", "dev", "f"])
        self.assertEqual(self.status("base/dev").st_rdev, 0)
        with self.assertRaises(FileNotFoundError):  # hidden in the publisher's mount
            os.lstat(self.union + "/base/dev")

    def test_published_wh_files_cant_be_removed_by_a_transaction(self):
        self.ingest(archive(entry("d/.wh.x"), entry("d/keep")))
        self.transaction()
        os.unlink(self.union + "/base/d/.wh.x")
        self.publish()
        self.assertEqual(self.names("base/d"), [".wh.x", "keep"])  # without effect
        self.transaction()
        subprocess.run(["rm", "-r", self.union + "/base/d"], check=True)
        error = self.fail_with(1, "publish", self.name).error
        self.assertIn("' should be deleted, but was not found in repository.", error)
        self.assertIn("Synchronization failed", error)
        self.succeed("abort", "-f", self.name)
        self.succeed("ingest", "-d", "base/d", self.name)
        self.assertEqual(self.names("base"), [])

    def test_c_marks_the_base_and_markers_in_the_archive_their_directories(self):
        self.ingest(archive(entry("f")))
        for _ in range(2):
            self.ingest(archive(entry("n/.cvmfscatalog")) if _ == 0 else b"", "-c")
        self.assertEqual(self.catalogs, ["/", "/base", "/base/n"])
        status = self.status("base/.cvmfscatalog")
        self.assertEqual((status.st_mode & 0o7777, status.st_size), (0o664, 0))
        self.ingest(archive(entry("g")))
        self.assertEqual(self.catalogs, ["/", "/base", "/base/n"])
        self.ingest(archive(entry("h")), "-c", base="/")
        self.assertNotIn(".cvmfscatalog", self.names())
        self.refused(archive(directory("z/.cvmfscatalog")), ".cvmfscatalog")


class Deletions(RepositoryTest):
    def setUp(self):
        super().setUp()
        self.published(a="a", b__c="c", d__e__f="f", g="g")
        self.before = self.revision

    def test_files_and_trees_with_slashes(self):
        self.succeed("ingest", "-d", "/a", "-d", "b/", "-d", "d/e", self.name)
        self.assertEqual((self.names(), self.names("d"), self.revision), (["d", "g"], [], self.before + 1))
        self.fail_with(1, "ingest", "-d", "/d/", self.name)
        self.fail_with(1, "ingest", "-d", ".", self.name)

    def test_what_doesnt_exist_is_a_warning_and_a_revision(self):
        result = self.succeed("ingest", "-d", "x", self.name)
        self.assertIn("[WARNING] 'x' cannot be deleted. Unrecognized file type.\n", result.error)
        self.assertEqual(self.revision, self.before + 1)

    def test_colons_and_blanks_split(self):
        self.succeed("ingest", "-d", "a:b", self.name)
        self.assertEqual(self.names(), ["d", "g"])
        self.succeed("ingest", "-d", "d g", self.name)
        self.assertEqual(self.names(), ["g"])

    def test_slash_destroys_the_root(self):
        self.succeed("ingest", "-d", "/", self.name)
        self.assertEqual(self.names(), [])
        self.fail_with(1, "check", self.name)

    def test_they_come_first_but_the_same_paths_cant_come_back(self):
        self.fail_with(1, "ingest", "-d", "b", "-t", "-", "-b", "b", self.name, data=archive(entry("c")))
        self.succeed("ingest", "-d", "b", "-t", "-", "-b", "b", self.name, data=archive(entry("new")))
        self.assertEqual(self.names("b"), ["new"])
        self.assertEqual(self.status("d").st_mtime_ns % 10**9, 0)


class WholeImages(RepositoryTest):
    def test_one_archive_is_one_revision(self):
        link = lambda name, to: entry(name, tarfile.LNKTYPE, linkname=to)
        layer = ".layers/aa/digest"
        self.ingest(archive(
            directory(layer + "/layerfs"), entry(layer + "/layerfs/f", data=b"f", mode=0o4755),
            entry(layer + "/layerfs/gone", tarfile.CHRTYPE), entry(layer + "/.cvmfscatalog"),
            entry(".flat/bb/image/.cvmfscatalog"), link(".flat/bb/image/f", layer + "/layerfs/f"),
            entry("name:tag", tarfile.SYMTYPE, linkname=".flat/bb/image")), "-k", base="/")
        self.assertEqual((self.revision, self.catalogs), (2, ["/", "/.flat/bb/image", "/.layers/aa/digest"]))
        self.assertEqual(self.status(".flat/bb/image/f").st_mode & 0o7777, 0o4755)
        self.ingest(archive(entry("name:tag", tarfile.SYMTYPE, linkname=".flat/cc/image")), "-k", base="/")
        self.assertEqual(os.readlink(self.rdonly + "/name:tag"), ".flat/cc/image")
        self.assertEqual(self.read(layer + "/layerfs/f"), "f")
        self.succeed("check", self.name)
        lower = self.folder + "/lower"
        self.write(lower + "/gone")
        mount = self.folder + "/mount"
        os.mkdir(mount)
        subprocess.run(["mount", "-t", "overlay", "overlay", "-o", "lowerdir=%s/%s/layerfs:%s" % (
            self.rdonly, layer, lower), mount], check=True)
        try:
            self.assertEqual(os.listdir(mount), ["f"])
        finally:
            subprocess.run(["umount", mount], check=True)
