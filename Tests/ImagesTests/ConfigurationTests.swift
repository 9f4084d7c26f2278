import Images
import Testing

@Suite("Image configurations")
struct ConfigurationTests {
    private func decode(_ text: String) throws -> ImageConfiguration {
        try ImageConfiguration.decode(Array(text.utf8))
    }

    @Test("the fields that a conversion needs")
    func fields() throws {
        let configuration = try decode(
            """
            {"architecture":"arm64","os":"linux","variant":"v8","created":"2024-05-06T07:08:09.1Z",
            "config":{"Env":["PATH=/bin"],"Labels":{"size":"1","Size":"2"}},
            "rootfs":{"type":"layers","diff_ids":["\(Documents.digest)"]},
            "history":[{"created":"2024-05-06T07:08:09Z","created_by":"ADD"},{"empty_layer":true}]}
            """)
        #expect(configuration.architecture == "arm64")
        #expect(configuration.variant == "v8")
        #expect(configuration.platform?.description == "linux/arm64")
        #expect(configuration.created == "2024-05-06T07:08:09.1Z")
        #expect(configuration.diffIdentifiers.map(\.hex) == [Documents.hex])
        #expect(configuration.history.map(\.emptyLayer) == [false, true])
        #expect(configuration.history[0].createdBy == "ADD")
        try configuration.check(against: try Documents.image(Documents.manifest()))
    }

    @Test("a different number of layers than the manifest's is refused")
    func count() throws {
        let configuration = try decode(#"{"rootfs":{"diff_ids":[]}}"#)
        #expect(configuration.platform == nil)
        let error = #expect(throws: ManifestError.self) {
            try configuration.check(against: try Documents.image(Documents.manifest()))
        }
        #expect(error?.description == "the image configuration has 0 layers (diff_ids), the manifest has 1")
    }

    @Test(
        "what is refused, and how",
        arguments: [
            ("", "the image configuration is not readable: it is empty"),
            ("{}", "the image configuration has no rootfs"),
            (#"{"rootfs":7}"#, "the image configuration's rootfs is a number, not an object"),
            (#"{"rootfs":{"type":"base"}}"#, "the image configuration's rootfs.type is 'base', not 'layers'"),
            (
                #"{"rootfs":{"diff_ids":[7]}}"#,
                "the image configuration's rootfs.diff_ids[0] is a number, not a string"
            ),
            (
                #"{"rootfs":{"diff_ids":["x"]}}"#,
                "the image configuration's rootfs.diff_ids[0]: bad digest 'x': has no algorithm; write sha256:HEX"
            ),
            (
                #"{"os":"a b","architecture":"c","rootfs":{}}"#,
                "the image configuration's platform is none: 'a b/c'"
            ),
        ])
    func refused(text: String, line: String) {
        let error = #expect(throws: ManifestError.self) { try decode(text) }
        #expect(error?.description == line)
    }
}
