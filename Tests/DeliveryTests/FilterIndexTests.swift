import Delivery
import Notifications
import Support
import Testing

@Suite("Many filters together")
struct FilterIndexTests {
    @Test("give what each of them gives alone", arguments: 0..<20)
    func equal(seed: Int) throws {
        var random = SplitMix(state: UInt64(seed))
        let words = ["a", "b", "ab", "a/b", "*", "a*", "?", "[ab]", ""]
        let fields: [Field] = [.action, .image, .status, Field(rawValue: "other")]
        let filters = (0..<Int.random(in: 1...130, using: &random)).map { _ in
            var filter = ShortFilter()
            for field in fields where Bool.random(using: &random) {
                filter.add(
                    field,
                    (0..<Int.random(in: 0...2, using: &random)).compactMap { _ in
                        words.randomElement(using: &random)
                    })
            }
            return filter
        }
        var index = FilterIndex(filters)
        for _ in 0..<200 {
            let texts = fields.filter { $0 == .action || Bool.random(using: &random) }.map {
                "\"\($0.rawValue)\":\"\(words.randomElement(using: &random) ?? "")\""
            }
            guard let event = try? Event(line: Array("{\(texts.joined(separator: ","))}".utf8)) else {
                continue
            }
            var found: [Int] = []
            index.hooks(for: event).forEach { found.append($0) }
            #expect(found == filters.indices.filter { filters[$0].matches(event) })
        }
    }
}
