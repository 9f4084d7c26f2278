// The tags of a repository, all pages of them (OCI distribution-spec 1.1, "Listing Tags"; RFC 8288 for `Link`).

import FoundationEssentials
import HTTP
import Images

extension RegistryClient {
    /// More tags than a person could mean by a pattern.
    private static let mostTags = 1_000_000
    private static let mostPages = 10_000
    /// Of all pages together; a tag has 128 bytes at the most.
    private static let mostBytes = 64 << 20

    /// All tags of a reference's repository, in the registry's order.
    ///
    /// - Throws: `SourceError`, `Interrupted`.
    package func tags(of reference: ImageReference) throws -> [String] {
        var tags: [String] = []
        var query: String? = "n=1000"
        var asked: Set<String> = []
        var bytes = 0
        while let page = query {
            guard asked.insert(page).inserted, asked.count <= Self.mostPages, tags.count <= Self.mostTags,
                bytes <= Self.mostBytes
            else {
                throw SourceError(
                    "\(reference.registry) lists the tags of \(reference.repository) without end: refused")
            }
            let response = try send(.get, reference, "tags/list?\(page)", accept: "application/json")
            let next = TagPage.next(response.headerValues("Link"))
            let body: [UInt8]?
            do { body = try response.collect(limit: 16 << 20) } catch let error as HTTPError {
                throw SourceError("\(error)")
            }
            guard let body, let list = try? JSONDecoder().decode(TagPage.self, from: Data(body)) else {
                throw SourceError(
                    "\(reference.registry) gave no list of tags of \(reference.repository) that can be read")
            }
            bytes += body.count
            tags += list.tags ?? []
            query = next
        }
        return tags
    }

    /// The images that a reference means: itself, or one for each tag that its wildcard matches.
    ///
    /// - Throws: `SourceError`, `Interrupted`.
    package func expand(_ reference: ImageReference) throws -> [ImageReference] {
        guard reference.tagHasWildcard else { return [reference] }
        // A tag that no reference may have is none that anybody could pull.
        return try tags(of: reference).filter(reference.includes).compactMap {
            try? reference.replacing(tag: $0)
        }
    }
}

/// A page of a repository's tags.
struct TagPage: Decodable {
    /// `null` where the repository has none.
    let tags: [String]?

    /// The query of the next page. Only that of the address is taken: the registry is asked again, and nobody else.
    static func next(_ links: [String]) -> String? {
        for link in links.flatMap({ $0.split(separator: ",") }) {
            let parts = link.split(separator: ";").map { $0.drop { $0 == " " || $0 == "\t" } }
            let isNext = parts.dropFirst().contains { part in
                part.lowercased().filter { $0 != "\"" && $0 != " " } == "rel=next"
            }
            guard isNext, let address = parts.first, address.hasPrefix("<"), address.last == ">",
                let mark = address.firstIndex(of: "?")
            else { continue }
            let query = address[address.index(after: mark)...].dropLast().prefix { $0 != "#" }
            // It becomes a part of a request line.
            guard query.utf8.allSatisfy({ (0x21...0x7e).contains($0) }), query.utf8.count <= 4096 else {
                return nil
            }
            return String(query)
        }
        return nil
    }
}
