import Images
import Platform

/// A layer that is not what it claims to be, or that no one may unpack.
package struct LayerError: Error, CustomStringConvertible, Sendable, Equatable {
    /// What is wrong.
    package enum Kind: Sendable, Equatable {
        /// The bytes are not the ones the manifest or the configuration names.
        case mismatch
        /// The archive is damaged, or asks for something no archive of a layer should.
        case refused
    }

    package let kind: Kind
    /// One line: what is wrong, and with which entry.
    package let description: String

    static func mismatch(_ text: String) -> LayerError { LayerError(kind: .mismatch, description: text) }

    static func refused(_ text: String, entry: [UInt8]) -> LayerError {
        LayerError(kind: .refused, description: "\(text): \(Self.quoted(entry))")
    }

    /// A name from an archive, fit for a terminal: no control characters, no more than 100 characters.
    static func quoted(_ name: [UInt8]) -> String {
        var text = ""
        for scalar in String(decoding: name.prefix(400), as: UTF8.self).unicodeScalars {
            if scalar.properties.generalCategory == .control || scalar.properties.generalCategory == .format {
                text += "\\u{\(String(scalar.value, radix: 16))}"
            } else {
                text.unicodeScalars.append(scalar)
            }
            if text.count >= 100 { return "'\(text)…'" }
        }
        return "'\(text)'"
    }
}
