"""Sections 2, 3, 5 and 7: transactions, their flag and mounts, abort."""

import errno
import os
import signal
import subprocess

from harness import RepositoryTest, Result


class Transactions(RepositoryTest):
    def mount_options(self):
        with open("/proc/self/mounts") as lines:
            return {option for line in lines if line.startswith("overlay_%s %s overlay " % (self.name, self.union))
                    for option in line.split()[3].split(",")}

    def test_a_new_repository_has_revision_1_and_the_folders_of_section_2(self):
        self.assertEqual(self.revision, 1)
        output = subprocess.run(["attr", "-qg", "revision", self.rdonly], stdout=subprocess.PIPE, check=True).stdout
        self.assertEqual(output, b"1")
        with self.assertRaises(OSError):  # section 12: not on /cvmfs/R
            os.getxattr(self.union, "user.revision")
        for folder in ("rdonly", "scratch/current", "scratch/wastebin", "ofs_workdir", "ovl_work", "tmp", "cache"):
            self.assertTrue(os.path.isdir(os.path.join(self.spool, folder)), folder)

    def test_outside_a_transaction_writes_are_erofs_section_2(self):
        with self.assertRaises(OSError) as caught:
            os.mkdir(self.union + "/x")
        self.assertEqual(caught.exception.errno, errno.EROFS)
        self.assertLessEqual({"ro", "nodev"}, self.mount_options())
        self.transaction()
        self.assertEqual(self.mount_options() & {"ro", "rw", "nodev"}, {"rw"})
        self.succeed("abort", "-f", self.name)
        self.assertLessEqual({"ro", "nodev"}, self.mount_options())

    def test_a_transaction_prints_nothing_and_opens_the_mount_section_5(self):
        result = self.transaction()
        self.assertEqual((result.out, result.error), ("", ""))
        self.assertTrue(self.is_writable())
        status = os.stat(self.spool + "/in_transaction.lock")
        self.assertEqual((status.st_mode & 0o777, status.st_size), (0o600, 0))

    def test_a_second_transaction_is_17_section_5(self):
        self.transaction()
        result = self.fail_with(17, "transaction", self.name)
        self.assertEqual(result.error, "CernVM-FS transaction error: another transaction is already open\n")
        self.assertEqual(result.out, "")

    def test_of_8_simultaneous_ones_exactly_one_wins_section_2(self):
        codes = [Result(process).code for process in [self.start("transaction", self.name) for _ in range(8)]]
        self.assertEqual(codes.count(0), 1, codes)
        self.assertLessEqual(set(codes), {0, 1, 17})

    def test_while_another_process_publishes_it_is_1_and_doesnt_wait_section_5(self):
        self.transaction()
        self.hold("publish-worker")
        publishing = self.start("publish", self.name)
        self.reached()
        for options in ((), ("-t", "60")):
            result = self.fail_with(1, "transaction", *options, self.name)
            self.assertIn("(unexpected termination) cannot establish writable mountpoint", result.error)
        self.let_go()
        self.assertEqual(Result(publishing).code, 0)

    def test_an_unknown_repository_is_1_section_5(self):
        result = self.fail_with(1, "transaction", "nobody.stand-in.test")
        self.assertEqual(result.error, "CernVM-FS error: Unable to find the configuration file `server.conf` for the"
                                       " cvmfs publisher: nobody.stand-in.test\n")

    def test_it_has_no_r_option_section_5(self):
        result = self.fail_with(1, "transaction", "-r", self.name)
        self.assertEqual(result.error, "Invocation error: transaction: unrecognized parameter '-r'\n")

    def test_several_repositories_and_none_named_is_1_section_5(self):
        self.another()
        self.assertIn("Invocation error: multiple repositories available in /etc/cvmfs/repositories.d:",
                      self.fail_with(1, "transaction").error)

    def test_path_checks_are_2_and_20_and_close_the_transaction_section_5(self):
        self.published(base__a="x")
        result = self.fail_with(2, "transaction", self.name + "/nope/x")
        self.assertEqual(result.error,
                         "CernVM-FS transaction error: cannot open transaction on non-existing path /nope\n")
        result = self.fail_with(20, "transaction", self.name + "/base/a/x")
        self.assertEqual(result.error, "CernVM-FS transaction error: cannot open transaction on /base/a, which is not"
                                       " a directory\n")
        self.succeed("transaction", self.name + "/base/new")

    def test_t_says_that_it_retries_and_ends_with_17_section_5(self):
        self.transaction()
        result = self.fail_with(17, "transaction", "-t", "1", self.name)
        self.assertIn("repository busy, retrying\n", result.out)
        self.assertIn("already open", result.error)

    def test_t_succeeds_when_the_other_one_ends_section_5(self):
        self.transaction()
        waiting = self.start("transaction", "-t", "0", self.name)
        self.assertEqual(waiting.stdout.readline(), b"repository busy, retrying\n")
        self.succeed("abort", "-f", self.name)
        self.assertEqual(Result(waiting).code, 0)

    def test_lost_mounts_are_repaired_outside_a_transaction_only_section_5(self):
        subprocess.run(["umount", self.union], check=True)
        self.assertIn("unhealthy", self.state)
        self.assertNotEqual(self.transaction().error, "")
        subprocess.run(["umount", self.union], check=True)
        result = self.fail_with(1, "transaction", self.name)
        self.assertIn("Repository %s is in a transaction and cannot be repaired.\n" % self.name, result.error)
        self.assertIn("--> Run `cvmfs_server abort $name` to revert and repair.\n", result.error)
        self.assertIn("cannot establish writable mountpoint", result.error)

    def test_mount_restores_an_open_transaction_section_12(self):
        self.transaction()
        self.write(self.union + "/f")
        subprocess.run(["umount", self.union], check=True)
        subprocess.run(["umount", self.rdonly], check=True)
        self.succeed("mount", self.name)
        self.assertTrue(self.is_writable())
        self.publish()
        self.assertEqual(self.names(), ["f"])

    def test_a_failing_before_hook_opens_nothing_section_5(self):
        self.hook("transaction_before_hook", "return 5")
        result = self.fail_with(5, "transaction", self.name)
        self.assertEqual(result.error, "transaction hook failed, not opening a transaction\n")
        self.assertNotIn("in transaction", self.state)

    def test_a_failing_after_hook_leaves_it_open_section_5(self):
        self.hook("transaction_after_hook", 'test "$1" != "%s"' % self.name)
        self.assertEqual(self.fail_with(1, "transaction", self.name).error, "post transaction hook failed\n")
        self.assertIn("in transaction", self.state)

    def test_killed_at_once_it_leaves_an_unhealthy_transaction(self):
        self.hold("transaction-flagged")
        process = self.start("transaction", self.name, group=True)
        self.reached()
        self.kill_group(process)
        self.assertIn("- in transaction - unhealthy", self.state)
        self.succeed("abort", "-f", self.name)


