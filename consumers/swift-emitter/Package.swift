// swift-tools-version: 6.2
import PackageDescription

// Where ducc's sources are; beside this directory in a checkout of them.
let ducc = Context.environment["DUCC_PACKAGE"] ?? "../.."

let package = Package(
    name: "swift-emitter",
    dependencies: [.package(name: "ducc", path: ducc)],
    targets: [
        .executableTarget(
            name: "swift-emitter", dependencies: [.product(name: "Notifications", package: "ducc")])
    ])
