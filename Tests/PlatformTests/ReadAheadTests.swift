import Glibc
import Platform
import Support
import Synchronization
import Testing

@Suite("Reading ahead")
struct ReadAheadTests {
    /// Gives pieces of chosen lengths of a long pattern, always in the same memory; then ends, or fails.
    private final class Pieces: ByteStream {
        struct Broken: Error {}

        /// How many bytes were given: looked at by the test while the other thread reads.
        let given = Atomic<Int>(0)
        private let total: Int
        private let fails: Bool
        private let piece: () -> Int
        private let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 8)

        init(total: Int, fails: Bool = false, piece: @escaping () -> Int = { 100_000 }) {
            self.total = total
            self.fails = fails
            self.piece = piece
        }

        deinit { memory.deallocate() }

        static func byte(at offset: Int) -> UInt8 { UInt8(truncatingIfNeeded: offset &* 31 ^ offset >> 13) }

        func next() throws -> UnsafeRawBufferPointer {
            let count = try write(to: memory)
            return UnsafeRawBufferPointer(rebasing: memory[..<count])
        }

        func write(to buffer: UnsafeMutableRawBufferPointer) throws -> Int {
            let start = given.load(ordering: .relaxed)
            let count = min(piece(), total - start, buffer.count)
            if count == 0, fails { throw Broken() }
            for index in 0..<count { buffer[index] = Self.byte(at: start + index) }
            given.add(count, ordering: .relaxed)
            return count
        }
    }

    /// The same bytes, written where they are wanted.
    private final class FillingPieces: FillingStream {
        private let pieces: Pieces
        init(_ pieces: Pieces) { self.pieces = pieces }
        func next() throws -> UnsafeRawBufferPointer { try pieces.next() }
        func fill(_ buffer: UnsafeMutableRawBufferPointer) throws -> Int { try pieces.write(to: buffer) }
    }

    /// How many bytes come up to the end; each must be the right one, also when it is looked at late.
    private func count(_ stream: ReadAheadStream) throws -> Int {
        var offset = 0
        while true {
            let chunk = try stream.next()
            if chunk.isEmpty { return offset }
            for _ in 0..<(offset % 5) { sched_yield() }
            #expect(chunk.indices.allSatisfy { chunk[$0] == Pieces.byte(at: offset + $0) })
            offset += chunk.count
        }
    }

    @Test("gives every byte once and in order, whatever the lengths of the pieces", arguments: 0..<40)
    func whole(seed: Int) throws {
        var random = SplitMix(state: UInt64(seed))
        let total = seed < 4 ? seed : Int.random(in: 1...3_000_000, using: &random)
        let largest = [1000, 300_000, 1 << 20][seed % 3]
        let pieces = Pieces(total: total) { Int.random(in: 1...largest, using: &random) }
        let stream = ReadAheadStream(seed % 2 == 0 ? pieces : FillingPieces(pieces))
        #expect(try count(stream) == total)
        #expect(try stream.next().isEmpty, "at its end it stays there")
    }

    @Test("an error comes behind the bytes before it", arguments: [0, 100, 2_000_000])
    func failure(total: Int) throws {
        let stream = ReadAheadStream(Pieces(total: total, fails: true))
        var bytes = 0
        #expect(throws: Pieces.Broken.self) {
            while true {
                let chunk = try stream.next()
                if chunk.isEmpty { break }
                bytes += chunk.count
            }
        }
        #expect(bytes == total)
        #expect(try stream.next().isEmpty)
    }

    @Test("is no further ahead than its buffers")
    func bounded() throws {
        let pieces = Pieces(total: 100 << 20)
        let stream = ReadAheadStream(pieces)
        _ = try stream.next()
        let second = try stream.next()
        #expect(!second.isEmpty)
        try waitUntil("the buffers are full") { pieces.given.load(ordering: .relaxed) >= 3_900_000 }
        // A reader without a bound would be through all of it long before.
        for _ in 0..<1000 { sched_yield() }
        #expect(pieces.given.load(ordering: .relaxed) < 6 << 20)
    }

    @Test("stopped, it leaves the rest of the source to whoever stopped it")
    func stopped() throws {
        let pieces = Pieces(total: 50 << 20)
        let stream = ReadAheadStream(pieces)
        for _ in 0..<3 { _ = try stream.next() }
        stream.stop()
        let before = pieces.given.load(ordering: .relaxed)
        #expect(try stream.next().isEmpty)
        #expect(pieces.given.load(ordering: .relaxed) == before)
        #expect(try !pieces.next().isEmpty)
    }

    @Test("a stream of one chunk needs no thread")
    func short() throws {
        let thread = Mutex<pthread_t?>(nil)
        let pieces = Pieces(total: 100) {
            thread.withLock { $0 = pthread_self() }
            return 100
        }
        _ = try ReadAheadStream(pieces).next()
        #expect(thread.withLock { $0 } == pthread_self())
    }
}
