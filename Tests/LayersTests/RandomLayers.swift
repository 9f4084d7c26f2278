// Random layers: every kind of entry under few names, so that entries replace, hide and link each other in all orders.

import Glibc
import Platform
import Support

/// Makes layers' archives from a seed.
struct RandomLayers {
    private var random: SplitMix

    init(seed: UInt64) { random = SplitMix(state: seed) }

    private mutating func number(_ limit: Int) -> Int { Int.random(in: 0..<limit, using: &random) }

    private mutating func pick<Element>(_ elements: [Element]) -> Element { elements[number(elements.count)] }

    /// A path of up to three components, spelled in one of the ways that tools spell it.
    mutating func path() -> String {
        let components = (0...number(3)).map { _ in pick(["a", "b", "c", "d", "é"]) }
        let path = components.joined(separator: "/")
        switch number(12) {
        case 0: return "./" + path
        case 1: return "/" + path
        case 2: return components.joined(separator: "//")
        case 3: return components[0] + "/../" + path
        default: return path
        }
    }

    private mutating func linkText() -> String {
        switch number(5) {
        case 0: return "/" + path()
        case 1: return "../" + path()
        case 2: return "."
        default: return path()
        }
    }

    /// An archive of so many entries.
    mutating func archive(entries: Int) -> [UInt8] {
        var tar = TarBuilder()
        for _ in 0..<entries { add(to: &tar) }
        return tar.finished()
    }

    private mutating func add(to tar: inout TarBuilder) {
        let name = path()
        let mode = pick([0o644, 0o755, 0o000, 0o4755, 0o1777, 0o2750])
        let uid = pick([0, 0, 7, 70_000, 4_000_000_000])
        let mtime = number(2_000_000_000)
        switch number(20) {
        case 0...4:
            let content = (0..<number(2000)).map { UInt8(truncatingIfNeeded: $0 &* mtime) }
            tar.add(name, content: content, mode: mode, uid: uid, gid: number(5), mtime: mtime)
        case 5...8: tar.add(name + "/", type: "5", mode: mode | 0o100, uid: uid, gid: number(5), mtime: mtime)
        case 9, 10: tar.add(name, type: "2", link: linkText(), mode: 0o777, uid: uid, mtime: mtime)
        case 11...14: tar.add(name, type: "1", link: path(), mode: mode)
        case 15:
            let device = pick([(1, 3), (0, 0), (300, 70_000), (0, 5)])
            tar.add(name, type: pick(["3", "4"]), mode: mode, uid: uid, mtime: mtime, device: device)
        case 16: tar.add(name, type: "6", mode: mode, uid: uid, mtime: mtime)
        case 17, 18: tar.add(hidden(name), content: [])
        default: tar.add(name + "/.wh..wh..opq", content: [])
        }
    }

    private func hidden(_ name: String) -> String {
        guard let slash = name.lastIndex(of: "/") else { return ".wh." + name }
        return name[...slash] + ".wh." + name[name.index(after: slash)...]
    }
}
