// A layer applied to a tree in memory: names, attributes, and which entry of the archive has whose data. Nothing needs
// privileges, nothing is lost, and what the layer would be in a file system is known entry by entry.
//
// A layer may have half a million entries, so a name costs some 30 bytes and an inode 40. All names are in one hash
// table, by the *inode* of their directory and themselves. A directory that is removed and made again has another inode,
// so that removing a whole tree is forgetting one name: what was beneath it is not found any more.

import Archive
import CLinux
import Glibc
import Platform

/// A tree that a layer is applied to.
final class TreeTarget: LayerTarget, WalkableTree {
    /// A directory: its name's slot, and the inode that it had when it was found.
    struct Directory {
        let slot: Int32
        let inode: Int32
    }

    /// A name in a directory, and what it leads to: an inode, or one of `Link`.
    struct Slot {
        let parent: Directory
        let nameStart: Int
        let nameCount: UInt8
        var inode: Int32
    }

    /// What a name leads to that has no inode.
    enum Link {
        static let nothing: Int32 = -1
        static let whiteout: Int32 = -2
        static let lower: Int32 = -3
        /// A hard link into the lower layers, with a whiteout of the same name: what else this layer has there replaces
        /// both.
        static let hiddenLower: Int32 = -4
    }

    private let budget: LayerBudget
    private let created: Int64
    private(set) var inodes = LayerInodes()
    private(set) var slots: [Slot]
    private(set) var names: [UInt8] = []
    /// Slots by directory and name: open addressing, at most half full; -1: empty.
    private var table = [Int32](repeating: -1, count: 1 << 10)
    private(set) var lowerLinks: [Int32: EntryName] = [:]
    /// The entry that is applied, counted from 0.
    private var entry: Int32 = -1

    private let root = Directory(slot: 0, inode: 0)

    /// - Parameter created: the time of directories that no entry names.
    init(_ budget: LayerBudget, created: timespec) {
        self.budget = budget
        self.created = Int64(created.tv_sec)
        slots = [Slot(parent: root, nameStart: 0, nameCount: 0, inode: 0)]
        _ = inodes.append(.impliedDirectory(modified: self.created))
    }

    /// Says that the archive's next entry is applied.
    ///
    /// - Throws: `LayerError` for more entries than can be counted.
    func beginEntry() throws(LayerError) {
        guard entry < .max else { throw LayerError("the layer has too many entries") }
        entry += 1
    }

    // MARK: - Finding

    func parent(of name: EntryName) throws -> Directory {
        try find(name.components.dropLast()) ?? walk(name.components.dropLast(), of: name, making: true)
            ?? root
    }

    func existingParent(of name: EntryName) throws -> Directory? {
        if let found = find(name.components.dropLast()) { return found }
        // Links that never end lead nowhere.
        do { return try walk(name.components.dropLast(), of: name, making: false) } catch is LayerError {
            return nil
        }
    }

    /// The directory at a path that leads through no link.
    private func find(_ components: ArraySlice<[UInt8]>) -> Directory? {
        var directory = root
        for component in components {
            guard let slot = slot(component, in: directory), isDirectory(slots[Int(slot)].inode) else {
                return nil
            }
            directory = Directory(slot: slot, inode: slots[Int(slot)].inode)
        }
        return directory
    }

    func existing(_ base: [UInt8], in directory: Directory) -> Existing {
        guard let slot = slot(base, in: directory) else { return .nothing }
        switch slots[Int(slot)].inode {
        case Link.nothing, Link.lower: return .nothing
        case Link.whiteout, Link.hiddenLower: return .whiteout
        case let inode: return isDirectory(inode) ? .directory : .other(inodes[inode].mode)
        }
    }

    var rootPlace: Directory { root }

    func place(_ component: [UInt8], at place: Directory) -> Directory {
        guard let slot = slot(component, in: place) else { return place }
        return Directory(slot: slot, inode: slots[Int(slot)].inode)
    }

    func existing(_ component: [UInt8], at place: Directory) -> Existing { existing(component, in: place) }

    func linkText(_ component: [UInt8], at place: Directory) -> [UInt8]? {
        guard let slot = slot(component, in: place), slots[Int(slot)].inode >= 0 else { return nil }
        return inodes.linkText(slots[Int(slot)].inode)
    }

    func makeImplied(_ component: [UInt8], at place: Directory, replacesWhiteout: Bool) throws {
        try makeDirectory(component, in: place, replacesLower: replacesWhiteout)
    }

    func isDirectory(_ inode: Int32) -> Bool { inode >= 0 && inodes[inode].type == S_IFDIR }