class Templates(RepositoryTest):
    def setUp(self):
        super().setUp()
        self.published(a__f="f", a__d__g="g")

    def test_it_comes_as_one_argument_and_advances_the_revision_by_2_sections_1_and_5(self):
        result = self.succeed("transaction", "-T a=b", self.name)
        self.assertEqual(result.out, "CernVM-FS: cloning template a --> b ... Waiting for upload of files before"
                                     " committing...\nCommitting file catalogs...\nNew revision: 3\n[done]\n")
        self.assertEqual(self.read("b/d/g"), "g")
        self.assertTrue(os.path.exists(self.union + "/b/f"))
        self.assertEqual(os.listdir(self.scratch), [])
        self.assertEqual((self.signed, self.status("b/f").st_nlink), (2, 1))
        self.assertIn(" - in transaction - unhealthy)", self.state)
        self.publish()
        self.assertEqual((self.revision, self.signed), (4, 4))

    def test_abort_drops_the_clone_and_its_number_is_used_again_section_5(self):
        self.transaction("-T", "a=b")
        self.assertNotEqual(self.succeed("abort", "-f", self.name).error, "")
        self.assertEqual((self.names(), self.revision), (["a"], 2))
        self.transaction()
        self.publish()
        self.assertEqual(self.revision, 3)

    def test_refusals_are_22_and_close_the_transaction_section_5(self):
        for template, reason in (
                ("nope=b", "path 'nope' cannot be found, aborting"),
                ("a/f=b", "CloneTree: source 'a/f' not a directory, aborting"),
                ("a=a/d", "cannot clone tree into sub directory of source 'a' --> 'a/d'"),
                ("a/d=a", "destination 'a' exists, aborting"),
                ("a=x/y", "destination 'x/y' not on a known path, aborting"),
                ("a=b/", "destination 'b/' not on a known path, aborting")):
            result = self.fail_with(22, "transaction", "-T", template, self.name)
            self.assertIn("CernVM-FS transaction error: cannot clone directory tree. PANIC: ", result.error)
            self.assertEqual(result.error.splitlines()[1], reason)
            self.assertFalse(os.path.exists(self.spool + "/in_transaction.lock"))
        self.assertIn("(unexpected termination) invalid syntax",
                      self.fail_with(1, "transaction", "-T", "a", self.name).error)

    def test_scratch_is_taken_into_the_clones_revision_section_5(self):
        self.write(self.scratch + "/sneaky")
        self.transaction("-T", "a=b")
        self.assertEqual(self.names(), ["a", "b", "sneaky"])

    def test_content_below_the_destination_is_134_and_leaves_the_flag_section_5(self):
        self.write(self.scratch + "/b/f")
        self.fail_with(134, "transaction", "-T", "a=b", self.name)
        self.assertIn("in transaction", self.state)
        self.succeed("abort", "-f", self.name)
        self.assertEqual((self.names(), self.revision), (["a"], 2))


