/// Elements that come at one end and mostly go at the other, without moving the rest each time.
struct Queue<Element> {
    /// With those before `head`, which are gone: they are let go of together.
    private var elements: [Element] = []
    private var head = 0

    /// How many there are.
    var count: Int { elements.count - head }
    var isEmpty: Bool { count == 0 }
    /// The positions, the oldest element's first. They change when elements go.
    var indices: Range<Int> { 0..<count }

    var first: Element? { isEmpty ? nil : elements[head] }

    subscript(position: Int) -> Element {
        get { elements[head + position] }
        set { elements[head + position] = newValue }
    }

    mutating func append(_ element: Element) { elements.append(element) }

    /// Removes the oldest element.
    mutating func removeFirst() {
        head += 1
        // Moving the rest costs a few moves for each of those that went; keeping those costs what they hold.
        guard head > 8, head * 8 > elements.count else { return }
        elements.removeFirst(head)
        head = 0
    }
}
