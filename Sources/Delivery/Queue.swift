/// Elements that come at one end and mostly go at the other, without moving the rest each time.
struct Queue<Element> {
    /// Nil before `head`: those are gone.
    private var elements: [Element?] = []
    private var head = 0

    /// How many there are.
    var count: Int { elements.count - head }
    var isEmpty: Bool { count == 0 }
    /// The positions, the oldest element's first. They change when elements go.
    var indices: Range<Int> { 0..<count }

    var first: Element? { isEmpty ? nil : self[0] }

    subscript(position: Int) -> Element {
        get {
            guard let element = elements[head + position] else {
                preconditionFailure("an element that is gone")
            }
            return element
        }
        set { elements[head + position] = newValue }
    }

    mutating func append(_ element: Element) { elements.append(element) }

    /// Removes the oldest element.
    mutating func removeFirst() {
        elements[head] = nil
        head += 1
        // Half of it is gone: moving the rest costs no more than the removals before it.
        guard head > 64, head * 2 > elements.count else { return }
        elements.removeFirst(head)
        head = 0
    }
}