class Aborts(RepositoryTest):
    def test_f_discards_anybodys_transaction_section_7(self):
        self.transaction()
        self.write(self.union + "/f")
        self.assertIn("CernVM-FS: running with suid support\n", self.succeed("abort", "-f", self.name).out)
        self.assertEqual((self.names(), os.listdir(self.scratch), self.revision), ([], [], 1))
        self.assertFalse(self.is_writable())
        self.assertEqual(self.state, self.name + " (stratum0 / local)  ")

    def test_it_asks_and_n_is_4_and_end_of_file_is_yes_section_7(self):
        self.transaction()
        result = self.fail_with(4, "abort", self.name, data=b"n\n")
        self.assertEqual(result.out, "You are about to DISCARD ALL CHANGES OF THE CURRENT TRANSACTION for %s!"
                                     "  Are you sure (y/N)? " % self.name)
        self.assertIn("in transaction", self.state)
        self.fail_with(4, "abort", self.name, data=b"\n")
        self.succeed("abort", self.name)

    def test_without_a_transaction_it_is_22_section_7(self):
        result = self.fail_with(22, "abort", "-f", self.name)
        self.assertEqual(result.error, "Repository %s is not in a transaction\n" % self.name)
        self.fail_with(1, "abort", "-f", "nobody.stand-in.test")

    def test_while_somebody_publishes_it_is_22_section_7(self):
        self.transaction()
        self.hold("publish-worker")
        publishing = self.start("publish", self.name)
        self.reached()
        result = self.fail_with(22, "abort", "-f", self.name)
        self.assertEqual(result.error, "Could not acquire lock %s/is_publishing.lock\n" % self.spool)
        self.let_go()
        self.assertEqual(Result(publishing).code, 0)

    def test_without_its_scratch_directory_nothing_works_until_it_is_made_again_section_17(self):
        self.transaction()
        for mounted in (self.union, self.rdonly):
            subprocess.run(["umount", mounted], check=True)
        os.rename(self.scratch, self.spool + "/scratch/wastebin/moved")
        for _ in range(2):
            self.assertIn("is not mounted properly", self.fail_with(5, "abort", "-f", self.name).error)
        self.assertIn("cannot be repaired", self.fail_with(1, "transaction", self.name).error)
        self.assertIn("cannot establish writable mountpoint",
                      self.fail_with(1, "ingest", "-d", "x", self.name).error)
        os.mkdir(self.scratch)
        self.succeed("abort", "-f", self.name)
        self.published(f="x")
        self.assertEqual(self.names(), ["f"])

    def test_open_files_are_only_warned_about_section_7(self):
        self.transaction()
        self.write(self.union + "/f", "kept")
        with open(self.union + "/f") as file:
            result = self.succeed("abort", "-f", self.name)
            self.assertIn("umount: %s: target is busy." % self.union, result.error)
            self.assertIn("WARNING", result.out)
            self.assertEqual(file.read(), "kept")
        self.assertEqual(self.state, self.name + " (stratum0 / local)  ")

    def test_a_path_is_ignored_and_a_cwd_inside_is_1_section_7(self):
        self.transaction()
        result = self.fail_with(1, "abort", "-f", self.name, cwd=self.union)
        self.assertIn("Current working directory is in " + self.union, result.out)
        self.succeed("abort", "-f", self.name + "/some/path")

    def test_killed_halfway_it_can_be_repeated(self):
        self.transaction()
        self.hold("abort-discard")
        process = self.start("abort", "-f", self.name, group=True)
        self.reached()
        self.kill_group(process)
        self.assertIn("in transaction", self.state)
        os.unlink(self.stand_in + "/faults/abort-discard")
        self.succeed("abort", "-f", self.name)
        self.assertFalse(os.path.exists(self.spool + "/is_publishing.lock"))


