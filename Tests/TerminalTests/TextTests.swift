// Text that fits: numbers for people, widths, tables.

import Support
import Terminal
import Testing

struct TextTests {
    @Test(
        "sizes are short and never show 1000 of a unit",
        arguments: [
            (0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (1500, "1.5 kB"), (9949, "9.9 kB"), (9950, "10 kB"),
            (999_499, "999 kB"), (999_500, "1.0 MB"), (2_127_872, "2.1 MB"), (3_200_000_000, "3.2 GB"),
            (Int64.max, "9.2 EB"), (-1500, "-1.5 kB"), (Int64.min, "-9.2 EB"),
        ] as [(Int64, String)])
    func bytes(count: Int64, text: String) { #expect(HumanText.bytes(count) == text) }

    @Test(
        "durations are short",
        arguments: [
            (0, "0 s"), (0.024, "0.02 s"), (0.994, "0.99 s"), (0.996, "1.0 s"), (4.13, "4.1 s"), (42, "42 s"),
            (59.4, "59 s"), (59.6, "1m 00s"), (185, "3m 05s"), (7440, "2h 04m"), (273_600, "3d 04h"),
            (.infinity, "0 s"), (.nan, "0 s"), (-1, "0 s"), (1e300, "for ever"),
        ] as [(Double, String)])
    func seconds(seconds: Double, text: String) { #expect(HumanText.seconds(seconds) == text) }

    @Test("a text too long is shortened in the middle, and never wider than asked, wide characters included")
    func fit() {
        #expect(TextLayout.fit("registry.example.org/atlas:1", 28) == "registry.example.org/atlas:1")
        #expect(TextLayout.fit("registry.example.org/atlas:1", 11) == "regis…las:1")
        for text in [
            "registry.example.org/atlas:1", "日本語日本語日本語", "a👩‍👩‍👧‍👦b🇨🇭c👍🏽d", "e\u{301}e\u{301}e\u{301}e\u{301}",
        ] {
            for width in 0...30 {
                #expect(TextLayout.width(of: TextLayout.fit(text, width)) <= width, "\(text) \(width)")
                #expect(TextLayout.width(of: TextLayout.cut(text, width)) <= width, "\(text) \(width)")
            }
        }
        #expect(TextLayout.width(of: "日本") == 4)
        #expect(TextLayout.width(of: "e\u{301}") == 1)
    }

    @Test("nothing in a text reaches the terminal as a command")
    func printable() {
        #expect(TextLayout.printable("a\u{1b}[31mb\u{7}c\u{9b}d") == "a?[31mb?c?d")
        #expect(TextLayout.printable("a\nb\tc\r") == "a b c?")
        #expect(TextLayout.printable("a\u{202e}b\u{2066}c") == "a?b?c")
        #expect(TextLayout.printable("äöü 日本 👍") == "äöü 日本 👍")
    }

    @Test("a table is aligned, and fits the width by shortening what may shrink")
    func table() {
        var table = TextTable(columns: [
            .init("IMAGE", shrinks: true), "PLATFORM", .init("SIZE", alignsRight: true),
        ])
        table.add(["docker.io/library/alpine:3.20", "linux/amd64", "7.8 MB"])
        table.add(["short", "linux/arm64/v8", "120 MB"])
        table.add(["\u{1b}[2J"])
        #expect(
            table.render(width: nil) == """
                IMAGE                          PLATFORM          SIZE
                docker.io/library/alpine:3.20  linux/amd64     7.8 MB
                short                          linux/arm64/v8  120 MB
                ?[2J

                """)
        for width in [20, 40, 50, 80] {
            let lines = table.render(width: width).split(separator: "\n")
            #expect(lines.allSatisfy { TextLayout.width(of: String($0)) <= width }, "\(width)")
        }
        let narrow = table.render(width: 40).split(separator: "\n")
        #expect(narrow[1] == "docker.i…ne:3.20  linux/amd64     7.8 MB")
    }
}
