// One answer: status and headers, then the body as a stream that is pulled.

import CCurl
import Glibc
import Platform

/// An answer whose body is still on its way. Used by one thread at a time.
package final class HTTPResponse: ByteStream {
    /// The status of the last answer (redirects followed).
    package private(set) var status = 0
    /// The headers of the last answer, in order.
    package private(set) var headers: [HTTPHeader] = []

    private let client: HTTPClient
    private let multi: MultiHandle
    private let easy: UnsafeMutableRawPointer
    private let url: String
    private var requestHeaders: UnsafeMutablePointer<curl_slist>?
    private let errorText: UnsafeMutablePointer<CChar>
    private let buffer: UnsafeMutableRawBufferPointer
    private var filled = 0
    /// Whether what is in the buffer was lent to the reader, and may be overwritten.
    private var isLent = false
    private var paused = false
    private var headBytes = 0
    private var headComplete = false
    private var ended = false
    private var failure: (any Error)?
    private var watch: SpeedWatch

    /// Room for what arrives between two reads; libcurl hands over 256 KiB at the most at a time.
    private static let capacity = 1 << 20
    /// More than any server sends before the body, redirects included.
    private static let largestHead = 256 << 10

    init(
        _ client: HTTPClient, _ multi: MultiHandle, _ method: HTTPClient.Method, _ url: String,
        _ headers: [HTTPHeader], body: [UInt8]?, trust: HTTPTrust
    ) throws {
        guard let easy = curl_easy_init() else { throw HTTPError(url: url, reason: "libcurl: out of memory") }
        self.client = client
        self.multi = multi
        self.easy = easy
        self.url = url
        watch = SpeedWatch(client.speed)
        errorText = .allocate(capacity: Int(CURL_ERROR_SIZE))
        errorText.initialize(repeating: 0, count: Int(CURL_ERROR_SIZE))
        buffer = .allocate(byteCount: Self.capacity, alignment: 64)
        for header in headers {
            requestHeaders = curl_slist_append(requestHeaders, "\(header.name): \(header.value)")
        }
        configure(method)
        if method.isWriting { send(body ?? []) }
        if url.hasPrefix("https:") { trust.apply(to: easy) }
        let code = curl_multi_add_handle(UnsafeMutableRawPointer(multi.raw), easy)
        guard code == CURLM_OK else {
            throw HTTPError(url: url, reason: String(cString: curl_multi_strerror(code)))
        }
    }

    deinit {
        curl_multi_remove_handle(UnsafeMutableRawPointer(multi.raw), easy)
        curl_easy_cleanup(easy)
        curl_slist_free_all(requestHeaders)
        errorText.deallocate()
        buffer.deallocate()
        client.giveBack(multi)
    }

    private func configure(_ method: HTTPClient.Method) {
        ducc_curl_set_string(easy, CURLOPT_URL, url)
        ducc_curl_set_string(easy, CURLOPT_USERAGENT, client.agent)
        ducc_curl_set_string(easy, CURLOPT_PROTOCOLS_STR, "http,https")
        ducc_curl_set_string(
            easy, CURLOPT_REDIR_PROTOCOLS_STR, url.hasPrefix("https:") ? "https" : "http,https")
        ducc_curl_set_long(easy, CURLOPT_FOLLOWLOCATION, method.isWriting ? 0 : 1)
        ducc_curl_set_long(easy, CURLOPT_MAXREDIRS, 10)
        ducc_curl_set_long(easy, CURLOPT_NOSIGNAL, 1)
        ducc_curl_set_long(easy, CURLOPT_CONNECTTIMEOUT, 30)
        ducc_curl_set_long(easy, CURLOPT_BUFFERSIZE, 256 << 10)
        ducc_curl_set_pointer(easy, CURLOPT_ERRORBUFFER, errorText)
        ducc_curl_set_list(easy, CURLOPT_HTTPHEADER, requestHeaders)
        if method == .head { ducc_curl_set_long(easy, CURLOPT_NOBODY, 1) }
        if method.isWriting { ducc_curl_set_string(easy, CURLOPT_CUSTOMREQUEST, method.rawValue) }
        let context = Unmanaged.passUnretained(self).toOpaque()
        ducc_curl_set_pointer(easy, CURLOPT_WRITEDATA, context)
        ducc_curl_set_callback(easy, CURLOPT_WRITEFUNCTION) { data, size, count, context in
            guard let context else { return 0 }
            return Unmanaged<HTTPResponse>.fromOpaque(context).takeUnretainedValue()
                .received(UnsafeRawBufferPointer(start: data, count: size * count))
        }
        ducc_curl_set_pointer(easy, CURLOPT_HEADERDATA, context)
        ducc_curl_set_callback(easy, CURLOPT_HEADERFUNCTION) { data, size, count, context in
            guard let context else { return 0 }
            let line = UnsafeRawBufferPointer(start: data, count: size * count)
            let response = Unmanaged<HTTPResponse>.fromOpaque(context).takeUnretainedValue()
            return response.receivedHeader(line) ? line.count : 0
        }
    }

    /// Gives libcurl a copy of what is to be sent.
    private func send(_ body: [UInt8]) {
        ducc_curl_set_long(easy, CURLOPT_POSTFIELDSIZE, body.count)
        var body = body + [0]
        _ = body.withUnsafeMutableBytes {
            ducc_curl_set_pointer(easy, CURLOPT_COPYPOSTFIELDS, $0.baseAddress)
        }
    }

    /// The first header of a name, in any letter case.
    package func header(_ name: String) -> String? { headers.first { $0.isNamed(name) }?.value }

    /// Where the answer came from: the last address, redirects followed.
    package var effectiveURL: String {
        var pointer: UnsafeMutablePointer<CChar>?
        ducc_curl_get_string(easy, CURLINFO_EFFECTIVE_URL, &pointer)
        return pointer.map { String(cString: $0) } ?? url
    }

    /// All values of a header, each as its own line had it.
    package func headerValues(_ name: String) -> [String] { headers.filter { $0.isNamed(name) }.map(\.value) }

    /// The body's next bytes; empty at its end.
    ///
    /// - Throws: `HTTPError` where it breaks off, `Interrupted`.
    package func next() throws -> UnsafeRawBufferPointer {
        if isLent { filled = 0 }
        // Bytes that came together with the head are there already.
        isLent = true
        if filled == 0, paused {
            paused = false
            // May call `received` at once, with what libcurl still holds.
            curl_easy_pause(easy, CURLPAUSE_CONT)
        }
        while filled == 0, !ended { try drive() }
        if filled == 0, let failure { throw failure }
        return UnsafeRawBufferPointer(rebasing: buffer[..<filled])
    }

    /// Waits until status and headers of the final answer are there.
    func awaitHead() throws {
        while !headComplete, !ended { try drive() }
        if !headComplete, let failure { throw failure }
        var code = 0
        ducc_curl_get_long(easy, CURLINFO_RESPONSE_CODE, &code)
        status = code
    }

    private func drive() throws {
        let driven = MonotonicClock.nanoseconds()
        let raw = UnsafeMutableRawPointer(multi.raw)
        var running: CInt = 0
        let code = curl_multi_perform(raw, &running)
        guard code == CURLM_OK else {
            throw HTTPError(url: url, reason: String(cString: curl_multi_strerror(code)))
        }
        var queued: CInt = 0
        while let message = curl_multi_info_read(raw, &queued) {
            guard message.pointee.msg == CURLMSG_DONE else { continue }
            ended = true
            let code = message.pointee.data.result
            if code == CURLE_OK {
                headComplete = true
            } else if failure == nil {
                failure = HTTPError(url: url, code: code, detail: String(cString: errorText))
            }
        }
        if ended || filled > 0 { return }
        var signal = curl_waitfd(fd: Interruption.descriptor, events: Int16(CURL_WAIT_POLLIN), revents: 0)
        // A body's time is that of waiting for it. All the time until the head comes is the sender's, whatever it sends
        // meanwhile: the body of a redirect or "100 Continue" need not have an end.
        let began = headComplete ? MonotonicClock.nanoseconds() : driven
        curl_multi_poll(raw, &signal, 1, client.speed.pollMilliseconds, nil)
        try Interruption.check()
        if let reason = watch.waited(MonotonicClock.nanoseconds() - began, isHead: !headComplete) {
            ended = true
            failure = HTTPError(url: url, code: CURLE_OPERATION_TIMEDOUT, detail: reason)
        }
    }

    private func received(_ bytes: UnsafeRawBufferPointer) -> Int {
        // The body of a redirect that is followed never comes here; the first byte that does ends the head.
        headComplete = true
        guard filled + bytes.count <= buffer.count else {
            paused = true
            return Int(CURL_WRITEFUNC_PAUSE)
        }
        UnsafeMutableRawBufferPointer(rebasing: buffer[filled...]).copyMemory(from: bytes)
        filled += bytes.count
        watch.received(bytes.count)
        return bytes.count
    }

    /// - Returns: whether the transfer goes on.
    private func receivedHeader(_ bytes: UnsafeRawBufferPointer) -> Bool {
        // A trailer, behind the body: nobody waits for it, and what was read of the head stays true.
        if headComplete { return true }
        headBytes += bytes.count
        guard headBytes <= Self.largestHead else {
            failure = HTTPError(url: url, reason: "the head of its answer has no end")
            return false
        }
        let line = String(decoding: bytes, as: UTF8.self)
        if line.hasPrefix("HTTP/") {
            // A new answer: of a redirect, or behind a "100 Continue".
            headers = []
            return true
        }
        guard let colon = line.firstIndex(of: ":") else { return true }
        let value = line[line.index(after: colon)...].drop { $0 == " " || $0 == "\t" }
        let end = value.lastIndex { !$0.isWhitespace }.map { value.index(after: $0) } ?? value.startIndex
        headers.append(HTTPHeader(String(line[..<colon]), String(value[..<end])))
        return true
    }
}
