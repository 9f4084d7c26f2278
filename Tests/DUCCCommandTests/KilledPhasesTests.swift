// SIGKILL in each part of a conversion: at a random instant of a part that has visibly begun.

import Glibc
import Notifications
import Platform
import Support
import Synchronization
import Testing

@Suite("Conversions killed in each of their phases")
struct KilledPhasesTests {
    /// Short parts take longer: an entry that is unpacked (`futimens`), one of the flat image (`linkat`), and what the
    /// commit renames, before and after its rename.
    private static let slowness = """
        int futimens(int file, const struct timespec *times) {
            usleep(200);
            return syscall(SYS_utimensat, file, NULL, times, 0);
        }
        int linkat(int from, const char *name, int to, const char *other, int flags) {
            usleep(200);
            return syscall(SYS_linkat, from, name, to, other, flags);
        }
        int renameat(int from, const char *name, int to, const char *other) {
            usleep(5000);
            int result = syscall(SYS_renameat2, from, name, to, other, 0);
            usleep(5000);
            return result;
        }
        int rename(const char *name, const char *other) { return renameat(AT_FDCWD, name, AT_FDCWD, other); }
        """

    private let whole: WholeImages
    private let slow: Interposed

    init() throws {
        whole = try WholeImages()
        slow = try Interposed(Self.slowness, in: whole.converting.directory)
    }

    /// One kill, aimed at a phase.
    private struct Aim {
        let phase: KillPhase
        /// Whether the tag led to another image before.
        let isUpdate: Bool
    }

    @Test("no phase leaves anything incomplete visible, and the next run finishes and cleans up")
    func everyPhase() throws {
        let wanted = TestScale.count(3, long: 10)
        let aims = KillPhase.allCases.map { Aim(phase: $0, isUpdate: false) }
        try kill(aims, wanted)
    }

    @Test("a tag that moves leads to the whole old or the whole new image, whenever the run is killed")
    func movedTag() throws {
        let wanted = TestScale.count(3, long: 10)
        let aims = [KillPhase.flat, .layers, .link, .metadata].map { Aim(phase: $0, isUpdate: true) }
        try kill(aims, wanted)
    }

    /// Kills until each aim was hit as often as wanted, and prints how often.
    private func kill(_ aims: [Aim], _ wanted: Int) throws {
        let converting = try Converting(.inMemory())
        var hits: [KillPhase: Int] = [:]
        var missed = 0
        var emitted: [UInt8] = []
        for aim in aims {
            while hits[aim.phase, default: 0] < wanted, missed < 40 * wanted {
                let hit = try killOnce(aim, converting)
                emitted += try Files.read(converting.log)
                if hit != aim.phase { missed += 1 }
                if let hit { hits[hit, default: 0] += 1 }
            }
            #expect(hits[aim.phase, default: 0] >= wanted, "\(aim.phase) was hardly ever hit")
        }
        // All rounds' lines, to be validated at the end.
        try converting.directory.write("notifications.log", emitted)
        let counts = KillPhase.allCases.compactMap { phase in hits[phase].map { "\(phase) \($0)" } }
        let kind = aims.contains(where: \.isUpdate) ? "moved tag" : "new image"
        print("kills per phase (\(kind)):", counts.joined(separator: ", "), "- aimed amiss:", missed)
    }

