// What an image runs on. Names are normalised as container engines do it, so that `linux/aarch64`, `linux/arm64` and
// `linux/arm64/v8` are one value.

/// An operating system, an architecture and perhaps a variant of it.
package struct ImagePlatform: Hashable, Sendable, CustomStringConvertible {
    /// The operating system: `linux`.
    package let operatingSystem: String
    /// The architecture by its Go name: `amd64`, `arm64`.
    package let architecture: String
    /// The variant: `v7` of `arm`; nil where it is the architecture's usual one.
    package let variant: String?

    /// `linux/amd64`.
    package static let `default` = ImagePlatform(operatingSystem: "linux", architecture: "amd64")
    /// `unknown/unknown`, under which builders store what they say about an image.
    static let unknown = ImagePlatform(operatingSystem: "unknown", architecture: "unknown")

    private init(operatingSystem: String, architecture: String) {
        self.operatingSystem = operatingSystem
        self.architecture = architecture
        variant = nil
    }

    /// Normalises the parts; nil where one of them is no word of ASCII letters, digits, `.`, `_` and `-`, so that a
    /// platform is always fit for a path.
    package init?(operatingSystem: String, architecture: String, variant: String?) {
        let variant = variant == "" ? nil : variant
        guard [operatingSystem, architecture, variant ?? "v"].allSatisfy(Self.isWord) else { return nil }
        self.operatingSystem =
            operatingSystem.lowercased() == "macos" ? "darwin" : operatingSystem.lowercased()
        (self.architecture, self.variant) = Self.normal(architecture.lowercased(), variant?.lowercased())
    }

    /// Reads `OS/ARCHITECTURE[/VARIANT]`.
    ///
    /// - Throws: `PlatformError`.
    package init(parsing text: String) throws(PlatformError) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 2 || parts.count == 3, !parts.contains(""),
            let platform = ImagePlatform(
                operatingSystem: parts[0], architecture: parts[1], variant: parts.count == 3 ? parts[2] : nil)
        else {
            throw PlatformError(
                "bad platform \(quoted(text)): write OS/ARCHITECTURE or OS/ARCHITECTURE/VARIANT, "
                    + "for instance linux/amd64 or linux/arm/v7")
        }
        self = platform
    }

    private static func isWord(_ text: String) -> Bool {
        guard let first = text.utf8.first, ReferenceGrammar.isLetterOrDigit(first) else { return false }
        return text.utf8.count <= 64 && text.utf8.allSatisfy(ReferenceGrammar.isTagByte)
    }

    private static func normal(_ architecture: String, _ variant: String?) -> (String, String?) {
        switch (architecture, variant) {
        case ("i386", _), ("i486", _), ("i586", _), ("i686", _): ("386", nil)
        case ("x86_64", _), ("x86-64", _), ("amd64", _): ("amd64", variant == "v1" ? nil : variant)
        case ("aarch64", _), ("arm64", _):
            ("arm64", variant == "8" || variant == "v8" || variant == "v8.0" ? nil : variant)
        case ("armhf", _), ("arm", nil), ("arm", "7"): ("arm", "v7")
        case ("armel", _), ("arm", "6"): ("arm", "v6")
        case ("arm", "5"): ("arm", "v5")
        case ("arm", "8"): ("arm", "v8")
        default: (architecture, variant)
        }
    }

    /// `linux/arm/v7`.
    package var description: String {
        "\(operatingSystem)/\(architecture)\(variant.map { "/\($0)" } ?? "")"
    }

    /// How well an image of another platform runs on this one: 0 as well as can be, more the older its variant is,
    /// nil not at all. A machine runs images of its own variant and of earlier ones.
    package func distance(to image: ImagePlatform) -> Int? {
        guard operatingSystem == image.operatingSystem, architecture == image.architecture else { return nil }
        if variant == image.variant { return 0 }
        let order: [String?] =
            switch architecture {
            case "amd64": ["v4", "v3", "v2", nil]
            case "arm": ["v8", "v7", "v6", "v5"]
            case "arm64":
                ["v9.5", "v9.4", "v9.3", "v9.2", "v9.1", "v9", "v9.0"]
                    + (1...9).reversed().map { "v8.\($0)" } + [nil]
            default: []
            }
        guard let own = order.firstIndex(of: variant), let other = order.firstIndex(of: image.variant),
            own < other
        else { return nil }
        return other - own
    }
}

/// A text that is no platform.
package struct PlatformError: Error, Equatable, Sendable, CustomStringConvertible {
    /// One line: the text, and what to write instead.
    package let description: String

    init(_ description: String) { self.description = description }
}
