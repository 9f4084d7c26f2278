// The drawing of the house: which module may import which of our own modules and which C library. A module that is
// not drawn here doesn't exist; one that is drawn may still be to come.

enum Drawing {
    /// Modules of `Sources/` and what each may import of `Sources/`.
    static let arrows: [String: Set<String>] = [
        "CArchive": [], "CYAML": [], "CCurl": [], "CCrypto": [], "CISAL": [], "CInotifyTools": [],
        "CLinux": [],
        "Platform": [],
        "Terminal": ["Platform"],
        "Notifications": ["Platform"],
        "EventQuery": ["Notifications"],
        "Following": ["Notifications", "Archive", "Platform", "CInotifyTools"],
        "Delivery": ["Following", "EventQuery", "Notifications", "YAML", "HTTP", "Platform"],
        "YAML": ["CYAML"],
        "HTTP": ["CCurl", "Platform"],
        "Archive": ["CArchive", "CISAL", "Platform"],
        "Images": [],
        "Registry": ["Images", "HTTP", "Archive", "Platform"],
        "Layers": ["Images", "Archive", "Platform"],
        "Repository": ["Layers", "Images", "Archive", "Platform"],
        "Wishes": ["Images", "YAML"],
        "Engines": ["Repository", "Layers", "Images", "Registry", "Archive", "Platform"],
        "Conversion": [
            "Engines", "Repository", "Layers", "Registry", "Wishes", "Images", "Notifications", "Platform",
        ],
        "Retention": ["Engines", "Repository", "Images", "Wishes", "Notifications"],
        "cvmfs_ducc": [
            "Conversion", "Retention", "Engines", "Repository", "Layers", "Registry", "Wishes", "Images",
            "Notifications",
            "Terminal", "Platform",
        ],
        "ducc-follow": ["Delivery", "Following", "EventQuery", "Notifications", "Terminal", "Platform"],
    ]

    /// Our own modules that every module may import: `CLinux` belongs to the C library (declarations that Swift's
    /// `Glibc` doesn't show) and links nothing.
    static let everywhere: Set<String> = ["CCrypto", "CLinux"]

    /// Modules that no module may import: they bring 30 MB of ICU and a slow start. `FoundationEssentials` is fine.
    static let forbidden: Set<String> = [
        "Foundation", "FoundationInternationalization", "FoundationNetworking", "FoundationXML",
    ]

    /// The modules that are library products, and what they never pull in.
    static let libraries: Set<String> = ["Notifications", "Following"]
    /// What a program that uses our libraries doesn't need to have installed.
    static let notForLibraries: Set<String> = ["CCurl", "CYAML"]

    /// What stands at the top of the repository, dot files aside.
    static let topLevel: Set<String> = [
        "Package.swift", "Package.resolved", "Sources", "Tests", "consumers", "logrotate", "systemd",
        "README.md",
        "Makefile", "LICENSE", "CHANGELOG.md",
    ]

    /// What is wrong with a module's imports, in words; nothing if all is well.
    static func violations(in module: String, importing imports: Set<String>) -> [String] {
        guard let allowed = arrows[module] else { return ["\(module) is not in the drawing"] }
        return imports.sorted().compactMap { name in
            if forbidden.contains(name) { return "\(module) imports \(name), which no module may" }
            if arrows[name] == nil || everywhere.contains(name) || allowed.contains(name) { return nil }
            return "\(module) imports \(name), which is not drawn"
        }
    }

    /// Everything that a module reaches over a graph of imports, itself excluded unless there is a cycle.
    static func reachable(from module: String, over graph: [String: Set<String>]) -> Set<String> {
        var seen: Set<String> = []
        var rest = Array(graph[module] ?? [])
        while let next = rest.popLast() {
            guard seen.insert(next).inserted else { continue }
            rest += graph[next] ?? []
        }
        return seen
    }
}