    // MARK: - Making

    /// Makes a directory that no entry names.
    ///
    /// - Throws: `LayerError`.
    @discardableResult
    func makeDirectory(
        _ base: [UInt8], in parent: Directory, replacesLower: Bool = false
    ) throws(LayerError) -> Directory {
        try budget.spend(onPath: base)
        var inode = LayerInodes.Inode.impliedDirectory(modified: created)
        if replacesLower { inode.flags.formUnion([.opaque, .replacing]) }
        let number = inodes.append(inode)
        return Directory(slot: try link(base, in: parent, to: number), inode: number)
    }

    func makeFile(_ entry: TarEntry, _ name: EntryName, in parent: Directory, _ content: FileContent) throws {
        try content.read { _, _ in }
        var inode = inode(of: entry, S_IFREG)
        inode.value = entry.size
        inode.extent = self.entry
        try link(name.last, in: parent, to: inodes.append(inode))
    }

    func makeDirectory(_ entry: TarEntry, _ name: EntryName, in parent: Directory) throws -> Existing {
        let replaced = existing(name.last, in: parent)
        var inode = inode(of: entry, S_IFDIR)
        if replaced == .directory {
            let known = place(name.last, at: parent)
            inode.flags = inodes[known.inode].flags.subtracting(.implied)
            inodes[known.inode] = inode
        } else {
            try link(name.last, in: parent, to: inodes.append(inode))
        }
        return replaced
    }

    func setRoot(_ entry: TarEntry) {
        var inode = inode(of: entry, S_IFDIR)
        inode.flags = inodes[root.inode].flags.subtracting(.implied)
        inodes[root.inode] = inode
    }

    func makeSymbolicLink(
        _ entry: TarEntry, _ name: EntryName, to text: UnsafePointer<CChar>, in parent: Directory
    ) throws {
        let count = strlen(text)
        let number = text.withMemoryRebound(to: UInt8.self, capacity: count) {
            inodes.append(inode(of: entry, S_IFLNK), text: UnsafeBufferPointer(start: $0, count: count))
        }
        // As where it would be unpacked (symlink(2)).
        guard count < EntryName.longestPath else {
            throw LayerError.refused("the layer has a symbolic link of \(count) bytes", entry: name.bytes)
        }
        try link(name.last, in: parent, to: number)
    }

    func makeSpecial(_ entry: TarEntry, _ type: mode_t, _ name: EntryName, in parent: Directory) throws {
        if type == S_IFCHR, entry.device == (0, 0) {
            try link(name.last, in: parent, to: Link.whiteout)
            return
        }
        var inode = inode(of: entry, type)
        if type != S_IFIFO {
            inode.value = Int64(bitPattern: UInt64(ducc_makedev(entry.device.major, entry.device.minor)))
        }
        try link(name.last, in: parent, to: inodes.append(inode))
    }

    func makeHardLink(
        _ name: EntryName, in parent: Directory, to target: EntryName, in targetParent: Directory
    ) throws {
        guard let from = slot(target.last, in: targetParent) else { return }
        let inode = slots[Int(from)].inode
        if let to = slot(name.last, in: parent) {
            if slots[Int(to)].inode == inode { return }
            if isDirectory(slots[Int(to)].inode) {
                slots[Int(to)].inode = Link.nothing
                guard isReachable(targetParent) else {
                    throw LayerError.refused(
                        "the layer has a hard link in the place of its target", entry: name.bytes)
                }
            }
        }
        try link(name.last, in: parent, to: inode)
    }

    func noteLowerLink(_ name: EntryName, in parent: Directory, to target: EntryName) throws {
        lowerLinks[try link(name.last, in: parent, to: Link.lower)] = target
    }

    func lowerLink(_ base: [UInt8], in directory: Directory) -> EntryName? {
        guard let slot = slot(base, in: directory), slots[Int(slot)].inode == Link.lower else { return nil }
        return lowerLinks[slot]
    }

    func makeWhiteout(_ base: [UInt8], in directory: Directory) throws {
        // A hard link into the lower layers is this layer's own.
        if let slot = slot(base, in: directory), slots[Int(slot)].inode == Link.lower {
            slots[Int(slot)].inode = Link.hiddenLower
        } else {
            try link(base, in: directory, to: Link.whiteout)
        }
    }

    func markOpaque(_ directory: Directory) { inodes[directory.inode].flags.insert(.opaque) }

    func replaceLower(_ base: [UInt8], in directory: Directory) {
        inodes[place(base, at: directory).inode].flags.formUnion([.opaque, .replacing])
    }

