// Small images in the OCI layout, made by the tests themselves.

import Platform

/// An image: its layers' archives, and what its configuration says besides.
package struct TestImage: Sendable {
    /// One layer.
    package struct Layer: Sendable {
        package var archive: [UInt8]
        package var compression: Compression
        /// The blob's bytes where they shall differ from the compressed archive.
        package var blob: [UInt8]?
        /// What the manifest calls it, after `application/vnd.oci.image.layer.v1.tar`; nil: what it is.
        package var label: String?
        /// Where the blob is to be had instead of the registry: a layer that isn't distributable.
        package var urls: [String]?

        package init(
            _ archive: [UInt8], _ compression: Compression = .gzip, blob: [UInt8]? = nil, label: String? = nil
        ) {
            self.archive = archive
            self.compression = compression
            self.blob = blob
            self.label = label
        }
    }

    package var layers: [Layer]
    package var architecture = "amd64"
    /// When it was made.
    package var created = "2023-11-14T22:13:20Z"
    /// How it is run: the configuration's `config`, as JSON.
    package var settings = #"{"Cmd":["/bin/sh"]}"#
    /// Whether the configuration tells a step of its making for each layer, as all real ones do.
    package var hasHistory = false
    /// What the configuration says instead of the archives' digests.
    package var diffIdentifiers: [String]?

    package init(_ layers: [Layer]) { self.layers = layers }

    /// An image of layers that `fills` fill, the lowest first.
    package init(_ fills: ((inout TarBuilder) -> Void)...) {
        layers = fills.map { Layer(TarBuilder.archive($0)) }
    }

    /// Where an image's parts ended up.
    package struct Written: Sendable {
        package let manifest: String
        package let configuration: String
        /// The blobs' digests, hex.
        package let layers: [String]
        package let manifestSize: Int
    }

    /// Writes the image into a layout, made where it isn't there, under a tag.
    @discardableResult
    package func write(to layout: String, tag: String) throws -> Written {
        let written = try writeBlobs(to: layout)
        let entry =
            #"{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:\#(written.manifest)","#
            + #""size":\#(written.manifestSize),"annotations":{"org.opencontainers.image.ref.name":"\#(tag)"}}"#
        try Self.writeIndex([entry], to: layout)
        return written
    }

    /// Writes the image's blobs only.
    package func writeBlobs(to layout: String) throws -> Written {
        try Files.makeDirectories("\(layout)/blobs/sha256")
        try Files.replace(
            "\(layout)/oci-layout", with: Array(#"{"imageLayoutVersion":"1.0.0"}"#.utf8), sync: false)
        var digests: [String] = []
        var descriptors: [String] = []
        for layer in layers {
            let blob = try layer.blob ?? layer.compression.apply(layer.archive)
            let digest = try Self.add(blob, to: layout)
            digests.append(digest)
            let kind = layer.urls == nil ? "" : "nondistributable."
            let urls =
                layer.urls.map { #","urls":["# + $0.map { "\"\($0)\"" }.joined(separator: ",") + "]" } ?? ""
            descriptors.append(
                #"{"mediaType":"application/vnd.oci.image.layer.\#(kind)v1.tar\#(layer.label ?? layer.compression.mediaTypeSuffix)","#
                    + #""digest":"sha256:\#(digest)","size":\#(blob.count)\#(urls)}"#)
        }
        let identifiers = diffIdentifiers ?? layers.map { "sha256:" + SHA256.hex(of: $0.archive) }
        let configuration = Array(
            (#"{"created":"\#(created)","architecture":"\#(architecture)","os":"linux","#
                + #""config":\#(settings),"rootfs":{"type":"layers","diff_ids":["#
                + identifiers.map { "\"\($0)\"" }.joined(separator: ",") + "]}\(history)}").utf8)
        let configurationDigest = try Self.add(configuration, to: layout)
        let manifest = Array(
            (#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"#
                + #""mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:\#(configurationDigest)","#
                + #""size":\#(configuration.count)},"layers":["# + descriptors.joined(separator: ",") + "]}")
                .utf8)
        return Written(
            manifest: try Self.add(manifest, to: layout), configuration: configurationDigest, layers: digests,
            manifestSize: manifest.count)
    }

    private var history: String {
        if !hasHistory { return "" }
        let step = #"{"created":"\#(created)","created_by":"a test"}"#
        return #","history":["# + layers.map { _ in step }.joined(separator: ",") + "]"
    }

    /// Writes a layout's `index.json`.
    package static func writeIndex(_ entries: [String], to layout: String) throws {
        let text =
            #"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":["#
            + entries.joined(separator: ",") + "]}"
        try Files.replace("\(layout)/index.json", with: Array(text.utf8), sync: false)
    }

    /// Adds a blob to a layout.
    ///
    /// - Returns: its digest, hex.
    @discardableResult
    package static func add(_ blob: [UInt8], to layout: String) throws -> String {
        let digest = SHA256.hex(of: blob)
        try Files.replace("\(layout)/blobs/sha256/\(digest)", with: blob, sync: false)
        return digest
    }
}
