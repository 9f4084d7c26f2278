// Text from outside, made fit for one line of an error message: no control characters, no endless lengths.

/// The text in single quotes, its control characters and invisible ones written as `\u{…}`, cut after 200 characters.
///
/// What a registry or a file says never reaches a terminal unchanged: an escape sequence in it stays visible.
package func quoted(_ text: some StringProtocol) -> String {
    var result = "'"
    var count = 0
    for scalar in text.unicodeScalars {
        guard count < 200 else {
            result += "…"
            break
        }
        count += 1
        switch scalar.properties.generalCategory {
        case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator, .paragraphSeparator:
            result += "\\u{\(String(scalar.value, radix: 16))}"
        default:
            result.unicodeScalars.append(scalar)
        }
    }
    return result + "'"
}
