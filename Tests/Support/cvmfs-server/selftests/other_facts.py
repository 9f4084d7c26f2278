"""Sections 1, 3, 4, 12 and 14; faults and the journal."""

import json
import os
import subprocess
import time

from harness import RepositoryTest, Result, archive, entry


class Telling(RepositoryTest):
    def test_exit_codes_of_the_command_line_section_1(self):
        result = self.fail_with(2)
        self.assertEqual(result.error, "")
        self.assertIn("Usage: cvmfs_server", result.out)
        for command in ("overlay", "nonsense"):
            result = self.fail_with(3, command)
            self.assertIn("Usage: cvmfs_server", result.out)
            self.assertIn("NOTE: ", result.out)
            self.assertEqual(result.error, "")

    def test_list_section_3(self):
        self.assertEqual(self.state, self.name + " (stratum0 / local)  ")
        stray = "/etc/cvmfs/repositories.d/%s.stray" % self.name
        self.write(stray)
        self.addCleanup(os.unlink, stray)
        self.assertIn("Warning: unexpected file '%s' in directory /etc/cvmfs/repositories.d/\n" % stray,
                      self.succeed("list").out)
        self.transaction()
        self.assertEqual(self.state, self.name + " (stratum0 / local - in transaction)  ")

    def test_info_section_4(self):
        lines = self.succeed("info", self.name).out.splitlines()
        self.assertEqual(lines[:6], [
            "Repository name: " + self.name, "Created by CernVM-FS 143", "Stratum1 replication allowed: yes",
            "Whitelist is valid for another 29 days", "", "Client configuration:"])
        self.assertEqual(len(lines), 11)
        self.assertIn("(unexpected termination) cannot load whitelist [failed to download whitelist]",
                      self.fail_with(1, "info", "nobody.stand-in.test").error)

    def test_tags_section_12(self):
        self.transaction()
        self.publish("-a", "mine", "-m", "some text")
        lines = [line.split(" ", 6) for line in self.succeed("tag", "-l", "-x", self.name).out.splitlines()]
        self.assertEqual([(line[0], line[3]) for line in lines],
                         [("trunk", "2"), ("mine", "2"), ("trunk-previous", "1")])
        self.assertEqual((lines[1][5], lines[1][6], len(lines[1][1])), ("(default)", "some text", 40))
        self.assertNotEqual(self.fail_with(1, "tag", "-i", "nosuch", self.name).error, "")

    def test_check_section_12(self):
        self.transaction()
        self.assertTrue(self.succeed("check", self.name).out.endswith("no problems found\n"))
        self.assertEqual(self.fail_with(1, "check", "-t", "T", self.name).error, "no such tag: T\n")

    def test_the_manifest_and_the_publishers_note_of_it_sections_2_and_12(self):
        self.published(f="x")
        with open("/srv/cvmfs/%s/.cvmfspublished" % self.name) as file:
            lines = file.read().splitlines()
        self.assertIn("S2", lines)
        with open(self.spool + "/client.local") as file:
            self.assertEqual(file.read(), "CVMFS_ROOT_HASH=%s\n" % lines[0][1:])

    def test_the_auto_tag_can_be_off_section_13(self):
        self.configure(CVMFS_AUTO_TAG="false")
        self.transaction()
        self.assertNotIn("Using auto tag", self.publish().out)


class Owners(RepositoryTest):
    mkfs_options = ("-o", "daemon")

    def test_the_spool_and_what_is_ingested_belong_to_the_owner_sections_2_and_8(self):
        uid = os.stat(self.spool).st_uid
        self.assertNotEqual(uid, 0)
        self.ingest(archive(entry("f", uid=77)))
        self.transaction()
        self.assertEqual({os.stat(self.spool + "/in_transaction.lock").st_uid, self.status("base").st_uid,
                          self.status("base/f").st_uid}, {uid})

    def test_a_stranger_may_not_open_a_transaction_section_5(self):
        # As somebody else: the program has to be readable for them, so a copy of it is run.
        os.chmod(self.folder, 0o755)
        copy = self.folder + "/copy"
        source = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
        subprocess.run(["cp", "-r", source, copy], check=True)
        process = subprocess.Popen(
            [copy + "/cvmfs_server", "transaction", self.name], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, user=65534, group=65534, extra_groups=[])
        result = Result(process)
        self.assertEqual(result.code, 1)
        self.assertIn("Permission error: No write permission to repository", result.error)


class InMemory(RepositoryTest):
    mkfs_options = ("--in-memory",)

    def test_a_repository_in_memory_is_like_any_other(self):
        self.published(d__f="x", g="x")
        self.transaction("-T", "d=e")
        os.unlink(self.union + "/g")
        self.publish()
        self.ingest(archive(entry("h", data=b"h")))
        self.assertEqual((self.names(), self.revision, self.status("e/f").st_nlink), (["base", "d", "e"], 5, 1))