class Signals(RepositoryTest):
    def _held(self, step, operation="publish"):
        self.transaction()
        self.write(self.union + "/f")
        self.hold(step)
        process = self.start(operation, self.name, group=True)
        self.reached()
        return process

    def test_sigterm_to_the_command_alone_doesnt_stop_it_section_6(self):
        process = self._held("publish-worker")
        process.send_signal(signal.SIGTERM)
        self.let_go()
        self.assertEqual(Result(process).code, 0)
        self.assertEqual((self.revision, self.names()), (2, ["f"]))

    def test_sigterm_to_the_group_is_a_worker_failure_section_6(self):
        result = self.kill_group(self._held("publish-worker"), signal.SIGTERM)
        self.assertEqual(result.code, 1)
        self.assertIn("Synchronization failed\n\nExecuted Command:\n", result.error)
        self.assertEqual((self.revision, self.is_writable(), os.listdir(self.scratch)), (1, True, ["f"]))

    def test_sigkill_of_the_group_leaves_flag_and_lock_and_abort_repairs_section_6(self):
        for step in ("publish-worker", "publish-applied", "publish-exported"):
            with self.subTest(step):
                self.kill_group(self._held(step))
                self.assertTrue(os.path.exists(self.spool + "/is_publishing.lock"))
                self.assertEqual(self.state, self.name + " (stratum0 / local - in transaction - unhealthy)  ")
                self.assertFalse(self.is_writable())
                self.fail_with(1, "publish", self.name)
                self.fail_with(1, "transaction", self.name)
                for left in (self.stand_in + "/faults/" + step, self.folder + "/reached"):
                    os.unlink(left)
                self.succeed("abort", "-f", self.name)
                self.assertEqual((self.revision, self.names()), (1, []))

    def test_sigkill_after_the_signing_leaves_what_was_published(self):
        self.kill_group(self._held("publish-remount"))
        self.assertEqual((self.signed, self.revision), (2, 1))
        self.succeed("abort", "-f", self.name)
        self.assertEqual((self.revision, self.names()), (2, ["f"]))
        self.assertEqual(self.status("f").st_nlink, 1)