    /// Makes a file that comes from no archive.
    ///
    /// - Throws: `LayerError`.
    func makeFile(_ base: [UInt8], in parent: Directory, _ permissions: mode_t, _ bytes: [UInt8])
        throws(LayerError)
    {
        var inode = LayerInodes.Inode(mode: S_IFREG | permissions, user: 0, group: 0, modified: created)
        inode.value = Int64(bytes.count)
        inode.extent = Int32(inodes.contents.count)
        inodes.contents.append(bytes)
        try link(base, in: parent, to: inodes.append(inode))
    }

    /// Makes a symbolic link that comes from no archive.
    ///
    /// - Throws: `LayerError`.
    func makeSymbolicLink(_ base: [UInt8], in parent: Directory, to text: [UInt8]) throws(LayerError) {
        let inode = LayerInodes.Inode(mode: S_IFLNK | 0o777, user: 0, group: 0, modified: created)
        let number = text.withUnsafeBufferPointer { inodes.append(inode, text: $0) }
        try link(base, in: parent, to: number)
    }

    /// Says that a directory is there for its own sake.
    func nameDirectory(_ directory: Directory) { inodes[directory.inode].flags.remove(.implied) }

    private func inode(of entry: TarEntry, _ type: mode_t) -> LayerInodes.Inode {
        var unsupported: UInt16 = 0
        entry.forEachAttribute { name, _ in
            unsupported |= AttributeWriter.bit(ofPhraseFor: String(cString: name))
        }
        return LayerInodes.Inode(
            mode: type | (type == S_IFLNK ? 0o777 : entry.permissions),
            user: UInt32(truncatingIfNeeded: entry.user),
            group: UInt32(truncatingIfNeeded: entry.group), modified: Int64(entry.modified.tv_sec),
            unsupported: unsupported)
    }

    // MARK: - The table of names

    /// Lets a name lead to an inode, or to one of `Link`.
    @discardableResult
    private func link(_ base: [UInt8], in parent: Directory, to inode: Int32) throws(LayerError) -> Int32 {
        let place = tableIndex(base, in: parent)
        let known = table[place]
        if known >= 0 {
            lowerLinks[known] = nil
            slots[Int(known)].inode = inode
            return known
        }
        guard let count = UInt8(exactly: base.count), slots.count < Int(Int32.max) else {
            throw LayerError("the layer's names are too many")
        }
        let slot = Int32(slots.count)
        slots.append(Slot(parent: parent, nameStart: names.count, nameCount: count, inode: inode))
        names.append(contentsOf: base)
        table[place] = slot
        if slots.count * 2 > table.count { growTable() }
        return slot
    }

    private func slot(_ base: [UInt8], in directory: Directory) -> Int32? {
        let slot = table[tableIndex(base, in: directory)]
        return slot < 0 ? nil : slot
    }

    /// Where in the table a name is, or would be.
    private func tableIndex(_ base: [UInt8], in directory: Directory) -> Int {
        base.withUnsafeBufferPointer { base in
            let mask = table.count - 1
            var place = Self.hash(base, directory.inode) & mask
            while table[place] >= 0 {
                let slot = slots[Int(table[place])]
                if slot.parent.inode == directory.inode,
                    names[slot.nameStart..<slot.nameStart + Int(slot.nameCount)].elementsEqual(base)
                {
                    return place
                }
                place = (place + 1) & mask
            }
            return place
        }
    }

    /// Seeded once a process, as `Hasher` is: an archive cannot choose names that collide.
    private static func hash(_ base: UnsafeBufferPointer<UInt8>, _ directory: Int32) -> Int {
        var hasher = Hasher()
        hasher.combine(directory)
        hasher.combine(bytes: UnsafeRawBufferPointer(base))
        return hasher.finalize()
    }

    private func growTable() {
        table = [Int32](repeating: -1, count: table.count * 2)
        let mask = table.count - 1
        names.withUnsafeBufferPointer { names in
            for index in slots.indices.dropFirst() {
                let slot = slots[index]
                let name = UnsafeBufferPointer(
                    rebasing: names[slot.nameStart..<slot.nameStart + Int(slot.nameCount)])
                var place = Self.hash(name, slot.parent.inode) & mask
                while table[place] >= 0 { place = (place + 1) & mask }
                table[place] = Int32(index)
            }
        }
    }

    /// Whether a directory still exists.
    private func isReachable(_ directory: Directory) -> Bool {
        var directory = directory
        while directory.slot != 0 {
            guard slots[Int(directory.slot)].inode == directory.inode else { return false }
            directory = slots[Int(directory.slot)].parent
        }
        return true
    }
}