class Gateway(RepositoryTest):
    mkfs_options = ("-u", "gw,/srv/cvmfs/txn,http://localhost:4929/api/v1")

    def lease(self, path, seconds=600):
        self.write(self.stand_in + "/leases/other", json.dumps({"path": path, "expires": time.time() + seconds}))

    def leases(self):
        return os.listdir(self.stand_in + "/leases")

    def test_a_transaction_takes_a_lease_and_publish_submits_section_14(self):
        self.assertEqual(self.state, self.name + " (stratum0 / gw)  ")
        self.assertEqual(self.transaction().out, "Gateway reply: ok\n")
        self.assertTrue(os.path.exists(self.spool + "/session_token"))
        out = self.publish().out
        self.assertIn("Changes submitted to repository gateway\n", out)
        self.assertNotIn("Tagging", out)
        self.assertEqual((self.leases(), self.revision), ([], 2))

    def test_a_busy_path_is_16_and_retried_with_t_section_14(self):
        self.published(a__f="x")
        self.lease("/a")
        for path in ("", "/a", "/a/b"):
            result = self.fail_with(16, "transaction", self.name + path)
            self.assertRegex(result.out, r"^Path busy. Time remaining = \d+\n$")
            self.assertEqual(result.error, "CernVM-FS transaction error: lease path busy\n")
            self.assertFalse(os.path.exists(self.spool + "/in_transaction.lock"))
        self.succeed("transaction", self.name + "/b")
        self.succeed("abort", "-f", self.name)
        self.assertEqual(self.leases(), ["other"])
        self.lease("/a", 0.2)
        self.succeed("transaction", "-t", "0", self.name + "/a")

    def test_ingest_leases_its_base_and_refuses_several_deletions_section_14(self):
        self.lease("/busy")
        self.ingest(archive(entry("f")), base="free")
        self.assertIn("Impossible to start a transaction", self.fail_with(
            1, "ingest", "-t", "-", "-b", "busy/x", self.name, data=archive(entry("f"))).error)
        for options in (("-d", "a", "-d", "b"), ("-d", "a", "-t", "-", "-b", "b")):
            self.assertIn("Could not delete", self.fail_with(1, "ingest", *options, self.name).error)
        self.succeed("ingest", "-d", "free", self.name)
        self.assertEqual(self.names(), [])

    def test_an_expired_lease_publishes_nothing(self):
        self.write(self.stand_in + "/lease-seconds", "0")
        self.transaction()
        self.fail_with(1, "publish", self.name)
        self.assertEqual(self.revision, 1)


class FaultsAndJournal(RepositoryTest):
    def test_a_fault_fails_once_with_its_text(self):
        self.fault("transaction-begin", fail=5, stderr="no storage", once=True)
        self.assertEqual(self.fail_with(5, "transaction", self.name).error, "no storage\n")
        self.transaction()

    def test_a_folder_in_the_environment_holds_faults_too(self):
        self.write(self.folder + "/faults/list-begin", json.dumps({"fail": 3}))
        self.fail_with(3, "list", environment={"STAND_IN_FAULTS": self.folder + "/faults"})

    def test_every_step_is_reached_and_waits(self):
        operations = {"transaction": ["begin", "flagged", "mounted", "end"], "abort": ["begin", "discard", "end"],
                      "publish": ["begin", "worker", "applied", "exported", "remount", "remounted", "end"],
                      "ingest": ["begin", "transaction", "worker", "applied", "exported", "remount", "remounted",
                                 "end"]}
        for operation, steps in operations.items():
            for step in steps:
                with self.subTest("%s-%s" % (operation, step)):
                    if operation in ("abort", "publish"):
                        self.transaction()
                    self.hold("%s-%s" % (operation, step))
                    options = {"abort": ("-f",), "ingest": ("-d", "x")}.get(operation, ())
                    process = self.start(operation, *options, self.name)
                    self.reached()
                    self.assertIsNone(process.poll())
                    self.let_go()
                    self.assertEqual(Result(process).code, 0)
                    for left in ("/reached", "/go"):
                        os.unlink(self.folder + left)
                    os.unlink("%s/faults/%s-%s" % (self.stand_in, operation, step))
                    if operation == "transaction":
                        self.succeed("abort", "-f", self.name)

    def test_a_delay_delays(self):
        self.fault("list-begin", delay=0.3)
        self.fault("transaction-mounted", delay=0.3)
        self.transaction()
        self.assertGreaterEqual(self.journal("transaction")[0]["seconds"], 0.3)

    def test_a_failure_after_the_signing_is_published(self):
        self.transaction()
        self.fault("publish-remount", fail=1)
        self.fail_with(1, "publish", self.name)
        self.assertEqual((self.signed, self.revision), (2, 1))
        self.assertIn("in transaction", self.state)

    def test_a_held_worker_ends_with_its_command(self):
        self.transaction()
        self.hold("publish-worker")
        process = self.start("publish", self.name)
        self.reached()
        process.kill()
        process.wait()
        self.wait_for(lambda: not self._holders())
        self.succeed("abort", "-f", self.name)

    def _holders(self):
        found = []
        for process in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open("/proc/%s/cmdline" % process) as file:
                    if self.name in file.read():
                        found.append(process)
            except OSError:
                pass
        return found

    def test_the_journal_counts_operations_revisions_and_bytes(self):
        self.published(f="x")
        data = archive(entry("f", data=b"x" * 1000), entry("g"))
        self.ingest(data)
        self.fail_with(1, "publish", self.name)
        lines = self.journal("publish")
        self.assertEqual([(line["exit"], line["before"], line["after"]) for line in lines], [(0, 1, 2), (1, 3, 3)])
        line = self.journal("ingest")[0]
        self.assertEqual((line["entries"], line["before"], line["after"]), (2, 2, 3))
        self.assertLessEqual(512 + 1024 + 512, line["bytes"])
        self.assertLessEqual(line["bytes"], len(data))
        self.assertGreater(line["seconds"], 0)
        with open(self.stand_in + "/revision") as file:
            self.assertEqual(file.read(), "3")

    def test_several_repositories_and_processes_at_once(self):
        names = [self.name, self.another(), self.another()]
        processes = [self.start("ingest", "-d", "x", name) for name in names]
        self.assertEqual([Result(process).code for process in processes], [0, 0, 0])
