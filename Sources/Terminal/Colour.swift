/// The few styles that both programs use.
package enum Colour: String, Sendable {
    case dim = "2"
    case bold = "1"
    case red = "31"
    case green = "32"
    case yellow = "33"
    case cyan = "36"

    /// The text in this style, or unchanged where colours aren't wanted.
    package func paint(_ text: String, if enabled: Bool) -> String {
        enabled && !text.isEmpty ? "\u{1b}[\(rawValue)m\(text)\u{1b}[0m" : text
    }
}
