// swift-tools-version: 6.2
import PackageDescription

// Warnings are errors in our own targets; dependencies are left alone.
let settings: [SwiftSetting] = [.treatAllWarnings(as: .error)]

/// A module of `Sources/`, with the modules it may import (`ArchitectureTests` checks the imports themselves).
func module(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: settings)
}

/// The tests of one module, in `Tests/<name>Tests`.
func tests(_ name: String, _ dependencies: [Target.Dependency] = [], resources: [Resource] = []) -> Target {
    .testTarget(
        name: "\(name)Tests", dependencies: dependencies, path: "Tests/\(name)Tests", resources: resources,
        swiftSettings: settings)
}

let argumentParser = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")

let package = Package(
    name: "ducc",
    products: [
        .library(name: "Notifications", targets: ["Notifications"]),
        .library(name: "Following", targets: ["Following"]),
        .executable(name: "cvmfs_ducc", targets: ["cvmfs_ducc"]),
        .executable(name: "ducc-follow", targets: ["ducc-follow"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    ],
    targets: [
        .systemLibrary(name: "CArchive", pkgConfig: "libarchive", providers: [.apt(["libarchive-dev"])]),
        .systemLibrary(name: "CYAML", pkgConfig: "yaml-0.1", providers: [.apt(["libyaml-dev"])]),
        .systemLibrary(name: "CCurl", pkgConfig: "libcurl", providers: [.apt(["libcurl4-openssl-dev"])]),
        .systemLibrary(name: "CCrypto", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
        .systemLibrary(name: "CISAL", pkgConfig: "libisal", providers: [.apt(["libisal-dev"])]),
        .systemLibrary(name: "CLinux"),
        .systemLibrary(name: "CInotifyTools", providers: [.apt(["libinotifytools0-dev"])]),

        module("Platform", ["CCrypto", "CLinux"]),
        module("Terminal", ["Platform", logging]),
        module("Notifications", ["Platform", "CCrypto"]),
        module("Following", ["Notifications", "Archive", "Platform", "CInotifyTools"]),
        module("Delivery", ["Following", "Notifications", "YAML", "Platform", "CLinux"]),
        module("YAML", ["CYAML"]),
        module("HTTP", ["CCurl", "Platform"]),
        module("Archive", ["CArchive", "CISAL", "Platform"]),
        module("Images"),
        module("Registry", ["Images", "HTTP", "Archive", "Platform"]),
        module("Layers", ["Images", "Archive", "Platform", "CCrypto"]),
        module("Repository", ["Layers", "Images", "Archive", "Platform", "CLinux"]),
        module("Wishes", ["Images", "YAML"]),
        module("Engines", ["Repository", "Layers", "Images", "Registry", "Archive", "Platform", "CLinux"]),
        module(
            "Conversion",
            [
                "Engines", "Repository", "Layers", "Registry", "Wishes", "Images", "Notifications",
                "Platform", logging,
            ]),

        .executableTarget(
            name: "cvmfs_ducc",
            dependencies: [
                "Conversion", "Engines", "Repository", "Layers", "Registry", "Wishes", "Images",
                "Notifications", "Terminal",
                "Platform", argumentParser, logging,
            ], swiftSettings: settings),
        .executableTarget(
            name: "ducc-follow",
            dependencies: [
                "Delivery", "Following", "Notifications", "Terminal", "Platform", argumentParser, logging,
            ],
            swiftSettings: settings),

        .target(
            name: "Support", dependencies: ["Notifications", "Platform", "CLinux"], path: "Tests/Support",
            exclude: ["cvmfs-server"], swiftSettings: settings),
        tests("Architecture"),
        tests("Platform", ["Platform", "CLinux", "Support"]),
        tests("Archive", ["Archive", "Platform", "Support"]),
        tests("Layers", ["Layers", "Archive", "Images", "Platform", "CLinux", "Support"]),
        tests("Registry", ["Registry", "HTTP", "Images", "Platform", "Support"]),
        tests("DUCCCommand", ["Notifications", "Platform", "CLinux", "Support"]),
        tests("Images", ["Images", "Support"]),
        tests("YAML", ["YAML", "Support"]),
        tests("Wishes", ["Wishes", "Images"]),
        tests("Terminal", ["Terminal", "Support", logging]),
        tests("Notifications", ["Notifications", "Support", "Platform", "CLinux"]),
        tests("Delivery", ["Delivery", "Following", "Notifications", "Support", "Platform"]),
        tests("Following", ["Following", "Notifications", "Support", "Platform"]),
        tests("FollowCommand", ["Notifications", "Support", "Platform", "CLinux"]),
        .executableTarget(
            name: "test-emitter", dependencies: ["Notifications", "Platform", argumentParser],
            path: "Tests/Emitter", swiftSettings: settings),
    ]
)