    /// - Returns: the phase that was hit.
    private func killOnce(_ aim: Aim, _ converting: Converting) throws -> KillPhase? {
        for path in [converting.repository, converting.log, converting.layout] { try Files.removeTree(path) }
        let new = try #require(whole.written["new"])
        let old = try #require(whole.written["old"])
        if aim.isUpdate { try prepareOld(converting) }
        try runSuccessfully("cp", ["-r", whole.converting.directory.path("new"), converting.layout])
        let isDownload = aim.phase == .download
        let registry = isDownload ? try HalfRegistry(converting.layout, new) : nil
        let request = registry.map { "http://\($0.server.host)/image:1" } ?? "oci:\(converting.layout):1"
        let publicPath = registry.map { "\($0.server.host)/image:1" } ?? "localhost/layout:1"

        let running = try converting.start(
            ["convert-single-image", request, converting.repository], environment: slow.environment)
        let killed = KilledConversion(
            converting: converting, image: new, publicPath: publicPath, isDownloadOpen: isDownload)
        try wait(for: aim.phase, of: killed, running)
        running.signal(SIGKILL)
        _ = try running.wait()

        let phase = try killed.phase()
        let when = "killed in \(phase.map(\.rawValue) ?? "no phase"), aimed at \(aim.phase)"
        let visible = try whole.check(converting, when)
        let shown = visible[publicPath]
        if aim.isUpdate { #expect(shown == old.configuration || shown == new.configuration, "\(when)") }
        let before = (try? converting.events().count) ?? 0

        registry?.open()
        let again = try converting.convert(request)
        #expect(again.code == 0, "\(when): \(again.errors)")
        let after = try whole.check(converting, "\(when), and run again")
        #expect(after == [publicPath: new.configuration], "\(when)")
        #expect(try converting.staged().isEmpty, "\(when): left in staging")
        let listed = try converting.ducc("list", "--json", converting.repository).output
        #expect(listed.split(separator: "\n").count == 1 && listed.contains(new.configuration), "\(when)")
        let events = try converting.events()
        killed.checkEvents(Array(events[before...]), when)
        // What became visible was told of, by the one run or the other.
        for action in [Action.publishFlatImage, .publishImage] {
            let told = events.contains {
                $0.action == action && $0[.configDigest] == "sha256:\(new.configuration)"
            }
            #expect(told, "\(when): no \(action.rawValue)")
        }
        for layer in new.layers where !(aim.isUpdate && old.layers.contains(layer)) {
            let told = events.contains { $0.action == .publishLayer && $0[.layerDigest] == layer }
            #expect(told, "\(when): no publish_layer")
        }
        return phase
    }

    /// The tag leads to the old image, as a conversion left it.
    private func prepareOld(_ converting: Converting) throws {
        try runSuccessfully("cp", ["-r", whole.converting.directory.path("old"), converting.layout])
        let result = try converting.convert("oci:\(converting.layout):1")
        #expect(result.code == 0, "\(result.errors)")
        try Files.removeTree(converting.layout)
        try Files.removeTree(converting.log)
    }

    /// Waits until a phase has begun, and then for some part of it.
    private func wait(
        for phase: KillPhase, of killed: KilledConversion, _ running: RunningCommand
    ) throws {
        let converting = killed.converting
        let top = killed.image.layers.last ?? ""
        let end = try running.process.endDescriptor()
        let deadline = MonotonicClock.nanoseconds() + 30_000_000_000
        func hasBegun() throws -> Bool {
            switch phase {
            case .download, .unpack:
                try killed.stagingDirectory().map { Files.exists("\($0)/layer-0") } ?? false
            case .flat: try killed.stagingDirectory().map { Files.exists("\($0)/flat") } ?? false
            case .layers: Files.exists(converting.path(".layers/\(top.prefix(2))/\(top)"))
            case .link: Files.exists(converting.path(killed.flatPath))
            case .metadata:
                Files.linkTarget(converting.path(killed.publicPath)).map(Files.lastComponent)
                    == killed.image.configuration
            }
        }
        var descriptor = pollfd(fd: end.raw, events: Int16(POLLIN), revents: 0)
        while try !hasBegun(), poll(&descriptor, 1, 1) == 0, MonotonicClock.nanoseconds() < deadline {}
        let longest: CInt =
            switch phase {
            case .download: 50
            case .unpack, .flat: 80
            case .layers: 12
            case .link: 45
            case .metadata: 24
            }
        poll(&descriptor, 1, CInt.random(in: 0...longest))
    }
}

/// A registry that gives a random part of each layer and then says nothing more, until it is opened.
private final class HalfRegistry: Sendable {
    let server: ScriptedServer
    private let gate: Gate

    /// Whether all of each layer is given.
    private final class Gate: Sendable {
        let isOpen = Atomic(false)
    }

    /// From now on gives all.
    func open() { gate.isOpen.store(true, ordering: .relaxed) }

    init(_ layout: String, _ image: TestImage.Written) throws {
        let gate = Gate()
        self.gate = gate
        server = try ScriptedServer { request in
            let name = request.target.split(separator: "/").last ?? ""
            let digest = name.hasPrefix("sha256:") ? String(name.dropFirst(7)) : image.manifest
            guard let bytes = try? Files.read("\(layout)/blobs/sha256/\(digest)") else { return .init(404) }
            guard image.layers.contains(digest), !gate.isOpen.load(ordering: .relaxed) else {
                return .init(200, body: bytes)
            }
            let part = Array(bytes.prefix(Int.random(in: 1..<bytes.count)))
            var answer = ScriptedServer.Answer(200, body: part, length: bytes.count)
            answer.stalls = true
            return answer
        }
    }
}
